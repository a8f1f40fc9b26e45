"""Speech from a VITS voice in ONNX: Piper's voices and Coqui's exports, without torch.

A text becomes phonemes (``espeak``), those become ids (``vits_voice``), and one run of the network
turns the ids of a sentence into sound. Each piece is cut to its sound and given the pause that its
last mark asks for, so pieces that are spoken one after another join like one text. All of a
voice's speech is made louder or softer by the same factor, so no clause stands out.

Does not know what a number or an abbreviation is called: that is done before, in ``speakable``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from assistant.cancel import Cancel
from assistant.engines.espeak import Clause, Espeak, split_at_marks
from assistant.engines.vits_voice import Voice, read_voice
from assistant.errors import EngineFailed, ModelCorrupt
from assistant.settings import TtsSettings
from assistant.types import Pcm16

log = logging.getLogger(__name__)

Wave = npt.NDArray[np.float32]
"""Mono samples, shape (n,), -1 to 1."""

MAX_SYMBOLS = 220
"""Longest run of the network. Voices learn from clips of about ten seconds and lose the thread beyond."""

SHORT_SYMBOLS = 32
"""Up to here a text without a final mark is an answer of its own ("Paris"); beyond, it goes on."""

SENTENCE_PAUSE_MS = 320
CLAUSE_PAUSE_MS = 220
"""Silence after a piece, by its last mark. Voices pause some 300 ms at a comma inside a sentence."""

EDGE_MS = 20
"""Kept around what is heard, so that soft consonants stay; the rest of the network's silence goes."""

HEARD_DB = -45.0
"""What counts as sound at the edges, against the loudest sample of the piece."""

SPEECH_DB = -18.0
"""Level of the voice while it speaks, against full scale; peaks are some 17 dB above it."""

KNEE = 0.7
"""Samples above this are bent so that none can reach full scale."""


def create(settings: TtsSettings, model: Path, threads: int) -> VitsTts:
    """Load the voice in the folder ``model``; ``threads`` 0 takes all cores.

    Raises ModelMissing, ModelCorrupt, EngineUnavailable (no espeak-ng) or SettingsError (speaker).
    """
    onnx, voice = read_voice(model)
    speaker = voice.speaker_id(settings.speaker)
    session = _open(onnx, threads or os.cpu_count() or 1)
    return VitsTts(session, voice, speaker, settings)


