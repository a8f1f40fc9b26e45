"""Recordings with a noise behind them, at a level below the speech that can be told and made again.

The level of speech is its active level: the mean power of its frames of 20 ms within 25 dB of the loudest
one, so that pauses make nobody softer. The noise's level is its mean power. The recording stays as it
is and the noise is scaled, goes round where it is too short, and begins somewhere else for each offset;
where the sum would clip, both are turned down. Pure.
"""

from __future__ import annotations

import numpy as np

from assistant.core.types import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm16

_ACTIVE_DB = 25.0
"""Vowels and most consonants; not the pauses, nor the room in them."""

_FULL_SCALE = 32767


def active_power(pcm: Pcm16) -> float:
    """Mean square of the frames in which somebody speaks."""
    samples = pcm.astype(np.float64)
    padded = np.concatenate([samples, np.zeros(-len(samples) % FRAME_SAMPLES)])
    power = np.square(padded).reshape(-1, FRAME_SAMPLES).mean(axis=1)
    return float(power[power >= power.max() * 10 ** (-_ACTIVE_DB / 10)].mean())


def with_noise(pcm: Pcm16, noise: Pcm16, *, snr_db: float, offset: float, around_s: float = 0.0) -> Pcm16:
    """``pcm`` with ``noise`` behind it, ``snr_db`` below its speech; the noise also lasts ``around_s`` before
    and after. ``offset``, from 0 to 1, is where in the noise it begins.
    """
    around = np.zeros(round(around_s * SAMPLE_RATE_HZ))
    speech = np.concatenate([around, pcm.astype(np.float64), around])
    begin = round(offset * len(noise))
    behind = np.take(noise.astype(np.float64), np.arange(begin, begin + len(speech)), mode="wrap")
    noise_power = float(np.square(noise.astype(np.float64)).mean())
    gain = np.sqrt(active_power(pcm) / noise_power / 10 ** (snr_db / 10)) if noise_power else 0.0
    both = speech + gain * behind
    loudest = float(np.abs(both).max(initial=0.0))
    if loudest > _FULL_SCALE:
        both *= _FULL_SCALE / loudest
    mixed: Pcm16 = np.round(both).astype(np.int16)
    return mixed
