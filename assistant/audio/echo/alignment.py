"""Which sample of the played sound belongs to a frame from the microphone.

Both streams are counted, so their offset changes only by the difference of two crystals: at most a sample and
a half per second, which would still spoil an echo filter within seconds. The distance of the echo from where
the filter expects it is measured and fed back, as in a phase-locked loop. ``delay`` handles jumps. Pure;
positions are samples at 16 kHz.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from assistant.audio.resample import Samples
from assistant.core.types import FRAME_SAMPLES

_PULL = 0.1
"""Share of a measured lag that is corrected in one frame."""

_DRIFT_PULL, _AGREEMENT = 0.0006, 0.96
"""Share of the mean lag of the last half second that changes the rate: a single wrong measurement changes
nothing. 100 ppm are found within four seconds of speech.
"""

_MOST_DRIFT = 3e-4
"""Crystals are off by 1e-4; a higher measurement is wrong."""

_LONGEST_LAG = 40
"""Samples examined on either side: 2.5 ms, far more than builds up in a pause of several minutes."""

_MOST_LAG = 3.0
"""Samples accepted at once, so a wrong measurement does no harm."""

_MEMORY = 0.8
"""For the cross-spectrum: 100 ms, a syllable."""

_WHITENING = 0.7
"""Between 0, where loud low tones decide, and 1, where the noise of empty bins does."""


class Alignment:
    """``next`` returns where to read; ``follow`` corrects that from the result."""

    def __init__(self) -> None:
        self.position = 0.0
        """Position in the played sound of the next frame's first sample."""
        self._drift = self._lag = 0.0
        self._cross: npt.NDArray[np.complexfloating] = np.zeros(FRAME_SAMPLES + 1, np.complex64)

    @property
    def drift_ppm(self) -> float:
        """How much faster the speaker's clock runs than the microphone's."""
        return self._drift * 1e6

    def next(self) -> tuple[float, float]:
        """Return the position of the next frame's first sample, and the step from sample to sample."""
        position, step = self.position, 1 + self._drift
        self.position += FRAME_SAMPLES * step
        return position, step

    def place(self, position: float) -> None:
        """Continue from ``position``, because one of the streams has jumped."""
        self.position = position
        self._lag = 0.0
        self._cross[:] = 0

    def follow(self, frame: Samples, echo: Samples) -> None:
        """Compare the frame with its expected ``echo``, and correct a lead or lag."""
        both = np.fft.rfft(np.stack([frame, echo]), 2 * FRAME_SAMPLES)
        self._cross = _MEMORY * self._cross + both[0] * both[1].conj()
        lag = min(max(_peak(self._cross), -_MOST_LAG), _MOST_LAG)
        self._lag = _AGREEMENT * self._lag + (1 - _AGREEMENT) * lag
        self.position -= _PULL * lag
        drift = self._drift - _DRIFT_PULL * self._lag / FRAME_SAMPLES
        self._drift = min(max(drift, -_MOST_DRIFT), _MOST_DRIFT)


def _peak(cross: npt.NDArray[np.complexfloating]) -> float:
    """Return by how many samples the first of two signals is later; 0.0 if unclear."""
    magnitude = np.abs(cross)
    loudest = magnitude.max()
    if not loudest:
        return 0.0
    correlation = np.fft.irfft(cross / (magnitude + 1e-6 * loudest) ** _WHITENING)
    near = np.concatenate([correlation[-_LONGEST_LAG:], correlation[: _LONGEST_LAG + 1]])
    at = int(near.argmax())
    if not 0 < at < len(near) - 1:
        return 0.0
    return at - _LONGEST_LAG + beside_peak(near, at)


def beside_peak(values: npt.NDArray[np.floating], at: int) -> float:
    """Return the offset of the true peak from the highest value at ``at``, -0.5 to 0.5, by a parabola."""
    if not 0 < at < len(values) - 1:
        return 0.0
    before, top, after = (float(value) for value in values[at - 1 : at + 2])
    curvature = before - 2 * top + after
    return 0.5 * (before - after) / curvature if curvature < 0 else 0.0
