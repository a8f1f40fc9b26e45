"""Which frames are worth a wake word network's time: those around speech.

The network costs fifty times what speech detection does. So it sleeps until speech is detected,
is then given what came just before, and sleeps again after a while without speech. For the
network the silence in between never was. Pure: knows neither the network nor the detector.
"""

from __future__ import annotations

from collections import deque

from assistant.types import FRAME_MS, Pcm16

_OPEN_FRAMES, _OPEN_WINDOW = 3, 6
"""Speech in so many of the latest frames opens the gate: 60 ms within 120 ms, a fraction of any syllable."""

_BEFORE_FRAMES = 600 // FRAME_MS
"""Sound from before the gate opened: detectors are late when a word begins softly ("hey")."""

_STAY_FRAMES = 1000 // FRAME_MS
"""The gate stays open this long after speech: words have pauses, and networks answer after the word."""

_AT_ONCE = 8
"""Frames given at once while catching up, two steps of the network: more would hold up everything else."""


class WakeGate:
    """Give it every frame; it returns those that the network shall hear now, in order."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Close, and forget what was heard."""
        self._waiting: deque[Pcm16] = deque(maxlen=_BEFORE_FRAMES)
        self._latest: deque[bool] = deque(maxlen=_OPEN_WINDOW)
        self._open_frames = 0
        """How many more frames the gate stays open."""

    def push(self, pcm: Pcm16, *, is_speech: bool) -> list[Pcm16]:
        """Take the next frame. Returns nothing while closed, several while catching up."""
        self._waiting.append(pcm)
        self._latest.append(is_speech)
        self._open_frames -= 1
        if sum(self._latest) >= _OPEN_FRAMES:
            self._open_frames = _STAY_FRAMES
        if self._open_frames <= 0:
            return []
        return [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
