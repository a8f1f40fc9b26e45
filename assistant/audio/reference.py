"""What the speaker plays, kept for a while so that its echo can be found in what is heard.

The speaker tells it on its own thread; it is read on the event loop, at any position and at a
rate that may differ a little, since no two devices' clocks agree. It knows nothing of echoes.
"""

from __future__ import annotations

import math

import numpy as np

from assistant.audio.resample import LiveResampler, Samples, to_float
from assistant.audio.ring import Ring
from assistant.audio.sample_clock import SampleClock
from assistant.types import SAMPLE_RATE_HZ, Pcm16

KEPT_S = 2.0
"""Echoes come within half a second; the rest is for a loop that is held up."""

_RING_S = 5
"""As the microphone's: what is kept when the event loop is held up."""

_TAPS = 16
"""Of the interpolation: the error is below -60 dB up to 7 kHz."""


class Reference:
    """Of the speaker that called ``begin`` last."""

    def __init__(self) -> None:
        self._stream: Played | None = None

    def begin(self, rate_hz: int) -> Played:
        """A speaker is opened; it tells the result what it plays. What was before is forgotten."""
        self._stream = Played(rate_hz)
        return self._stream

    def position_at(self, at_s: float) -> float:
        """Which sample, counted at 16 kHz, sounds at that time; NaN while nothing was ever played."""
        return self._stream.position_at(at_s) if self._stream else math.nan

    def read(self, position: float, step: float, count: int) -> Samples:
        """``count`` samples from ``position`` on, each ``step`` after the last; unknown ones are silence."""
        return self._stream.read(position, step, count) if self._stream else np.zeros(count, np.float32)


class Played:
    """One stream of a speaker, from its opening to its closing."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._ring = Ring(_RING_S * rate_hz)
        self._told = (0, 0.0)
        """How many samples were told of, and when the last of them may be heard."""
        self._clock = SampleClock(rate_hz)
        self._resampler = LiveResampler(rate_hz)
        self._kept: Samples = np.zeros(round(KEPT_S * SAMPLE_RATE_HZ), np.float32)
        self._end = 0
        """Position behind the last sample kept."""

    def tell(self, block: Pcm16, begins_s: float) -> None:
        """On the speaker's thread: the next samples, silence included, at the speaker's rate.

        ``begins_s`` is the earliest time, on the loop's clock, at which the first may be heard.
        """
        self._ring.write(block)
        self._told = (self._ring.written, begins_s + len(block) / self._rate_hz)

    def position_at(self, at_s: float) -> float:
        self._take()
        if not self._told[0]:
            return math.nan
        return (at_s - self._clock.time_of(0)) * SAMPLE_RATE_HZ

    def read(self, position: float, step: float, count: int) -> Samples:
        self._take()
        begin = math.floor(position)
        early, late = position - begin, position - begin + (step - 1) * count
        around = self._between(begin - _TAPS // 2 + 1, count + _TAPS - 1)
        # The fraction hardly changes within a frame: two filters, one fading into the other.
        fade = np.arange(count, dtype=np.float32) / np.float32(count)
        first, last = _delayed(around, early), _delayed(around, late)
        return first + fade * (last - first)

    def _between(self, begin: int, count: int) -> Samples:
        """Samples as they were played, silence where none is known."""
        first = begin - (self._end - len(self._kept))
        found = self._kept[max(0, first) : max(0, first + count)]
        before = min(count, max(0, -first))
        return np.pad(found, (before, count - before - len(found)))

    def _take(self) -> None:
        """Bring what was told to 16 kHz."""
        told = self._told
        if not told[0]:
            return
        self._clock.block_arrived(*told)
        new = to_float(self._resampler.feed(self._ring.read()))
        self._end += len(new)
        if len(new):
            self._kept = np.concatenate([self._kept, new])[-len(self._kept) :]


def _delayed(samples: Samples, fraction: float) -> Samples:
    """The samples that lie ``fraction`` behind each but the first and last few."""
    distance = np.arange(1 - _TAPS // 2, 1 + _TAPS // 2) - fraction
    weights = np.sinc(distance) * np.cos(np.pi * distance / (_TAPS + 2)) ** 2
    return np.correlate(samples, weights.astype(np.float32), "valid")
