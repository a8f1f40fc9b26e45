"""Converts sample counts to times on the event loop's clock.

Pure: receives times and returns times.
"""

from __future__ import annotations

import math


class SampleClock:
    """Estimates when a sample was heard from the arrival times of blocks.

    Blocks may arrive late and in bursts, but never early, so the earliest one is trusted. The estimate drifts
    slowly, since no sound card's crystal agrees with the computer's, and jumps when a block is so late that
    samples must have been lost before it. PortAudio's own time stamps don't help: through ALSA's plugins they
    were wrong by 20 to 200 ms.
    """

    MOST_DRIFT = 0.001
    """Crystals are off by 0.0001 at most."""
    GAP_S = 0.1

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._begin_s = math.inf
        self._count = 0

    def block_arrived(self, count: int, at_s: float) -> None:
        """Record that ``count`` samples in total had arrived at ``at_s``."""
        begin_s = at_s - count / self._rate_hz
        if begin_s > self._begin_s + self.GAP_S:
            self._begin_s = begin_s
        leak_s = self.MOST_DRIFT * (count - self._count) / self._rate_hz
        self._begin_s = min(begin_s, self._begin_s + leak_s)
        self._count = count

    def time_of(self, count: float) -> float:
        """Return when the ``count``-th sample was heard."""
        return self._begin_s + count / self._rate_hz
