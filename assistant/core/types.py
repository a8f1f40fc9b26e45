"""Values that flow along the pipeline, in the order in which they appear.

Everything here is immutable and independent of engines, devices and time. Inside the assistant, sound is 16
kHz mono 16-bit (``Pcm16``); other rates exist only at its edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

SAMPLE_RATE_HZ = 16_000
"""Rate of all sound inside the assistant; Whisper, every VAD and every wake word model use it."""

FRAME_MS = 20
"""Length of one microphone frame; webrtcvad takes 10, 20 or 30 ms."""

FRAME_SAMPLES = SAMPLE_RATE_HZ * FRAME_MS // 1000

Pcm16: TypeAlias = npt.NDArray[np.int16]
"""Mono samples, shape (n,), int16, native byte order."""


@dataclass(frozen=True, slots=True, eq=False)
class AudioFrame:
    """One 20 ms frame from the microphone."""

    pcm: Pcm16
    """FRAME_SAMPLES samples at SAMPLE_RATE_HZ."""
    end_s: float
    """Time of the last sample on the event loop's clock, seconds."""
    is_echo: bool = False
    """True if the assistant's own voice explains all of the frame."""
    is_near: bool = False
    """True if someone is speaking while the assistant's own voice is playing."""


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """One stretch of speech, with pre-roll before it and the pause after it."""

    pcm: Pcm16
    """Samples at SAMPLE_RATE_HZ."""
    speech_end_s: float
    """Time of the last sample that was speech, seconds on the loop's clock."""
    speech_ms: int
    """Milliseconds that the VAD classified as speech."""

    @property
    def duration_ms(self) -> int:
        return len(self.pcm) * 1000 // SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Transcript:
    """Recognized text of an utterance, with the recognizer's confidence."""

    text: str
    language: str = "en"
    no_speech_probability: float = 0.0
    """Whisper's own estimate that the utterance contains no speech, 0 to 1."""
    average_log_probability: float = 0.0
    """Mean log-probability of the tokens; 0 is certain, below -1 is a guess."""
    compression_ratio: float = 1.0
    """Length of the text over its zlib-compressed length; above 2.4 it repeats itself."""
    finished_probability: float | None = None
    """Probability from the turn model that the user has finished, 0 to 1; None without a turn model."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the chat that is sent to the language model."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call that a language model writes, within a grammar, instead of a reply."""

    text: str


class Instead(str):
    """Words of the assistant's own, instead of a model's reply. No conversation keeps them, because models
    imitate what they said.
    """


class Scored(str):
    """A piece of a reply, with the log-probabilities of the tokens it was written with."""

    log_probabilities: tuple[float, ...]

    def __new__(cls, text: str, log_probabilities: Sequence[float]) -> Scored:
        piece = super().__new__(cls, text)
        piece.log_probabilities = tuple(log_probabilities)
        return piece


@dataclass(frozen=True, slots=True)
class BatchReply:
    """Result for one prompt of a batch; times in seconds since the batch began."""

    number: int
    """Index of the prompt, from 0."""
    text: str
    began_s: float
    """When the model started on it."""
    first_token_s: float
    end_s: float
    tokens_prompt: int = 0
    tokens_generated: int = 0
    """0 if the engine doesn't report it."""
    error: str = ""
    """Why the answer is missing or incomplete, as a sentence for the user."""


Beginning: TypeAlias = Literal["words", "clause", "sentence"]
"""How much of a reply is spoken first."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Text that is spoken in one piece: a sentence, a clause, or the first few words of one."""

    text: str
    goes_on: bool = False
    """True if it breaks off inside a sentence; the rest follows after a breath at most."""
    is_phrase: bool = False
    """True for a stock phrase with nothing private in it, so its audio can be cached."""


@dataclass(frozen=True, slots=True, eq=False)
class SpokenAudio:
    """Audio of one clause or sentence, ready for the speaker."""

    text: str
    """The text being spoken, exactly as in the reply."""
    pcm: Pcm16
    """Samples at ``sample_rate_hz``."""
    sample_rate_hz: int

    @property
    def duration_s(self) -> float:
        return len(self.pcm) / self.sample_rate_hz
