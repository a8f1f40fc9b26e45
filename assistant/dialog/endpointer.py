"""Detects utterances from frames and speech decisions: when speech begins, pauses, resumes and ends.

Pure: no threads, no clock except the frames' own times, no engine. ``Endpointer`` doesn't know the
words; the code that does sets its ``required_silence_ms`` while the user pauses. The function of that name
decides by the words: finished, unclear, or clearly not finished. A language (``text.Language``) lists the
words that cannot end a request. They lengthen a wait and never shorten one, so for a language without a list
the wait is ``unclear_ms``.

An ended utterance stays open until ``reset``: if the user continues after all, the same utterance continues
and both parts become one.
"""

from __future__ import annotations

import re
from collections import deque

import numpy as np

from assistant.core.events import (
    Event,
    NothingSaid,
    SpeechGoesOn,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    TurnEnded,
)
from assistant.core.types import FRAME_MS, AudioFrame, Transcript, Utterance
from assistant.settings.schema import EndpointSettings
from assistant.text import Language, language

_START_WINDOW_MS = 240
"""``start_ms`` of speech must fall within this: syllables are 100-250 ms apart."""

_RESUME_MS = 60
"""Uninterrupted speech that ends a pause: a click or a lip smack is one or two frames."""

_TRAILING = re.compile(r"(?:\.\.\.|…|[,;:–—-])\s*$")
_FINAL = re.compile(r"[.!?][\"')\]]*\s*$")
_WORD = re.compile(r"[\w'-]+")
_DICTATED = re.compile(r"(?:\d[\d\s,.-]*\d|\d)\W*$")

_SURELY_FINISHED = 0.9
_NOT_FINISHED = 0.5
"""A turn model gives 0.88 or more to finished recordings, and over 0.5 to 6 of 10 that were cut at 60 %."""


