"""``assistant bench tts``: the voice compared with plain ONNX Runtime.

Plain is one call of the network with the same phonemes, prepared before timing starts; ours includes
everything from the text to the samples, including espeak-ng. Each text is spoken once, because pronunciations
are cached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assistant.app import engines as loading
from assistant.board.cores import big_cores
from assistant.core.types import Sentence
from assistant.engines import Tts
from assistant.runtime.cancel import Cancel
from assistant.settings.schema import Settings
from assistant.tools.bench.lib.measuring import (
    Document,
    Result,
    columned,
    in_turn,
    median,
    ratio,
    rounded,
    spread_ms,
    timed,
)

TEXTS = {
    5: ("Okay.", "Paris", "Seven", "Today", "Three", "Never"),
    20: (
        "It is ten past four.",
        "The timer is set now",
        "Here is the weather.",
        "I have added butter.",
        "That is a big river.",
        "You have two alarms.",
    ),
    40: (
        "The Brooklyn Bridge was opened in May 18",
        "Water boils at one hundred degrees here.",
        "There are seven days in each whole week.",
        "Your timer for the eggs has ten minutes.",
        "Bananas are yellow because of a pigment.",
        "An octopus has three hearts, not just 1.",
    ),
    80: (
        "The largest ocean on Earth is the Pacific, which covers a third of its surface.",
        "Put one cup of rice into two cups of water and let it simmer for a little while.",
        "Honey keeps for many years because it has so little water that nothing can grow.",
        "A rainbow appears when the sun shines from behind you into the rain before you.",
        "The moon takes about a month to go around the Earth, and shows us one side only.",
        "Bread rises because yeast eats the sugar in the flour and makes a lot of bubbles.",
    ),
}
"""Approximate length in characters -> texts of that length; the first one is a warm-up."""


@dataclass(frozen=True, slots=True)
class Spoken:
    took_s: float
    sound_s: float


def run(settings: Settings, *, progress: Callable[[str], None]) -> Result:
    """Speak texts of four lengths with both. Raises any AssistantError."""
    ours = loading.load_tts(settings)
    ours.warm_up()
    plain = _Plain(settings) if settings.tts.runtime == "onnx" else None
    document: Document = {"characters": {}}
    for length, texts in TEXTS.items():
        progress(f"{length} characters")
        document["characters"][str(length)] = _compared(ours, plain, texts)
    ours.close()
    return Result(_as_text(document), document)


def _compared(ours: Tts, plain: _Plain | None, texts: Sequence[str]) -> Document:
    """Compare both for texts of one length; the ratio is below 1 if ours is faster."""
    to_speak = iter(texts)
    prepared = [plain.phonemes(text) for text in texts] if plain else []
    to_run = iter(prepared)

    def speak() -> Spoken:
        text = next(to_speak)
        took_s, pcm = timed(lambda: ours.synthesize(Sentence(text), Cancel()))
        return Spoken(took_s, len(pcm) / ours.sample_rate_hz)

    contenders: list[Callable[[], Spoken]] = [speak]
    if plain:
        contenders.append(lambda: plain.speak(next(to_run)[0]))
    for each in contenders:
        each()  # ONNX Runtime plans its memory at the first call with each length.
    results = in_turn(contenders, len(texts) - 1)
    figures: Document = {"ours": _figures(results[0]), "plain": None, "ratio": None, "phonemes_p50_ms": None}
    if plain:
        figures["plain"] = _figures(results[1])
        figures["ratio"] = ratio(figures["ours"]["p50_ms"], figures["plain"]["p50_ms"])
        figures["phonemes_p50_ms"] = rounded(median(took_s * 1000 for _, took_s in prepared), 1)
    return figures


def _figures(spoken: Sequence[Spoken]) -> Document:
    factor = ratio(sum(each.took_s for each in spoken), sum(each.sound_s for each in spoken))
    return {**spread_ms(each.took_s * 1000 for each in spoken), "real_time_factor": factor}


class _Plain:
    """The voice's network in ONNX Runtime with documented defaults, and as many threads as ours."""

    def __init__(self, settings: Settings) -> None:
        import onnxruntime  # noqa: PLC0415 - only this bench needs the library itself

        from assistant.engines.tts.espeak import Espeak  # noqa: PLC0415
        from assistant.engines.tts.voice_folder import read_voice  # noqa: PLC0415

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = settings.tts.threads or len(big_cores())
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        with loading.store_of(settings).opened(settings.tts.model, "tts") as folder:
            onnx, self._voice = read_voice(folder)
            self._session: Any = onnxruntime.InferenceSession(onnx, options, providers=providers)
        self._espeak = Espeak(self._voice.espeak_voice) if self._voice.espeak_voice else None
        scales = (self._voice.noise_scale, self._voice.length_scale, self._voice.noise_width_scale)
        self._constant = {"scales": np.array(scales, np.float32)}
        if "sid" in {each.name for each in self._session.get_inputs()}:
            self._constant["sid"] = np.array([self._voice.speaker_id(settings.tts.speaker)], np.int64)

    def phonemes(self, text: str) -> tuple[list[int], float]:
        """Return the network's input for ``text``, and the seconds it took to prepare."""
        espeak = self._espeak
        if espeak is None:
            return self._voice.ids(text), 0.0
        took_s, clauses = timed(lambda: espeak.clauses(text))
        return self._voice.ids(" ".join(f"{clause.phonemes}{clause.mark}" for clause in clauses)), took_s

    def speak(self, ids: Sequence[int]) -> Spoken:
        feed = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            **self._constant,
        }
        took_s, (wave,) = timed(lambda: self._session.run(None, feed))
        return Spoken(took_s, np.asarray(wave).size / self._voice.sample_rate_hz)


def _as_text(document: Document) -> str:
    columns = [
        *(("characters", "length"), ("ours p50 ms", "ours.p50_ms"), ("p95", "ours.p95_ms")),
        *(("RTF", "ours.real_time_factor:.3f"), ("plain p50 ms", "plain.p50_ms")),
        *(("RTF", "plain.real_time_factor:.3f"), ("ratio", "ratio:.2f"), ("phonemes ms", "phonemes_p50_ms")),
    ]
    rows = [{"length": length, **figures} for length, figures in document["characters"].items()]
    return f"The voice beside plain ONNX Runtime\n\n{columned(columns, rows)}"
