"""Analyzes a recording of the room made while a known sound was played.

For ``assistant doctor --sound``: delay, gain, drift, noise and clipping, computed offline over the whole
recording. The canceller finds its delay during operation, from seconds of sound; this has all of it at once.
Pure; independent of devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from assistant.audio.resample import Samples
from assistant.core.types import SAMPLE_RATE_HZ

MOST_DELAY_S = 2.0
"""A Bluetooth speaker takes half a second; longer delays are not searched."""

_BLOCK_S = 0.05
"""A syllable; levels are measured over blocks of this length."""

_PART_S = 2.0
"""The delay is measured in parts of this length, to see whether it is stable."""

_SURE = 8.0
"""Required height of a correlation peak over its median deviation; noise reaches about 5."""

_GUESSES_PPM = (0, 4000, -4000, 7000, -7000, 10_000, -10_000)
"""Drifts to try; the correlation tolerates 2000 on either side."""

_FULL = 0.999
"""Fraction of full scale; two such samples in a row were clipped."""

_SILENT = 1e-9
"""Power below a hundredth of a 16-bit step: only zeros."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RoomCheck:
    """The results. Levels are decibels relative to full scale."""

    delay_ms: float | None
    """From the speaker's stream to the microphone's; None if no echo was found."""
    drift_ppm: float
    """How much faster the microphone's clock runs than the speaker's."""
    echo_db: float
    """Level while something is played."""
    noise_db: float
    """Level in the pauses."""
    alike: float
    """How similar the recording is to the played sound, unchanged: 0 to 1."""
    clipped: float
    """Share of samples at full scale during playback."""
    has_room: bool
    """True if anything but zeros was heard in the pauses."""


def check(played: Samples, heard: Samples) -> RoomCheck:
    """Compare what was sent to the speaker with the recording; both at 16 kHz, starting at the same time."""
    size = min(len(played), len(heard))
    gave, took = played[:size].astype(np.float64), heard[:size].astype(np.float64)
    delay, drift_ppm = _found(gave, took)
    shift = 0 if delay is None else max(0, round(delay))
    audible = _audible(gave, shift)
    sounding, pauses = took[audible], took[~_audible(gave, shift, linger_s=0.5)]
    return RoomCheck(
        delay_ms=None if delay is None else 1000 * delay / SAMPLE_RATE_HZ,
        drift_ppm=drift_ppm,
        echo_db=_db(sounding),
        noise_db=_db(pauses),
        alike=0.0 if delay is None else _alike(gave, took, delay, drift_ppm),
        clipped=_clipped(took),
        has_room=len(pauses) == 0 or float(np.square(pauses).mean()) > _SILENT,
    )


def delay_of(played: Floats, heard: Floats) -> float | None:
    """Return by how many samples ``heard`` lags ``played``, or None if it doesn't contain it.

    Correlates both spectra without their magnitudes: rooms color sound, and speech is repetitive, but only
    the true delay makes all frequencies agree.
    """
    most = round(MOST_DELAY_S * SAMPLE_RATE_HZ)
    size = 1 << (len(played) + len(heard) - 1).bit_length()
    first, second = np.fft.rfft(played, size), np.fft.rfft(heard, size)
    cross = second * np.conj(first)
    floor = 1e-3 * np.abs(cross).max()
    if not floor:
        return None
    match = np.fft.irfft(cross / (np.abs(cross) + floor), size)[:most]
    peak = int(np.abs(match).argmax())
    deviation = float(np.median(np.abs(match))) / 0.6745
    return float(peak) if abs(match[peak]) > _SURE * deviation else None


def _found(played: Floats, heard: Floats) -> tuple[float | None, float]:
    """Return delay and drift; if the rates differ so much that nothing matches, with that undone."""
    for guess_ppm in _GUESSES_PPM:
        at = np.arange(len(heard)) * (1 + guess_ppm * 1e-6)
        undone = np.interp(at, np.arange(len(heard)), heard, right=0.0) if guess_ppm else heard
        delay, drift_ppm = _line(_delays(played, undone))
        if delay is not None:
            late = delay + guess_ppm * 1e-6 * (len(heard) / 2)
            return late, drift_ppm + guess_ppm
    return None, 0.0


def _delays(played: Floats, heard: Floats) -> Sequence[tuple[float, float]]:
    """Return position and delay of each part in which the delay can be determined."""
    part, most = round(_PART_S * SAMPLE_RATE_HZ), round(MOST_DELAY_S * SAMPLE_RATE_HZ)
    found = []
    for begin in range(0, len(played) - part // 2, part // 2):
        piece = played[begin : begin + part]
        if _audible(piece, 0).mean() < 0.2:
            continue
        delay = delay_of(piece, heard[begin : begin + part + most])
        if delay is not None:
            found.append((begin + len(piece) / 2, delay))
    return found


def _line(delays: Sequence[tuple[float, float]]) -> tuple[float | None, float]:
    """Return the median delay and its rate of change (ppm), so one part may be wrong."""
    if len(delays) < 2:
        return None, 0.0
    at, late = np.array(delays).T
    slopes = [(late[j] - late[i]) / (at[j] - at[i]) for i in range(len(at)) for j in range(i + 1, len(at))]
    slope = float(np.median(slopes))
    rest = late - slope * at
    agree = np.abs(rest - np.median(rest)) < 0.003 * SAMPLE_RATE_HZ
    if agree.mean() < 0.5:
        return None, 0.0
    return float(np.median(late)), 1e6 * slope


def _audible(played: Floats, shift: int, linger_s: float = 0.0) -> npt.NDArray[np.bool_]:
    """Mark the samples during which something is played, ``shift`` later, and for a while after it."""
    block = round(_BLOCK_S * SAMPLE_RATE_HZ)
    whole = len(played) // block * block
    loud = np.square(played[:whole]).reshape(-1, block).mean(1) > 1e-7  # -70 dB
    linger = round(linger_s / _BLOCK_S)
    grown = np.convolve(loud, np.ones(linger + 1), "full")[: len(loud)] > 0
    samples = np.zeros(len(played), np.bool_)
    samples[:whole] = np.repeat(grown, block)
    moved = np.zeros_like(samples)
    moved[shift:] = samples[: len(samples) - shift]
    return moved


def _alike(played: Floats, heard: Floats, delay: float, drift_ppm: float) -> float:
    """Coherence at that delay, in parts too short for drift to matter: a room blurs it, a wire doesn't."""
    part = round(0.25 * SAMPLE_RATE_HZ)
    middle = len(played) / 2
    together = own = other = 0.0
    for begin in range(0, len(played) - part, part):
        late = round(delay + drift_ppm * 1e-6 * (begin - middle))
        piece, echo = played[begin : begin + part], heard[begin + late : begin + late + part]
        if late < 0 or len(echo) < part or np.square(piece).mean() < 1e-7:
            continue
        best = max(
            abs(float(piece[8:-8] @ heard[begin + late + k + 8 : begin + late + k + part - 8]))
            for k in range(-8, 9)
            if begin + late + k >= 0 and begin + late + k + part <= len(heard)
        )
        together, own, other = together + best, own + float(piece @ piece), other + float(echo @ echo)
    return together / float(np.sqrt(own * other)) if own and other else 0.0


def _clipped(heard: Floats) -> float:
    full = np.abs(heard) >= _FULL
    return float((full[1:] & full[:-1]).mean()) if len(full) > 1 else 0.0


def _db(samples: Floats) -> float:
    power = float(np.square(samples).mean()) if len(samples) else 0.0
    return float(10 * np.log10(power + 1e-12))
