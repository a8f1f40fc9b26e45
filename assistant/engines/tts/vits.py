"""Speech from a VITS voice in ONNX: Piper's voices and Coqui's exports, without torch.

Text becomes phonemes (``espeak``), phonemes become ids (``voice``), and one run of the network turns the ids
of a sentence into sound. Each piece is trimmed and followed by the pause for its last mark, so pieces spoken
one after another join like a single text.

Numbers and abbreviations are already spelled out by ``text.markup``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from assistant.core.errors import EngineFailed, ModelCorrupt
from assistant.core.types import Pcm16, Sentence
from assistant.engines import onnx_providers
from assistant.engines.onnx_providers import first_line
from assistant.engines.tts.espeak import Clause, Espeak, split_at_marks
from assistant.engines.tts.sound import BREATH, Wave, gain_for, pause_after, to_pcm, trim
from assistant.engines.tts.voice import Voice
from assistant.engines.tts.voice_folder import read_voice
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import TtsSettings

log = logging.getLogger(__name__)

MAX_SYMBOLS = 100
"""Longest run of the network, about 6 s of speech: it takes a megabyte of memory per symbol."""

SHORT_SYMBOLS = 32
"""Up to this length, a text without a final mark is a complete answer ("Paris"); beyond, it continues."""

_FREED_AFTER_A_RUN = "cpu:0"
"""Memory that ONNX Runtime returns after a run: it would keep 50 MB to make the next run 4 ms shorter."""

IDS = (1, 80, 2 * MAX_SYMBOLS + 8)
"""Minimum, usual and maximum ids per run: usually 40 symbols, plus both ends."""

_NOTHING: Pcm16 = np.zeros(0, dtype=np.int16)


def create(settings: TtsSettings, model: Path, threads: int) -> VitsTts:
    """Load the voice in the folder ``model``; ``threads`` 0 uses all cores.

    Raises ModelMissing, ModelCorrupt, EngineUnavailable (no espeak-ng) or SettingsError (speaker).
    """
    onnx, voice = read_voice(model)
    speaker = voice.speaker_id(settings.speaker)
    espeak = Espeak(voice.espeak_voice) if voice.espeak_voice else None
    session = _open(onnx, settings, threads or os.cpu_count() or 1)
    return VitsTts(session, voice, espeak, speaker, settings)


class VitsTts:
    """A loaded voice."""

    def __init__(
        self, session: Any, voice: Voice, espeak: Espeak | None, speaker: int, settings: TtsSettings
    ) -> None:
        self.sample_rate_hz = voice.sample_rate_hz
        self._session = session
        self._voice = voice
        self._espeak = espeak
        noise, width = settings.noise_scale, settings.noise_width_scale
        scales = (
            voice.noise_scale if noise is None else noise,
            voice.length_scale / settings.speed,
            voice.noise_width_scale if width is None else width,
        )
        self._constant = {"scales": np.array(scales, dtype=np.float32)}
        if "sid" in _input_names(session):
            self._constant["sid"] = np.array([speaker], dtype=np.int64)
        self._gain = 0.0
        """Volume factor for everything this voice says; 0 until it has been measured."""

    def warm_up(self) -> None:
        """Synthesize once, silently: the first run is the slowest, and it shows the voice's volume."""
        self._gain = self._measure()
        log.debug("voice_ready sample_rate_hz=%d gain=%.2f", self.sample_rate_hz, self._gain)

    def synthesize(self, sentence: Sentence, cancel: Cancel) -> Pcm16:
        """Return samples at ``sample_rate_hz``; empty if nothing is pronounceable or ``cancel`` is set.

        The sound ends with the pause that belongs after the sentence. Raises EngineFailed.
        """
        self._gain = self._gain or self._measure()
        pieces = [_NOTHING]
        for clauses in _runs(self._clauses(sentence)):
            wave = self._run(clauses, cancel)
            if cancel:
                return _NOTHING
            pieces += [to_pcm(wave * self._gain), pause_after(clauses[-1].mark, self.sample_rate_hz)]
        if sentence.goes_on:
            pieces[-1] = pause_after(BREATH, self.sample_rate_hz)
        return np.concatenate(pieces)

    def close(self) -> None:
        self._session = None

    def _measure(self) -> float:
        # Digits are read aloud in every language.
        wave = self._run(list(self._clauses(Sentence("1, 2, 3, 4, 5."))), Cancel())
        return gain_for(wave, self.sample_rate_hz)

    def _clauses(self, sentence: Sentence) -> tuple[Clause, ...]:
        text = sentence.text
        if self._espeak is None:
            clauses = tuple(Clause(words, mark) for words, mark in split_at_marks(text))
        else:
            clauses = self._espeak.clauses(text)
        if clauses and not clauses[-1].mark:
            # A voice slurs the end of text without a mark, because it was never trained on any.
            length = sum(len(clause.phonemes) for clause in clauses)
            is_answer = length <= SHORT_SYMBOLS and not sentence.goes_on
            last = Clause(clauses[-1].phonemes, "." if is_answer else ",")
            clauses = (*clauses[:-1], last)
        return clauses

    def _run(self, clauses: list[Clause], cancel: Cancel) -> Wave:
        """Run the network once and trim the sound; empty if canceled."""
        ids = self._voice.ids(_symbols(clauses))
        feed = {
            "input": np.array([ids], dtype=np.int64),
            "input_lengths": np.array([len(ids)], dtype=np.int64),
            **self._constant,
        }
        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", _FREED_AFTER_A_RUN)
        cancel.on_set(lambda: setattr(options, "terminate", True))
        try:
            wave = np.asarray(self._session.run(None, feed, options)[0], dtype=np.float32).ravel()
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            if cancel:
                return np.zeros(0, dtype=np.float32)
            raise _failed(first_line(error)) from error
        if not np.isfinite(wave).all():
            raise _failed("its output is not sound")
        return trim(wave, self.sample_rate_hz)


