"""Mixes a noise into a recording at a level below the speech that is reported and reproducible.

The level of speech is its active level: the mean power of its 20 ms frames within 25 dB of the loudest one,
so that pauses don't lower it. The noise's level is its mean power. The recording is unchanged; the noise is
scaled, repeated if too short, and starts at a different place for each offset. If the sum would clip, both
are scaled down. Pure.
"""

from __future__ import annotations

import numpy as np

from assistant.core.types import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm16

_ACTIVE_DB = 25.0
"""Includes vowels and most consonants, but not pauses or the room noise in them."""

_FULL_SCALE = 32767


def active_power(pcm: Pcm16) -> float:
    """Return the mean square of the frames that contain speech."""
    samples = pcm.astype(np.float64)
    padded = np.concatenate([samples, np.zeros(-len(samples) % FRAME_SAMPLES)])
    power = np.square(padded).reshape(-1, FRAME_SAMPLES).mean(axis=1)
    return float(power[power >= power.max() * 10 ** (-_ACTIVE_DB / 10)].mean())


def with_noise(pcm: Pcm16, noise: Pcm16, *, snr_db: float, offset: float, around_s: float = 0.0) -> Pcm16:
    """Return ``pcm`` mixed with ``noise``, ``snr_db`` below its speech; the noise also lasts ``around_s``
    before and after. ``offset``, from 0 to 1, is where in the noise to start.
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
