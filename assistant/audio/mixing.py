"""From the channels of a recording to one: those with speech, rightly scaled, without a constant offset."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assistant.audio.resample import Samples
from assistant.core.types import Pcm16

_FRAME = 320
"""Samples; how long is a moment, for the difference between loud and quiet ones."""
_SILENT = 1e-5
"""Root mean square below which a channel is empty."""
_LESS_CLEAR_DB = 10.0
"""A channel whose loud and quiet moments differ by so much less than the best one's has noise in it."""
_OPPOSED = -0.3
"""Channels that correlate less than this cancel each other."""
_SCALES = (1.0, 2.0**15, 2.0**23, 2.0**31)
"""What full scale is in files that hold whole numbers as floats."""
_NEAR = 32.0
"""Times full scale: above this it is no loud recording but another scale."""
_LEAST = 4000
"""Samples; less says nothing of scales and offsets."""
_LEAST_OFFSET = 0.01
_FOLLOWS = 0.02
"""How much of a moment's offset is taken over."""


class Mix:
    """Turns blocks of one recording, shape (frames, channels), into mono; within -1 to 1."""

    def __init__(self, first: Samples) -> None:
        """``first`` is its first block, which decides what is mixed."""
        clean = _finite(first).clip(-2.0 * _SCALES[-1], 2.0 * _SCALES[-1])
        level = float(np.percentile(np.abs(clean), 99)) if len(clean) > _LEAST else 0.0
        self._scale = (
            next((1 / scale for scale in _SCALES[1:] if level <= scale), 1.0) if level > _NEAR else 1.0
        )
        self._weights = _weights((clean * self._scale).astype(np.float32))
        self._offset = _offset(self._mixed(first))

    def mono(self, block: Samples) -> Samples:
        """The next block."""
        mixed = self._mixed(block)
        if self._offset is None:
            return mixed
        for begin in range(0, len(mixed), _FRAME):
            moment = mixed[begin : begin + _FRAME]
            self._offset += _FOLLOWS * (float(moment.mean()) - self._offset)
            moment -= self._offset
        return mixed.clip(-1.0, 1.0)

    def _mixed(self, block: Samples) -> Samples:
        scaled = (_finite(block) * self._scale).clip(-1.0, 1.0)
        mixed: Samples = (scaled @ self._weights).astype(np.float32)
        return mixed


def _offset(mixed: Samples) -> float | None:
    """The constant that was added to the sound; None where there is none worth taking away."""
    moments = mixed[: len(mixed) // _FRAME * _FRAME].reshape(-1, _FRAME).mean(axis=1)
    if len(mixed) <= _LEAST:
        return None
    low, middle, high = (float(each) for each in np.percentile(moments, (10, 50, 90)))
    return middle if abs(middle) > _LEAST_OFFSET and high - low < abs(middle) / 2 else None


def audible(pcm: Pcm16) -> Pcm16:
    """A recording of quiet speech as loud as usual; one that is nearly silent stays as it is."""
    peak = float(np.percentile(np.abs(pcm.astype(np.float32)), 99.9)) / 2**15 if len(pcm) else 0.0
    if not _QUIETEST < peak < _QUIET:
        return pcm
    louder: Pcm16 = (pcm.astype(np.float32) * (_USUAL / peak)).clip(-(2**15), 2**15 - 1).astype(np.int16)
    return louder


_QUIETEST, _QUIET, _USUAL = 0.001, 0.03, 0.25
"""Peaks, of full scale: what is no speech any more, what detectors hardly hear, and what is usual."""


def _finite(block: Samples) -> Samples:
    clean: Samples = np.nan_to_num(block, nan=0.0)
    return clean


def _weights(block: Samples) -> NDArray[np.float32]:
    """How much of each channel is mixed: the same of all, but none of noise and of inverted copies."""
    channels = block.shape[1]
    even = np.full(channels, 1 / channels, np.float32)
    moments = len(block) // _FRAME
    if channels == 1 or not moments:
        return even
    centered = block - block.mean(axis=0)
    power = (centered[: moments * _FRAME].reshape(moments, _FRAME, channels) ** 2).mean(axis=1)
    loud_db, quiet_db = 10 * np.log10(np.percentile(power, (95, 10), axis=0) + 1e-12)
    audible = np.sqrt(power.mean(axis=0)) > _SILENT
    if not audible.any():
        return even
    clear_db = np.where(audible, np.minimum(loud_db - quiet_db, 60.0), -np.inf)
    best = int(clear_db.argmax())
    alike = np.array([_correlation(centered[:, best], centered[:, channel]) for channel in range(channels)])
    clear = (clear_db > clear_db[best] - _LESS_CLEAR_DB) & (alike > _OPPOSED)
    chosen = clear | ~audible
    weights: NDArray[np.float32] = (chosen / chosen.sum()).astype(np.float32)
    return weights


def _correlation(one: Samples, other: Samples) -> float:
    size = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / size if size else 0.0