def _runs(clauses: tuple[Clause, ...]) -> Iterator[list[Clause]]:
    """Yield what the network gets at once: a sentence, or as much of a long one as it can take."""
    run: list[Clause] = []
    for clause in (part for whole in clauses for part in _parts(whole)):
        if run and len(_symbols([*run, clause])) > MAX_SYMBOLS:
            yield run
            run = []
        run.append(clause)
        if clause.mark in (".", "?", "!"):
            yield run
            run = []
    if run:
        yield run


def _symbols(clauses: list[Clause]) -> str:
    return " ".join(f"{clause.phonemes}{clause.mark}" for clause in clauses)


def _parts(clause: Clause) -> Iterator[Clause]:
    """Cut ``clause`` between words (or anywhere, if it has no spaces) if it is too long for one run."""
    rest = clause.phonemes
    while len(rest) > MAX_SYMBOLS:
        space = rest.rfind(" ", 0, MAX_SYMBOLS)
        cut = space if space > 0 else MAX_SYMBOLS
        yield Clause(rest[:cut], ",")
        rest = rest[cut:].strip()
    yield Clause(rest, clause.mark)


def _open(onnx: Path, settings: TtsSettings, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Other engines share the cores, and a spinning thread would take theirs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A memory plan would be kept for every text length that ever occurs.
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    again = f"Fetch it again with: assistant models pull {onnx.parent.name}"
    places = onnx_providers.choose(settings.providers, settings.tensorrt, network="tts")
    session, _ = onnx_providers.open_session(onnx, options, places, network="tts", lengths=lambda _: IDS)
    names = _input_names(session)
    if names - {"sid"} != {"input", "input_lengths", "scales"}:
        raise ModelCorrupt(
            f"The file {onnx.name} is not a VITS voice: it takes {', '.join(sorted(names))}.", again
        )
    return session


def _input_names(session: Any) -> set[str]:
    return {each.name for each in session.get_inputs()}


def _failed(reason: str) -> EngineFailed:
    return EngineFailed(
        f"The voice failed to speak: {reason}.", "Check its files with: assistant models verify"
    )
