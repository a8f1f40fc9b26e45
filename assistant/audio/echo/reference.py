"""Keeps what the speaker plays for a while, so its echo can be found in the microphone signal.

The speaker writes on its own thread; reads happen on the event loop. Positions count samples at 16 kHz from
the speaker's opening, without time: the sound devices' clocks jump by milliseconds, but the samples that a
stream has taken are counted exactly. Independent of echoes.
"""

from __future__ import annotations

import math

import numpy as np

from assistant.audio.resample import LiveResampler, Samples, to_float
from assistant.audio.ring import Ring
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16

KEPT_S = 4.0
"""An echo may arrive a second after its sound (Bluetooth), and the event loop may be delayed."""

_RING_S = 5
"""Like the microphone's: kept while the event loop is delayed."""

_SETTLED_S = KEPT_S + 1
"""After this much silence, neither the buffer nor the resampler contains anything else."""

_TAPS = 16
"""For interpolation: the error is below -60 dB up to 7 kHz."""

REACH = _TAPS // 2
"""Samples beyond the last requested one that ``read`` needs."""


class Reference:
    """The stream of the speaker that called ``begin`` last."""

    def __init__(self) -> None:
        self.stream: Played | None = None
        """None until a speaker is opened; replaced each time one is."""

    def begin(self, rate_hz: int, device: str = "") -> Played:
        """Start a stream for the device with this name; the speaker passes what it plays to the result."""
        self.stream = Played(rate_hz, device)
        return self.stream


class Played:
    """One stream of a speaker, from its opening to its closing."""

    def __init__(self, rate_hz: int, device: str) -> None:
        self.device = device
        self._rate_hz = rate_hz
        self._ring = Ring(_RING_S * rate_hz)
        self._audible = -math.inf
        """Samples received when the last block that wasn't silence arrived."""
        self._resampler = LiveResampler(rate_hz)
        self._kept: Samples = np.zeros(round(KEPT_S * SAMPLE_RATE_HZ), np.float32)
        self.end = 0
        """Position after the last readable sample, as of the last ``take``."""

    def tell(self, block: Pcm16) -> None:
        """Receive the next samples, silence included, at the speaker's rate; on the speaker's thread."""
        if block.any():
            self._audible = self._ring.written + len(block)  # before the reader can see them
        self._ring.write(block)

    def tell_silence(self, count: int) -> None:
        """Like ``tell`` with that many zeros."""
        self._ring.write_silence(count)

    @property
    def silent_s(self) -> float:
        """How long only silence has been played."""
        return max(0.0, self._ring.written - self._audible) / self._rate_hz

    def take(self) -> None:
        """Resample what was received to 16 kHz; once for all ``read`` calls of a frame."""
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
        """Count silence after silence: resampling it would cost more than everything else in a quiet room."""
        together = math.gcd(self._rate_hz, SAMPLE_RATE_HZ)
        steps = count // (self._rate_hz // together)  # whole ones, which keeps the resampler's phase
        self._ring.skip(steps * (self._rate_hz // together))
        self.end += steps * (SAMPLE_RATE_HZ // together)

    def read(self, position: float, step: float, count: int) -> Samples:
        """Return ``count`` samples from ``position`` on, ``step`` apart; unknown ones are 0.

        Shape (count,), float32.
        """
        begin = math.floor(position)
        early, late = position - begin, position - begin + (step - 1) * count
        if not early and not late:
            return self.between(begin, count)
        around = self.between(begin - REACH + 1, count + _TAPS - 1)
        # The fraction hardly changes within a frame: two filters, crossfaded.
        first, last = _delayed(around, early), _delayed(around, late)
        fade = np.arange(count, dtype=np.float32) / np.float32(count)
        return first + fade * (last - first)

    def between(self, begin: int, count: int) -> Samples:
        """Return ``count`` samples as they were played; unknown ones are 0."""
        first = begin - (self.end - len(self._kept))
        found = self._kept[max(0, first) : max(0, first + count)]
        before = min(count, max(0, -first))
        return np.pad(found, (before, count - before - len(found)))


def _delayed(samples: Samples, fraction: float) -> Samples:
    """Return the samples delayed by ``fraction``, without the first and last few."""
    distance = np.arange(1 - REACH, 1 + REACH) - fraction
    weights = np.sinc(distance) * np.cos(np.pi * distance / (_TAPS + 2)) ** 2
    return np.correlate(samples, weights.astype(np.float32), "valid")
