"""Finds the delay from the speaker to the microphone from the sound alone.

Generalized cross-correlation with phase transform (Knapp and Carter 1976) of the last 0.4 s heard with
everything that could have caused it; the evidence of several measurements adds up. It needs no clock. Pure:
samples in, delay out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from assistant.audio.resample import Samples
from assistant.core.types import SAMPLE_RATE_HZ

HEARD_SAMPLES = 2 * SAMPLE_RATE_HZ // 5
"""Microphone sound compared in one measurement: 0.4 s, two syllables."""

RANGE_SAMPLES = SAMPLE_RATE_HZ
"""Longest delay found: a second, though no filter can use more than half of that."""

_SIZE = 1 << (HEARD_SAMPLES + HEARD_SAMPLES + RANGE_SAMPLES - 1).bit_length()

_LOWEST_HZ, _HIGHEST_HZ = 200, 6000
"""Below, rooms hum; above, the two devices' own filters differ and speech is weak."""

_WHITENING = 0.85
"""For each bin's magnitude: at 1 the noise of empty bins decides, at 0 the pitch of a vowel."""

_MEMORY = 0.7
"""For the evidence, between measurements."""

_SURE = 9.0
"""Height the peak must reach, in deviations of the evidence: by chance, 16,000 delays reach 4.3."""

_CLEARLY = 1.3
"""How much higher it must be than any other peak; a room's strongest reflection may come close."""

_PEAK_SAMPLES = 32
"""Two milliseconds on either side belong to the same peak."""


@dataclass(frozen=True, slots=True)
class Delay:
    """A delay found in the sound itself."""

    samples: int
    """Microphone position minus played position; any integer."""
    height: float
    """Height of its peak, in deviations of the evidence."""


class DelayEstimator:
    """Adds up measurements; call ``forget`` when one of the streams restarts."""

    def __init__(self) -> None:
        hz = np.fft.rfftfreq(_SIZE, 1 / SAMPLE_RATE_HZ)
        self._band = (hz >= _LOWEST_HZ) & (hz <= _HIGHEST_HZ)
        self.forget()

    def forget(self) -> None:
        """Drop all evidence."""
        self._evidence: npt.NDArray[np.float64] = np.zeros(RANGE_SAMPLES)
        self._weight = 0.0
        self._longest = 0

    def look(self, heard: Samples, heard_at: int, played: Samples, played_at: int) -> Delay | None:
        """Return the delay that the evidence shows so far, or None.

        ``heard`` is HEARD_SAMPLES long, ``played`` RANGE_SAMPLES longer; ``heard_at`` and ``played_at`` are
        the positions of their first samples, so the delays considered go from ``heard_at - played_at`` down.
        """
        self._move_to(heard_at - played_at)
        spectra = np.fft.rfft(np.stack([np.pad(heard, (0, len(played) - len(heard))), played]), _SIZE)
        cross = spectra[1] * spectra[0].conj() * self._band
        magnitude = np.abs(cross)
        if not magnitude.max() > 0:
            return None
        cross /= (magnitude + 1e-9 * magnitude.max()) ** _WHITENING
        found = np.fft.irfft(cross)[:RANGE_SAMPLES]
        self._evidence = _MEMORY * self._evidence + found / found.std()
        self._weight = _MEMORY**2 * self._weight + 1
        return self._shown()

    def _move_to(self, longest: int) -> None:
        """Shift the evidence along with the range of delays considered."""
        by, self._longest = longest - self._longest, longest
        if abs(by) >= RANGE_SAMPLES:
            self._evidence[:] = self._weight = 0
        elif by:
            self._evidence = np.roll(self._evidence, by)
            self._evidence[slice(0, by) if by > 0 else slice(by, None)] = 0

    def _shown(self) -> Delay | None:
        at = int(self._evidence.argmax())
        height = self._evidence[at] / np.sqrt(self._weight)
        near = slice(max(0, at - _PEAK_SAMPLES), at + _PEAK_SAMPLES + 1)
        others = self._evidence.copy()
        others[near] = 0
        if height < _SURE or self._evidence[at] < _CLEARLY * others.max():
            return None
        return Delay(self._longest - at, float(height))
