"""Two detectors in series: a cheap one that detects everything wakes a good one that decides.

The cheap one takes steady noise for speech: with a fan in the room, WebRTC's detected the end of speech 3 s
late (median of 74 recordings followed by noise), Silero's 50 ms. The good one costs 20 times as much, so it
sleeps while nothing is heard, which in a quiet room is most of the day. Knows both only as VADs.
"""

from __future__ import annotations

from collections import deque

from assistant.core.types import FRAME_MS, Pcm16
from assistant.engines import Vad

_STAY_FRAMES = 200 // FRAME_MS
"""The second detector stays awake this long, because words contain short stops."""

_BEFORE_FRAMES = 120 // FRAME_MS
"""Earlier sound that the second detector gets on waking: it needs a few steps to be sure."""


class ConfirmedVad:
    """Speech is what ``first`` has just detected and ``second`` confirms."""

    def __init__(self, first: Vad, second: Vad) -> None:
        self._first = first
        self._second = second
        self._missed: deque[Pcm16] = deque(maxlen=_BEFORE_FRAMES)
        self._awake_frames = 0

    def speech_probability(self, pcm: Pcm16) -> float:
        """Process one frame, shape (320,), int16 at 16 kHz; the second detector's result, 0.0 while it
        sleeps.
        """
        heard = self._first.speech_probability(pcm) > 0.0
        self._awake_frames = _STAY_FRAMES if heard else self._awake_frames - 1
        self._missed.append(pcm)
        if self._awake_frames <= 0:
            return 0.0
        while len(self._missed) > 1:
            self._second.speech_probability(self._missed.popleft())
        return self._second.speech_probability(self._missed.popleft())

    def reset(self) -> None:
        self._first.reset()
        self._second.reset()
        self._missed.clear()
        self._awake_frames = 0

    def warm_up(self) -> None:
        self._first.warm_up()
        self._second.warm_up()

    def close(self) -> None:
        self._first.close()
        self._second.close()