class VitsTts:
    """A loaded voice."""

    def __init__(self, session: Any, voice: Voice, speaker: int, settings: TtsSettings) -> None:
        self.sample_rate_hz = voice.sample_rate_hz
        self._session = session
        self._voice = voice
        self._espeak = Espeak(voice.espeak_voice) if voice.espeak_voice else None
        noise, width = settings.noise_scale, settings.noise_width_scale
        self._constant = {
            "scales": np.array(
                [
                    voice.noise_scale if noise is None else noise,
                    voice.length_scale / settings.speed,
                    voice.noise_width_scale if width is None else width,
                ],
                dtype=np.float32,
            )
        }
        if "sid" in _input_names(session):
            self._constant["sid"] = np.array([speaker], dtype=np.int64)
        self._gain = 0.0
        """Factor that brings the voice to SPEECH_DB; measured before the first word."""

    def warm_up(self) -> None:
        """Speak once, to nobody: the first run is the slowest, and it shows how loud the voice is."""
        self._measure()

    def synthesize(self, text: str, cancel: Cancel) -> Pcm16:
        """Samples at ``sample_rate_hz``; empty when there is nothing to pronounce or ``cancel`` is set.

        Ends in the pause that belongs after it. Raises EngineFailed.
        """
        if not self._gain:
            self._measure()
        pieces: list[Pcm16] = []
        for clauses in _runs(self._clauses(text)):
            wave = self._run(clauses, cancel)
            if cancel:
                return np.zeros(0, dtype=np.int16)
            pieces += [to_pcm(wave * self._gain), self._pause(clauses[-1].mark)]
        return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int16)

    def close(self) -> None:
        self._session = None

    def _clauses(self, text: str) -> tuple[Clause, ...]:
        if self._espeak is None:
            clauses = tuple(Clause(words, mark) for words, mark in split_at_marks(text))
        else:
            clauses = self._espeak.clauses(text)
        if clauses and not clauses[-1].mark:
            # A voice slurs the end of what has no mark: it never heard a clip without one.
            length = sum(len(clause.phonemes) for clause in clauses)
            last = Clause(clauses[-1].phonemes, "." if length <= SHORT_SYMBOLS else ",")
            clauses = (*clauses[:-1], last)
        return clauses

    def _run(self, clauses: list[Clause], cancel: Cancel) -> Wave:
        """One run of the network, cut to its sound; empty when cancelled."""
        ids = self._voice.ids(" ".join(f"{clause.phonemes}{clause.mark}" for clause in clauses))
        options = onnxruntime.RunOptions()
        cancel.on_set(lambda: setattr(options, "terminate", True))
        feed = {
            "input": np.array([ids], dtype=np.int64),
            "input_lengths": np.array([len(ids)], dtype=np.int64),
            **self._constant,
        }
        try:
            output = self._session.run(None, feed, options)[0]
        except Exception as error:  # ONNX Runtime's exceptions share no class of their own.
            if cancel:
                return np.zeros(0, dtype=np.float32)
            raise EngineFailed(
                f"The voice could not speak a text of {len(ids)} symbols: {_first_line(error)}.",
                "Check the voice with: assistant models verify",
            ) from error
        return trim(np.asarray(output, dtype=np.float32).ravel(), self.sample_rate_hz)

    def _pause(self, mark: str) -> Pcm16:
        pause_ms = SENTENCE_PAUSE_MS if mark in ".?!" else CLAUSE_PAUSE_MS
        return np.zeros(pause_ms * self.sample_rate_hz // 1000, dtype=np.int16)

    def _measure(self) -> None:
        # Digits are read aloud in every language.
        wave = self._run(list(self._clauses("1, 2, 3, 4, 5.")), Cancel())
        self._gain = gain_for(wave, self.sample_rate_hz)
        log.debug("voice_ready sample_rate_hz=%d gain=%.2f", self.sample_rate_hz, self._gain)


def trim(wave: Wave, sample_rate_hz: int) -> Wave:
    """``wave`` from EDGE_MS before the first to EDGE_MS after the last sound in it, faded in and out."""
    if not np.isfinite(wave).all():
        raise EngineFailed(
            "The voice gave numbers that are no sound.", "Check the voice with: assistant models verify"
        )
    threshold = np.abs(wave).max(initial=0.0) * 10 ** (HEARD_DB / 20)
    heard = np.flatnonzero(np.abs(wave) > threshold)
    if not heard.size:
        return wave[:0]
    edge = EDGE_MS * sample_rate_hz // 1000
    cut = wave[max(0, heard[0] - edge) : heard[-1] + 1 + edge].copy()
    ramp = np.linspace(0.0, 1.0, min(edge, len(cut)), dtype=np.float32)
    cut[: len(ramp)] *= ramp
    cut[len(cut) - len(ramp) :] *= ramp[::-1]
    return cut


def gain_for(wave: Wave, sample_rate_hz: int) -> float:
    """The factor that brings the speech in ``wave`` to SPEECH_DB, its gaps not counted.

    At most 12 dB either way: a voice that seems further off was not measured right.
    """
    frame = sample_rate_hz // 100
    energy = np.square(wave[: len(wave) // frame * frame].reshape(-1, frame)).mean(axis=1)
    spoken = energy[energy > energy.max(initial=0.0) / 1000]
    if not spoken.size:
        return 1.0
    return float(np.clip(10 ** (SPEECH_DB / 20) / np.sqrt(spoken.mean()), 0.25, 4.0))


def to_pcm(wave: Wave) -> Pcm16:
    """16-bit samples; what is above KNEE is bent smoothly below full scale."""
    over = np.maximum(np.abs(wave) - KNEE, 0.0)
    bent = np.where(over > 0, KNEE + (1 - KNEE) * np.tanh(over / (1 - KNEE)), np.abs(wave))
    return np.round(np.copysign(bent, wave) * 32_767 * 0.99).astype(np.int16)


def _runs(clauses: tuple[Clause, ...]) -> Iterator[list[Clause]]:
    """What the network is given at once: a sentence, or as much of a long one as it can take."""
    run: list[Clause] = []
    for clause in (part for whole in clauses for part in _parts(whole)):
        if run and sum(len(each.phonemes) for each in run) + len(clause.phonemes) > MAX_SYMBOLS:
            yield run
            run = []
        run.append(clause)
        if clause.mark in (".", "?", "!"):
            yield run
            run = []
    if run:
        yield run


def _parts(clause: Clause) -> Iterator[Clause]:
    """``clause``, cut between words (or anywhere in an endless one) where it is too long for one run."""
    rest = clause.phonemes
    while len(rest) > MAX_SYMBOLS:
        space = rest.rfind(" ", 0, MAX_SYMBOLS)
        cut = space if space > 0 else MAX_SYMBOLS
        yield Clause(rest[:cut], ",")
        rest = rest[cut:].strip()
    yield Clause(rest, clause.mark)


def _open(onnx: Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Other engines share the cores: a thread that spins while it waits takes theirs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A plan per input length would be kept for each length that ever comes.
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    again = f"Fetch it again with: assistant models pull {onnx.parent.name}"
    try:
        session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no class of their own.
        raise ModelCorrupt(f"The voice {onnx.name} cannot be read: {_first_line(error)}.", again) from error
    names = _input_names(session)
    if names - {"sid"} != {"input", "input_lengths", "scales"}:
        raise ModelCorrupt(
            f"The file {onnx.name} is no VITS voice: it takes {', '.join(sorted(names))}.", again
        )
    return session


def _input_names(session: Any) -> set[str]:
    return {each.name for each in session.get_inputs()}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
