"""Which sample of what was played belongs to a frame that was heard.

Both are counted, so their distance changes only by what two crystals disagree, a sample and a half
in a second at most, which would spoil an echo filter within a few. How far the echo lies from
where the filter expects it is measured and fed back, as a phase-locked loop does. Jumps are found
elsewhere (``delay``). Pure; positions are samples at 16 kHz.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from assistant.audio.resample import Samples
from assistant.core.types import FRAME_SAMPLES

_PULL = 0.1
"""How much of a measured lag is taken back in a frame."""

_DRIFT_PULL, _AGREEMENT = 0.0006, 0.96
"""How much of the mean lag of the last half second changes the rate: one wrong measurement moves nothing.
100 ppm are found within four seconds of speech."""

_MOST_DRIFT = 3e-4
"""Crystals are off by 1e-4; what measures more is wrong."""

_LONGEST_LAG = 40
"""Samples looked at to either side: 2.5 ms, far more than a pause of some minutes brings."""

_MOST_LAG = 3.0
"""Samples believed at once; a wrong measurement does no harm then."""

_MEMORY = 0.8
"""Of the cross-spectrum: 100 ms, a syllable."""

_WHITENING = 0.7
"""Between 0, where loud low tones decide, and 1, where the noise of empty bins does."""


class Alignment:
    """``next`` says where to read; ``follow`` tells it what became of that."""

    def __init__(self) -> None:
        self.position = 0.0
        """In what was played, of the first sample of the frame that is heard next."""
        self._drift = self._lag = 0.0
        self._cross: npt.NDArray[np.complexfloating] = np.zeros(FRAME_SAMPLES + 1, np.complex64)

    @property
    def drift_ppm(self) -> float:
        """How much faster than the microphone the speaker runs."""
        return self._drift * 1e6

    def next(self) -> tuple[float, float]:
        """Return the position of the next frame's first sample, and the step from sample to sample."""
        position, step = self.position, 1 + self._drift
        self.position += FRAME_SAMPLES * step
        return position, step

    def place(self, position: float) -> None:
        """Go on from there: one of the streams has jumped."""
        self.position = position
        self._lag = 0.0
        self._cross[:] = 0

    def follow(self, frame: Samples, echo: Samples) -> None:
        """The echo in this frame was expected to be ``echo``: notice when it comes too late or too early."""
        both = np.fft.rfft(np.stack([frame, echo]), 2 * FRAME_SAMPLES)
        self._cross = _MEMORY * self._cross + both[0] * both[1].conj()
        lag = min(max(_peak(self._cross), -_MOST_LAG), _MOST_LAG)
        self._lag = _AGREEMENT * self._lag + (1 - _AGREEMENT) * lag
        self.position -= _PULL * lag
        drift = self._drift - _DRIFT_PULL * self._lag / FRAME_SAMPLES
        self._drift = min(max(drift, -_MOST_DRIFT), _MOST_DRIFT)


def _peak(cross: npt.NDArray[np.complexfloating]) -> float:
    """By how many samples the first of two signals is later; 0.0 when there is no telling."""
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
    """How far beside the highest of ``values``, at ``at``, their peak lies, -0.5 to 0.5: a parabola's."""
    if not 0 < at < len(values) - 1:
        return 0.0
    before, top, after = (float(value) for value in values[at - 1 : at + 2])
    curvature = before - 2 * top + after
    return 0.5 * (before - after) / curvature if curvature < 0 else 0.0
