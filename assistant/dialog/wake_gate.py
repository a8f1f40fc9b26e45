"""Selects the frames that the wake word network processes: those around speech.

The network costs fifty times as much as speech detection. So it sleeps until speech is detected, then gets
the sound from just before, and sleeps again after a while without speech. The network never sees the silence
in between. Pure: knows neither the network nor the detector.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from assistant.core.types import FRAME_MS, Pcm16

_OPEN_FRAMES, _OPEN_WINDOW = 5, 8
"""Speech in this many of the latest frames opens the gate: 100 ms within 160 ms is less than a syllable,
and more than most noises that a detector takes for speech in a quiet room.
"""

_BEFORE_FRAMES = 700 // FRAME_MS
"""Sound from before the gate opened: detectors are late when a word begins softly ("hey")."""

_STAY_FRAMES = 1000 // FRAME_MS
"""The gate stays open this long after speech: words have pauses, and networks respond after the word."""

_AT_ONCE = 8
"""Frames returned at once while catching up, one step of the network: more would delay everything else."""


class WakeGate:
    """Takes every frame, and returns those that the network should process now, in order."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Close it, and forget what was heard."""
        self._waiting: deque[Pcm16] = deque(maxlen=_BEFORE_FRAMES)
        self._latest: deque[bool] = deque(maxlen=_OPEN_WINDOW)
        self._open_frames = 0
        """How many more frames the gate stays open."""

    def push(self, pcm: Pcm16, *, is_speech: bool) -> list[Pcm16]:
        """Process the next frame. Returns nothing while closed, several frames while catching up."""
        self._waiting.append(pcm)
        self._latest.append(is_speech)
        self._open_frames -= 1
        if sum(self._latest) >= _OPEN_FRAMES:
            self._open_frames = _STAY_FRAMES
        if self._open_frames <= 0:
            return []
        return [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]


def end_of_speech(latest: Sequence[bool], silent_frames: int) -> int | None:
    """Return where, among the latest frames, the last silence of that length began; None without one."""
    end = len(latest)
    while end:
        start = end
        while start and not latest[start - 1]:
            start -= 1
        if end - start >= silent_frames:
            return start
        end = start - 1 if start else 0
    return None