class Endpointer:
    """Processes every frame with ``push``, and returns the event that the frame made certain."""

    def __init__(self, settings: EndpointSettings) -> None:
        self._settings = settings
        self.start_ms = settings.start_ms
        """Speech within a quarter of a second that is more than a click."""
        self._before: deque[tuple[AudioFrame, bool]] = deque(
            maxlen=_frames(settings.pre_roll_ms + _START_WINDOW_MS)
        )
        self._window: deque[bool] = deque(maxlen=_frames(_START_WINDOW_MS))
        self.reset()

    def reset(self) -> None:
        """Forget the utterance. The latest sound stays available as pre-roll."""
        self._frames: list[AudioFrame] = []
        self._window.clear()
        self._speech_ms = 0
        self._speech_run_ms = 0
        self._silence_ms = 0
        self._speech_end_s = 0.0
        self._looked_at = 0
        self._resumed_at = 0
        self._paused = False
        self._ended = False
        self.required_silence_ms = self._settings.unclear_ms

    def forget_before(self) -> None:
        """Drop what was said before SpeechResumed, so the utterance begins here."""
        del self._frames[: self._resumed_at]
        self._speech_ms = self._speech_run_ms
        self._looked_at = self._resumed_at = 0

    @property
    def in_speech(self) -> bool:
        """True if an utterance has begun and not yet ended."""
        return bool(self._frames) and not self._ended

    @property
    def pauses(self) -> bool:
        """Whether the person pauses within an utterance."""
        return self._paused

    @property
    def has_utterance(self) -> bool:
        """True if an utterance has begun, whether it has ended or not, and was not reset."""
        return bool(self._frames)

    @property
    def utterance_ms(self) -> int:
        """Length of the utterance so far, including its pre-roll; 0 without one."""
        return len(self._frames) * FRAME_MS

    def push(self, frame: AudioFrame, *, is_speech: bool) -> Event | None:
        """Process the next frame; returns the event that it made certain, or None.

        NothingSaid means that what began as speech was too short.
        """
        self._before.append((frame, is_speech))
        if not self._frames:
            return self._wait(is_speech=is_speech)
        self._frames.append(frame)
        if is_speech:
            return self._speech(frame)
        return self._silence()

    def _wait(self, *, is_speech: bool) -> Event | None:
        self._window.append(is_speech)
        if not is_speech or sum(self._window) * FRAME_MS < self.start_ms:
            return None
        kept = list(self._before)
        first = next(i for i in range(max(0, len(kept) - len(self._window)), len(kept)) if kept[i][1])
        start = max(0, first - _frames(self._settings.pre_roll_ms))
        self._frames = [frame for frame, _ in kept[start:]]
        self._speech_ms = sum(self._window) * FRAME_MS
        self._speech_end_s = self._frames[-1].end_s
        return SpeechStarted()

    def _speech(self, frame: AudioFrame) -> Event | None:
        self._speech_run_ms += FRAME_MS
        self._speech_ms += FRAME_MS
        if not self._paused and not self._ended:
            self._silence_ms = 0
            self._speech_end_s = frame.end_s
            return self._end() if self._too_long() else self._look()
        if self._ended and self._too_long():
            # An utterance never grows beyond that: further speech is a new one.
            self.reset()
            return None
        if self._speech_run_ms < _RESUME_MS:
            self._silence_ms += FRAME_MS
            return None
        self._resumed_at = max(
            0, len(self._frames) - _frames(min(self._silence_ms, self._settings.pre_roll_ms))
        )
        self._paused = self._ended = False
        self._silence_ms = 0
        self._speech_end_s = frame.end_s
        self.required_silence_ms = self._settings.unclear_ms
        return SpeechResumed()

    def _look(self) -> Event | None:
        every = self._settings.read_ahead_ms
        if not every or (len(self._frames) - self._looked_at) * FRAME_MS < every:
            return None
        self._looked_at = len(self._frames)
        return SpeechGoesOn(self._utterance())

    def _silence(self) -> Event | None:
        self._speech_run_ms = 0
        self._silence_ms += FRAME_MS
        if self._ended:
            return None
        if self._silence_ms >= self.required_silence_ms or self._too_long():
            return self._end()
        if not self._paused and self._silence_ms >= self._settings.pause_ms:
            self._paused = True
            if self._speech_ms >= self._settings.min_speech_ms:
                return SpeechPaused(self._utterance())
        return None

    def _end(self) -> Event:
        self._ended = True
        if self._speech_ms >= self._settings.min_speech_ms:
            return TurnEnded(self._utterance())
        self.reset()
        return NothingSaid()

    def _too_long(self) -> bool:
        return len(self._frames) * FRAME_MS >= self._settings.max_utterance_ms

    def _utterance(self) -> Utterance:
        pcm = np.concatenate([frame.pcm for frame in self._frames])
        return Utterance(pcm, self._speech_end_s, self._speech_ms)


def _frames(duration_ms: int) -> int:
    return max(1, duration_ms // FRAME_MS)


def required_silence_ms(transcript: Transcript, *, matched: bool, settings: EndpointSettings) -> int:
    """Return how long a silence after ``transcript`` ends the turn, in milliseconds.

    ``matched`` means that a skill understood it completely. A number at the very end of an unmatched text may
    continue (a telephone number, "twenty ... five") and is unfinished only if it looks dictated: digits and
    nothing else.
    """
    if matched:
        return settings.complete_ms
    text, finished = transcript.text, transcript.finished_probability
    words = [word.lower() for word in _WORD.findall(text)]
    if _asks_for_more(text, words, language(transcript.language)):
        return settings.unfinished_ms
    sounds_finished = finished is not None and finished >= _SURELY_FINISHED
    sounds_unfinished = finished is not None and finished < _NOT_FINISHED
    reads_finished = _FINAL.search(text) is not None and len(words) > 2
    if sounds_finished or (reads_finished and not sounds_unfinished):
        return settings.complete_ms
    return settings.unclear_ms


def _asks_for_more(text: str, words: list[str], rules: Language | None) -> bool:
    if not words:
        return False
    if _TRAILING.search(text) or _DICTATED.fullmatch(text.strip()):
        return True
    is_asked = text.rstrip().endswith("?")
    return rules is not None and (
        words[-1] in rules.open_words or (words[-1] in rules.open_unless_asked and not is_asked)
    )
