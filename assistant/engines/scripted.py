"""Deterministic engines without models: for tests, soak runs and manual trials.

A clip's volume encodes what it says: ``clip(loudness, ...)`` is a tone, and ScriptedStt looks its loudness
up. So every engine gives the same answer for the same input, however often and in whatever order it is asked.
Work takes a configurable time, on the event loop's clock, and can be made to fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from assistant.core.types import FRAME_SAMPLES, SAMPLE_RATE_HZ, Call, Message, Pcm16, Sentence, Transcript
from assistant.runtime import clock
from assistant.runtime.cancel import Cancel

_QUIET = 100
"""Amplitude up to which ScriptedVad detects nothing."""

_CONTEXT_TOKENS = 2048


def clip(loudness: int, duration_ms: int) -> Pcm16:
    """Create a 200 Hz tone of amplitude ``loudness`` (above 100, at most 32767)."""
    phase = np.arange(SAMPLE_RATE_HZ * duration_ms // 1000) * (2 * np.pi * 200 / SAMPLE_RATE_HZ)
    tone: Pcm16 = np.round(np.sin(phase) * loudness).astype(np.int16)
    return tone


def no_fault() -> None:
    """The default ``fault``: does nothing."""


class _Scripted:
    def __init__(self, loop: asyncio.AbstractEventLoop, *, fault: Callable[[], None] = no_fault) -> None:
        self._loop = loop
        self._fault = fault
        """Called at the start of each task; raises the error that is to be simulated."""

    def warm_up(self) -> None:
        """Do nothing: there is nothing to warm up."""

    def close(self) -> None:
        """Do nothing: there is nothing to free."""

    def _work(self, seconds: float) -> None:
        self._fault()
        if seconds > 0:
            clock.occupy(self._loop, seconds)


class ScriptedVad:
    """Everything loud is speech."""

    def speech_probability(self, pcm: Pcm16) -> float:
        return float(np.abs(pcm).max(initial=0) > _QUIET)

    def reset(self) -> None:
        """Do nothing: it has no memory."""

    def warm_up(self) -> None:
        """Do nothing: there is nothing to warm up."""

    def close(self) -> None:
        """Do nothing: there is nothing to free."""


class ScriptedWake:
    """Detects a word after a series of frames with its loudness; words are defined by loudness."""

    def __init__(self, words: Mapping[int, str], *, frames: int = 20) -> None:
        self._words = words
        self._frames = frames
        self._run = (0, 0)
        """A loudness, and how many frames in a row had it."""
        self.taken = 0
        """Number of frames it received."""

    def detect(self, pcm: Pcm16) -> str | None:
        self.taken += 1
        loudness = int(np.abs(pcm).max(initial=0))
        self._run = (loudness, self._run[1] + 1 if loudness == self._run[0] else 1)
        return self._words.get(loudness) if self._run[1] == self._frames else None

    def reset(self) -> None:
        self._run = (0, 0)

    def warm_up(self) -> None:
        """Do nothing: there is nothing to warm up."""

    def close(self) -> None:
        """Do nothing: there is nothing to free."""


class ScriptedStt(_Scripted):
    """Looks up what a loudness says; returns an empty transcript for any other."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        words: Mapping[int, str],
        *,
        seconds: float = 0.2,
        fault: Callable[[], None] = no_fault,
    ) -> None:
        super().__init__(loop, fault=fault)
        self._words = words
        self._seconds = seconds
        self.heard: list[int] = []
        """Number of samples of each utterance it received."""

    def transcribe(self, pcm: Pcm16, cancel: Cancel) -> Transcript:  # noqa: ARG002
        self.heard.append(len(pcm))
        self._work(self._seconds)
        return Transcript(self._words.get(int(np.abs(pcm).max(initial=0)), ""))


class ScriptedLlm(_Scripted):
    """Answers with what ``reply`` makes of the messages, a word at a time."""

    context_tokens = _CONTEXT_TOKENS
    parameters = 0

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        reply: Callable[[Sequence[Message]], str],
        *,
        first_seconds: float = 0.2,
        token_seconds: float = 0.05,
        fault: Callable[[], None] = no_fault,
    ) -> None:
        super().__init__(loop, fault=fault)
        self._reply = reply
        self._first_seconds = first_seconds
        self._token_seconds = token_seconds
        self.prompts: list[list[Message]] = []
        """Every prompt it received."""
        self.read: list[str] = []
        """Every beginning of a question that it read ahead."""
        self.primed = 0
        """How often it has read the beginning of every prompt."""
        self.threads_share = 1.0
        self.limits: Collection[str] = ("context_tokens", "threads_share")

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content.split()) + 4 for message in messages)

    def prime(self, messages: Sequence[Message], cache: Path | None = None) -> None:  # noqa: ARG002
        self.primed += 1  # takes no time

    def limit(self, *, context_tokens: int | None = None, threads_share: float = 1.0) -> None:
        self.context_tokens = min(context_tokens or _CONTEXT_TOKENS, _CONTEXT_TOKENS)
        self.threads_share = threads_share

    def read_ahead(self, messages: Sequence[Message], cancel: Cancel) -> None:  # noqa: ARG002
        self.read.append(messages[-1].content)
        self._work(self._first_seconds)

    def stream(self, messages: Sequence[Message], cancel: Cancel) -> Iterator[str]:
        self.prompts.append(list(messages))
        self._work(self._first_seconds)
        for word in self._reply(messages).split():
            if cancel:
                return
            yield word + " "
            self._work(self._token_seconds)

    def stream_or_call(
        self,
        messages: Sequence[Message],
        cancel: Cancel,
        grammar: str,  # noqa: ARG002
    ) -> Iterator[str | Call]:
        """Treat a reply that begins with "@" as a call; the grammar is ignored."""
        if self._reply(messages).startswith("@"):
            self.prompts.append(list(messages))
            self._work(self._first_seconds)
            yield Call(self._reply(messages))
            return
        yield from self.stream(messages, cancel)


class ScriptedTts(_Scripted):
    """Speaks at 15 characters per second, like a person."""

    sample_rate_hz = SAMPLE_RATE_HZ

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        seconds_per_character: float = 0.004,
        fault: Callable[[], None] = no_fault,
    ) -> None:
        super().__init__(loop, fault=fault)
        self._seconds_per_character = seconds_per_character
        self.said: list[str] = []
        """Every text it received."""
        self.phrases: list[str] = []
        """Those that a voice may cache."""
        self.keeps = True

    def keep_phrases(self, keep: bool) -> None:  # noqa: FBT001
        self.keeps = keep

    def synthesize(self, sentence: Sentence, cancel: Cancel) -> Pcm16:  # noqa: ARG002
        text = sentence.text
        self.said.append(text)
        if sentence.is_phrase:
            self.phrases.append(text)
        self._work(len(text) * self._seconds_per_character)
        return clip(3000, max(FRAME_SAMPLES, len(text) * 1000 // 15))
