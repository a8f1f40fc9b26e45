"""The values that flow along the pipeline, in the order in which they appear.

Everything here is immutable and knows nothing of engines, devices or time. Inside the
assistant, sound is 16 kHz mono 16-bit (``Pcm16``); other rates exist only at its edges.
"""

from __future__ import annotations

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
    """What the microphone heard in one 20 ms step."""

    pcm: Pcm16
    """FRAME_SAMPLES samples at SAMPLE_RATE_HZ."""
    end_s: float
    """Time of the last sample on the event loop's clock, seconds."""
    is_echo: bool = False
    """Whether the assistant's own voice explains all of it: nobody else was heard."""
    is_near: bool = False
    """Whether the assistant's own voice was to be heard, and somebody else beside it."""


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """One stretch of speech, with pre-roll before it and the pause after it."""

    pcm: Pcm16
    """Samples at SAMPLE_RATE_HZ."""
    speech_end_s: float
    """Time of the last sample that was speech, seconds on the loop's clock."""
    speech_ms: int
    """How much of it the VAD took for speech."""

    @property
    def duration_ms(self) -> int:
        return len(self.pcm) * 1000 // SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Transcript:
    """What the recogniser made of an utterance, and how sure it was."""

    text: str
    language: str = "en"
    no_speech_probability: float = 0.0
    """Whisper's own estimate that nobody spoke, 0 to 1."""
    average_log_probability: float = 0.0
    """Mean log-probability of the tokens; 0 is certain, below -1 is a guess."""
    compression_ratio: float = 1.0
    """Length of the text over its zlib-compressed length; above 2.4 it repeats itself."""
    finished_probability: float | None = None
    """How sure a turn model is that the person has finished, 0 to 1; None where none listens."""


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the chat the language model is given."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Call:
    """What a language model writes, within a grammar, to have something done instead of a reply."""

    text: str


@dataclass(frozen=True, slots=True)
class BatchReply:
    """What came of one of many prompts that are answered at once; times in seconds since all of it began."""

    number: int
    """Which of the prompts, from 0 on."""
    text: str
    began_s: float
    """When it was its turn."""
    first_token_s: float
    end_s: float
    tokens_prompt: int = 0
    tokens_generated: int = 0
    """0 where the engine does not tell."""
    error: str = ""
    """Why there is no answer, or no whole one; for people."""


Beginning: TypeAlias = Literal["words", "clause", "sentence"]
"""What of a reply is spoken first."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """What is spoken in one piece: a sentence, a clause, or the first few words of one."""

    text: str
    goes_on: bool = False
    """It breaks off within a sentence: the rest follows after no more than a breath."""
    is_phrase: bool = False
    """It is said again and again, and holds nothing private."""


@dataclass(frozen=True, slots=True, eq=False)
class SpokenAudio:
    """A clause or sentence as sound, ready for the speaker."""

    text: str
    """What is said, as it stands in the reply."""
    pcm: Pcm16
    """Samples at ``sample_rate_hz``."""
    sample_rate_hz: int

    @property
    def duration_s(self) -> float:
        return len(self.pcm) / self.sample_rate_hz
