"""Sample formats, rates and levels: converts any sound to 16-bit samples at the required rate.

Independent of files, devices and time.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import soxr

from assistant.core.types import SAMPLE_RATE_HZ, Pcm16, SpokenAudio

Samples: TypeAlias = npt.NDArray[np.float32]
"""Mono samples, shape (n,), float32; full scale is -1 to 1."""

KNEE = np.float32(0.9)
"""Fraction of full scale above which peaks are compressed: resampling can raise one by a tenth."""


def to_float(pcm: Pcm16) -> Samples:
    """Convert 16-bit samples to floats; ``to_pcm16`` restores exactly the same samples."""
    return pcm.astype(np.float32) / np.float32(32768)


def to_pcm16(samples: Samples) -> Pcm16:
    """Convert floats to 16-bit samples; values beyond full scale are clipped, NaN becomes silence."""
    audible = np.nan_to_num(samples, nan=0.0).clip(-1.0, 1.0)
    return np.rint(audible * np.float32(32768)).clip(-32768, 32767).astype(np.int16)


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Resample a whole piece of sound; its length in seconds stays the same."""
    if from_hz == to_hz or not len(samples):
        return samples
    converted: Samples = soxr.resample(samples, from_hz, to_hz)
    return converted


def at_volume(samples: Samples, volume: float) -> Samples:
    """Scale to a volume from 0 to 1, and compress peaks near full scale instead of clipping them.

    Hearing is relative: squaring turns half the volume into a quarter of the amplitude, about half as loud.
    """
    scaled = samples * np.float32(volume**2)
    over = np.maximum(np.abs(scaled) - KNEE, 0)
    bent = np.sign(scaled) * (KNEE + (1 - KNEE) * np.tanh(over / (1 - KNEE)))
    return np.where(over > 0, bent, scaled)


def rendered(audio: SpokenAudio, rate_hz: int, volume: float) -> Pcm16:
    """Return the samples that a speaker of that rate plays.

    Each sound is resampled separately: as a whole, it has no tail that would wait for the next.
    """
    return to_pcm16(at_volume(resample(to_float(audio.pcm), audio.sample_rate_hz, rate_hz), volume))


class LiveResampler:
    """Resamples a live stream to 16 kHz, with as little and as steady a delay as possible.

    soxr's usual mode works in large blocks: measured at 48 kHz, its output is 6 to 37 ms late, in bursts of
    two frames. Its variable-rate mode, held at one rate, is always 12.5 ms late (13.6 ms at 44.1 kHz),
    equally clean, for 18 us of work in every 10 ms.
    """

    def __init__(self, from_hz: int) -> None:
        self._stream = (
            None
            if from_hz == SAMPLE_RATE_HZ
            else soxr.ResampleStream(from_hz, SAMPLE_RATE_HZ, num_channels=1, dtype="float32", vr=True)
        )

    def feed(self, pcm: Pcm16) -> Pcm16:
        """Take samples at the stream's rate, and return those at 16 kHz that are ready.

        Sample n of the whole output is n/16000 s after the first sample that was fed.
        """
        if self._stream is None:
            return pcm
        return to_pcm16(self._stream.resample_chunk(to_float(pcm)))
