"""Which sample of what was played belongs to a frame that was heard.

Two clocks disagree by up to 100 ppm: a sample and a half in a second, which would spoil an echo
filter within a few. How far the echo lies from where the filter expects it is measured and
fed back, as a phase-locked loop does; the clocks of the devices are only believed while no echo
tells better, and when sound was lost. Pure; positions are samples at 16 kHz.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from assistant.audio.resample import Samples
from assistant.types import FRAME_SAMPLES

_LOST_SAMPLES = 480
"""The clocks jump by so much (30 ms) only when sound was lost; their own jitter is far below."""

_JITTER_SAMPLES = 32
"""The clocks are wrong by less (2 ms) when nothing is amiss; the echo, while there is any, is never."""

_CLOCK_PULL, _CLOCK_DRIFT_PULL = 0.02, 1e-4
"""How much of the clocks' opinion is followed in each frame: over a second their jitter averages out."""

_PULL, _DRIFT_PULL = 0.1, 0.002
"""How much of a measured lag is taken back in a frame, and how much changes the rate. Critically damped:
100 ppm are found within two seconds of speech; three times as much was unstable."""

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
    """``next`` says where to read; ``heard`` and ``moved`` tell it what became of that."""

    def __init__(self) -> None:
        self._position: float | None = None
        self._behind_clock = 0.0
        self._drift = 0.0
        self._locked = self._ever_locked = False
        self._cross: npt.NDArray[np.complexfloating] = np.zeros(FRAME_SAMPLES + 1, np.complex64)

    @property
    def drift_ppm(self) -> float:
        """How much faster than the microphone the speaker runs."""
        return self._drift * 1e6

    def next(self, clock_position: float) -> tuple[float, float]:
        """Position of the next frame's first sample and samples to go on by for each one heard.

        ``clock_position`` is where the device clocks say that it is.
        """
        if self._position is None:
            self._position = clock_position
        off = clock_position - self._position - self._behind_clock
        if abs(off) > _LOST_SAMPLES:
            self._position += off
        elif self._locked:
            self._behind_clock += _CLOCK_PULL * off
        elif not self._ever_locked or abs(off) > _JITTER_SAMPLES:
            self._position += _CLOCK_PULL * off
            self._drift_by(_CLOCK_DRIFT_PULL * off)
        self._locked = False
        position, step = self._position, 1 + self._drift
        self._position += FRAME_SAMPLES * step
        return position, step

    def heard(self, frame: Samples, echo: Samples) -> None:
        """The echo in this frame was expected to be ``echo``: notice when it comes too late or too early."""
        self._locked = self._ever_locked = True
        both = np.fft.rfft(np.stack([frame, echo]), 2 * FRAME_SAMPLES)
        self._cross = _MEMORY * self._cross + both[0] * both[1].conj()
        lag = min(max(_peak(self._cross), -_MOST_LAG), _MOST_LAG)
        if self._position is not None:
            self._position -= _PULL * lag
        self._drift_by(-_DRIFT_PULL * lag)

    def moved(self, samples: int) -> None:
        """Read so much earlier from now on."""
        if self._position is not None:
            self._position -= samples
        self._behind_clock += samples

    def _drift_by(self, samples: float) -> None:
        drift = self._drift + samples / FRAME_SAMPLES
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
    before, top, after = near[at - 1 : at + 2]
    return float(at - _LONGEST_LAG + 0.5 * (before - after) / (before - 2 * top + after))
