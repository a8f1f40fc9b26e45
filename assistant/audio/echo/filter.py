"""Models how the room changes the played sound, and learns it during playback.

A frequency-domain Kalman filter in partitions of one frame (Enzner and Vary 2006; Kuech, Mabande and Enzner
2014): half a second of room response, with an estimated error variance for each bin. The variance sets the
step size, so speech over the echo slows down learning instead of spoiling it, without a detector for it. A
microphone that clips is modeled by a filter that clips at the same level. Pure: frames in, frames out; it
knows neither time nor devices, and expects both signals to stay aligned (``alignment``).

Compared with WebRTC's AEC3, which models 50 ms of room and masks the rest: docs/echo.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from assistant.audio.resample import Samples
from assistant.core.types import FRAME_SAMPLES

Power: TypeAlias = npt.NDArray[np.float32]
"""Power of each bin of one frame, shape (BINS,), float32."""

_Spectrum: TypeAlias = npt.NDArray[np.complex64]

PARTITIONS = 25
"""Frames of room response, half a second: by then, a living room is 40 dB down, a hall 30 dB."""

RESPONSE_SAMPLES = PARTITIONS * FRAME_SAMPLES

BINS = FRAME_SAMPLES + 1
"""25 Hz apart, from 0 to 8 kHz."""

_FORGETTING = 0.9999
"""Share of the room knowledge that still holds a frame later; less adapts faster to moved furniture, and
models a still room worse.
"""

_FADING = 10 ** (-0.5 / 10)
"""How much weaker each further frame of an unknown room is assumed to be. Rooms fade faster, but where the
echo starts in the filter is not known either.
"""

_NOISE_MEMORY = 0.8
"""For the spectrum of sound that isn't echo: long enough to be smooth, short enough for syllables."""

_TINY = np.float32(1e-6)
"""Far below a microphone's own noise; avoids division by zero."""

_FADED: npt.NDArray[np.float32] = np.repeat(
    (_FADING ** np.arange(PARTITIONS, dtype=np.float32))[:, np.newaxis], BINS, axis=1
).astype(np.float32)
"""Error variance of a completely unknown room, shape (PARTITIONS, BINS)."""

_DOUBTED = np.float32(0.01)
"""Share of that variance for a room known from before a pause or a restart: -20 dB."""

_FULL_SCALE = np.float32(32767 / 32768)
"""The highest value a microphone delivers."""


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """One frame split into its parts."""

    rest: Samples
    """The frame without the echo."""
    echo: Samples
    """The predicted echo."""
    doubt_power: Power
    """Power of the echo that may still be in ``rest``, by the filter's own error estimate."""


class EchoFilter:
    """Processes every frame in order."""

    def __init__(self) -> None:
        self._room: _Spectrum = np.zeros((PARTITIONS, BINS), np.complex64)
        self._played: _Spectrum = np.zeros((PARTITIONS, BINS), np.complex64)
        self._error = _FADED.copy()
        self._noise: Power | None = None

    def process(self, heard: Samples, played: Samples) -> Heard:
        """Remove the echo from a frame.

        ``heard`` is FRAME_SAMPLES long, ``played`` twice that: the sound played in the previous frame and in
        this one.
        """
        self._played[1:] = self._played[:-1]
        self._played[0] = np.fft.rfft(played)
        predicted = np.fft.irfft((self._room * self._played).sum(axis=0))
        echo = predicted[FRAME_SAMPLES:].astype(np.float32).clip(-_FULL_SCALE, _FULL_SCALE)
        rest = heard - echo
        return Heard(rest, echo, self._learn(_spectrum(rest)))

    @property
    def response(self) -> Samples:
        """The learned room response, shape (RESPONSE_SAMPLES,), float32."""
        whole = np.fft.irfft(self._room, axis=1)[:, :FRAME_SAMPLES]
        return whole.reshape(-1).astype(np.float32)

    @property
    def reverberant(self) -> float:
        """Share of an echo's power that arrives more than a frame after its strongest path."""
        powers = np.square(self.response)
        late = int(powers.argmax()) + FRAME_SAMPLES
        return float(powers[late:].sum() / max(powers.sum(), 1e-12))

    def believe(self, response: Samples) -> None:
        """Start from this room response, with an error of a hundredth of its power."""
        parts = np.pad(response.reshape(PARTITIONS, FRAME_SAMPLES), ((0, 0), (0, FRAME_SAMPLES)))
        self._room = np.fft.rfft(parts, axis=1).astype(np.complex64)
        self._error = _DOUBTED * _FADED

    def louder(self, gain: float) -> None:
        """Scale the room response to a new volume."""
        self._room *= np.float32(gain)

    def recall(self, played: Samples) -> None:
        """Replace the playback history: shape ((PARTITIONS + 1) * FRAME_SAMPLES,)."""
        frames = played.reshape(PARTITIONS + 1, FRAME_SAMPLES)[::-1]
        self._played = np.fft.rfft(np.concatenate([frames[1:], frames[:-1]], axis=1)).astype(np.complex64)

    def _learn(self, rest: _Spectrum) -> Power:
        """Do the Kalman step; returns the power of the echo that may have been left before it."""
        rest_power = _power(rest)
        noise = rest_power if self._noise is None else self._noise
        self._noise = _NOISE_MEMORY * noise + (1 - _NOISE_MEMORY) * rest_power
        in_doubt = self._error * _power(self._played)
        doubt_power: Power = in_doubt.sum(axis=0)
        step = self._error / (doubt_power + self._noise + _TINY)
        towards = np.fft.irfft(step * self._played.conj() * rest, axis=1)
        towards[:, FRAME_SAMPLES:] = 0  # each partition is one frame long
        self._room += np.fft.rfft(towards, axis=1).astype(np.complex64, copy=False)
        # Half of each pair of frames is zeros, so it carries half the information it seems to.
        certain = self._error - 0.5 * step * in_doubt
        self._error = _FORGETTING * certain + (1 - _FORGETTING) * _power(self._room)
        return doubt_power


def predicted(response: Samples, played: Samples) -> Samples:
    """Predict the echo for all but the first RESPONSE_SAMPLES of ``played``."""
    size = 1 << (len(played) - 1).bit_length()
    echo = np.fft.irfft(np.fft.rfft(played, size) * np.fft.rfft(response, size), size)
    return echo[RESPONSE_SAMPLES : len(played)].clip(-_FULL_SCALE, _FULL_SCALE).astype(np.float32)


def _spectrum(samples: Samples) -> _Spectrum:
    spectrum: _Spectrum = np.fft.rfft(samples, 2 * FRAME_SAMPLES).astype(np.complex64, copy=False)
    # Shift by one frame of silence, as the second half of two frames: only the phase differs.
    spectrum[1::2] *= -1
    return spectrum


def _power(spectrum: _Spectrum) -> npt.NDArray[np.float32]:
    power: npt.NDArray[np.float32] = np.square(spectrum.real) + np.square(spectrum.imag)
    return power
