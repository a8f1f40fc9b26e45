"""What the speaker plays, kept for a while so that its echo can be found in what is heard.

The speaker tells it on its own thread; it is read on the event loop. Positions count samples at 16 kHz
from the speaker's opening and know no time: the sound devices' clocks jump by milliseconds, but the
samples that a stream has taken are counted exactly. It knows nothing of echoes.
"""

from __future__ import annotations

import math

import numpy as np

from assistant.audio.resample import LiveResampler, Samples, to_float
from assistant.audio.ring import Ring
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16

KEPT_S = 4.0
"""An echo may come a second after it was told of (Bluetooth), and the event loop may be held up."""

_RING_S = 5
"""As the microphone's: what is kept when the event loop is held up."""

_SETTLED_S = KEPT_S + 1
"""After so much silence neither what is kept nor the resampler holds anything else."""

_TAPS = 16
"""Of the interpolation: the error is below -60 dB up to 7 kHz."""

REACH = _TAPS // 2
"""Samples beyond the last one wanted that ``read`` needs."""


class Reference:
    """The stream of the speaker that called ``begin`` last."""

    def __init__(self) -> None:
        self.stream: Played | None = None
        """None until a speaker is opened; another one each time it is."""

    def begin(self, rate_hz: int, device: str = "") -> Played:
        """Open a stream of the device with this name; the speaker tells the result what it plays."""
        self.stream = Played(rate_hz, device)
        return self.stream


class Played:
    """One stream of a speaker, from its opening to its closing."""

    def __init__(self, rate_hz: int, device: str) -> None:
        self.device = device
        self._rate_hz = rate_hz
        self._ring = Ring(_RING_S * rate_hz)
        self._audible = -math.inf
        """Samples that had been told of when the last block came that was not silence."""
        self._resampler = LiveResampler(rate_hz)
        self._kept: Samples = np.zeros(round(KEPT_S * SAMPLE_RATE_HZ), np.float32)
        self.end = 0
        """Position behind the last sample that can be read, as of the last ``take``."""

    def tell(self, block: Pcm16) -> None:
        """Take the next samples, silence included, at the speaker's rate; on the speaker's thread."""
        if block.any():
            self._audible = self._ring.written + len(block)  # before the reader can see them
        self._ring.write(block)

    def tell_silence(self, count: int) -> None:
        """Like ``tell`` of so many zeros."""
        self._ring.write_silence(count)

    @property
    def silent_s(self) -> float:
        """For how long only silence has been told of."""
        return max(0.0, self._ring.written - self._audible) / self._rate_hz

    def take(self) -> None:
        """Bring what was told of to 16 kHz; once for all ``read`` calls of a frame."""
        unread, silent_s = self._ring.unread, self.silent_s
        if silent_s > unread / self._rate_hz + _SETTLED_S:
            self._skip(unread)
            return
        new = to_float(self._resampler.feed(self._ring.read()))[-len(self._kept) :]
        if len(new):
            self.end += len(new)
            self._kept[: -len(new)] = self._kept[len(new) :]
            self._kept[-len(new) :] = new

    def _skip(self, count: int) -> None:
        """Count silence behind silence: to resample it would cost more than all else in a quiet room."""
        together = math.gcd(self._rate_hz, SAMPLE_RATE_HZ)
        steps = count // (self._rate_hz // together)  # whole ones, so that the resampler's phase stays
        self._ring.skip(steps * (self._rate_hz // together))
        self.end += steps * (SAMPLE_RATE_HZ // together)

    def read(self, position: float, step: float, count: int) -> Samples:
        """Return ``count`` samples from ``position`` on, each ``step`` after the last; unknown ones are 0.

        Shape (count,), float32.
        """
        begin = math.floor(position)
        early, late = position - begin, position - begin + (step - 1) * count
        if not early and not late:
            return self.between(begin, count)
        around = self.between(begin - REACH + 1, count + _TAPS - 1)
        # The fraction hardly changes within a frame: two filters, one fading into the other.
        first, last = _delayed(around, early), _delayed(around, late)
        fade = np.arange(count, dtype=np.float32) / np.float32(count)
        return first + fade * (last - first)

    def between(self, begin: int, count: int) -> Samples:
        """Return ``count`` samples as they were played, 0 where none is known."""
        first = begin - (self.end - len(self._kept))
        found = self._kept[max(0, first) : max(0, first + count)]
        before = min(count, max(0, -first))
        return np.pad(found, (before, count - before - len(found)))


def _delayed(samples: Samples, fraction: float) -> Samples:
    """The samples that lie ``fraction`` behind each but the first and last few."""
    distance = np.arange(1 - REACH, 1 + REACH) - fraction
    weights = np.sinc(distance) * np.cos(np.pi * distance / (_TAPS + 2)) ** 2
    return np.correlate(samples, weights.astype(np.float32), "valid")
