"""What a recording of the room tells, made while a known sound was played into it.

For ``assistant doctor --sound``: delay, gain, drift, noise and clipping, found offline over the whole
recording. The canceller finds its delay while it runs, from seconds of sound; this has all of it at once.
Pure: knows no devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from assistant.audio.resample import Samples
from assistant.core.types import SAMPLE_RATE_HZ

MOST_DELAY_S = 2.0
"""A Bluetooth speaker takes half a second; more is not looked for."""

_BLOCK_S = 0.05
"""A syllable; levels are those of such pieces."""

_PART_S = 2.0
"""The delay is looked for in so much sound, to see whether it stays."""

_SURE = 8.0
"""The peak of a correlation over its own median deviation, before it is believed; of noise it is about 5."""

_GUESSES_PPM = (0, 4000, -4000, 7000, -7000, 10_000, -10_000)
"""Drifts that are tried; 2000 more or less still agree well enough to be found."""

_FULL = 0.999
"""Of full scale; two such samples in a row were cut off."""

_SILENT = 1e-9
"""Power below a hundredth of a 16-bit step: only zeros."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RoomCheck:
    """Levels are decibels of full scale, over all of what is named."""

    delay_ms: float | None
    """From the speaker's stream to the microphone's; None when no echo was found."""
    drift_ppm: float
    """How much faster the microphone's clock runs than the speaker's."""
    echo_db: float
    """Of what is heard while something is played."""
    noise_db: float
    """Of what is heard in the pauses."""
    alike: float
    """How far what is heard is the played sound itself, unchanged: 0 to 1."""
    clipped: float
    """Share of the samples heard meanwhile that are at full scale."""
    has_room: bool
    """Whether anything but zeros was heard in the pauses."""


def check(played: Samples, heard: Samples) -> RoomCheck:
    """Compare what a speaker was given with what the microphone heard, at 16 kHz and from one moment on."""
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
    """By how many samples ``heard`` is behind ``played``; None when it holds nothing of it.

    The correlation of both spectra with their size taken out: rooms colour a sound, and speech is full of
    repetition, but only the true delay has all frequencies agree.
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
    """Delay and drift; where the rates differ so much that nothing agrees for a second, with that undone."""
    for guess_ppm in _GUESSES_PPM:
        at = np.arange(len(heard)) * (1 + guess_ppm * 1e-6)
        undone = np.interp(at, np.arange(len(heard)), heard, right=0.0) if guess_ppm else heard
        delay, drift_ppm = _line(_delays(played, undone))
        if delay is not None:
            late = delay + guess_ppm * 1e-6 * (len(heard) / 2)
            return late, drift_ppm + guess_ppm
    return None, 0.0


def _delays(played: Floats, heard: Floats) -> Sequence[tuple[float, float]]:
    """Where in the recording, and how late; of the parts in which that can be told."""
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
    """The delay in the middle, and by how much it changes (ppm): medians, so that one part may be wrong."""
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
    """Which samples are heard while something is played, ``shift`` later, and for a while behind it."""
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
    """Coherence at that delay, in parts too short for drift to matter: a room blurs it, a wire does not."""
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
