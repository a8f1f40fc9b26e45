"""A simulated room with the assistant's loudspeaker and microphone, and a person who talks.

The loudspeaker's output comes back through an impulse response, delayed by the devices' buffers and skewed by
clock drift, with the room's noise and the person added. The playback queue and the speaker's own reports are
the real ones. Time is the event loop's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from assistant.audio.device import FADE_MS, LOOK_S, OUTPUT_LATENCY_S
from assistant.audio.echo.reference import Reference
from assistant.audio.resample import Samples, rendered, to_float, to_pcm16
from assistant.audio.ring import Playlist
from assistant.core.types import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ, AudioFrame, SpokenAudio

_BLOCK_SAMPLES = FRAME_SAMPLES // 2
"""A sound device requests 10 ms at a time."""

_TAPS = 64
"""Taps of the interpolation between the two clocks: far more exact than the code under test."""

_KEPT_SAMPLES = 2 * SAMPLE_RATE_HZ
"""Audio that may still be on its way."""


@dataclass(frozen=True, slots=True)
class Acoustics:
    """The acoustic properties of a room."""

    response: Samples
    """From the loudspeaker to the microphone, at 16 kHz, of unit energy and at most 1 s."""
    echo_db: float = -6.0
    """Loudness of the echo at the microphone, relative to what is played."""
    latency_ms: int = round(OUTPUT_LATENCY_S * 1000)
    """From the moment the device takes a sample until it is audible."""
    drift_ppm: float = 0.0
    """How much faster the loudspeaker's clock runs than the microphone's."""
    noise_db: float = -65.0
    """Noise of the room, in dBFS."""


def living_room(seconds: float = 0.4, direct_db: float = 0.0, seed: int = 0) -> Samples:
    """Return a synthetic response: the direct sound, and noise that decays by 60 dB in ``seconds``.

    ``direct_db`` is the energy of the direct sound relative to the rest.
    """
    count = round(min(seconds, 1.0) * SAMPLE_RATE_HZ)
    fading = 10 ** (-3 * np.arange(count) / count)
    response = np.random.default_rng(seed).standard_normal(count) * fading
    response[:16] = 0  # About 30 cm of air.
    response[16] = np.sqrt(np.square(response).sum()) * 10 ** (direct_db / 20)
    return unit_energy(response.astype(np.float32))


def unit_energy(response: Samples) -> Samples:
    """Return at most 1 s of the response from its first sound on, scaled to unit energy."""
    loud = np.flatnonzero(np.abs(response) > 0.1 * np.abs(response).max())
    kept = response[max(0, int(loud[0]) - 16) :][: SAMPLE_RATE_HZ - FRAME_SAMPLES]
    scaled: Samples = (kept / np.sqrt(np.square(kept).sum())).astype(np.float32)
    return scaled


def loudness(samples: Samples) -> float:
    """Return the root mean square of the non-silent samples, relative to full scale."""
    loud = samples[np.abs(samples) > 0.02 * np.abs(samples).max()]
    return float(np.sqrt(np.square(loud).mean())) if len(loud) else 0.0


class Room:
    """Provides the assistant's ``microphone`` and ``speaker``, and ``say`` for the person."""

    def __init__(self, acoustics: Acoustics, seed: int = 0) -> None:
        self.acoustics = acoustics
        self.reference = Reference()
        self.speaker = RoomSpeaker(acoustics, self.reference)
        self.microphone = RoomMicrophone(self)
        self._random = np.random.default_rng(seed)
        self._person: Samples = np.zeros(0, np.float32)
        self._size = 1 << (len(acoustics.response) + FRAME_SAMPLES - 1).bit_length()
        self._response = np.fft.rfft(acoustics.response * 10 ** (acoustics.echo_db / 20), self._size)
        self._ringing: Samples = np.zeros(self._size, np.float32)
        self._taken = 0
        self._now_s = 0.0

    def say(self, sound: Samples) -> float:
        """Say ``sound`` from the next frame, or after what is being said. Returns the start time."""
        begins_s = self._now_s + len(self._person) / SAMPLE_RATE_HZ
        self._person = np.concatenate([self._person, sound])
        return begins_s

    @property
    def echo_loudness(self) -> float:
        """Return the loudness of the assistant's voice at the microphone."""
        gain: float = 10 ** (self.acoustics.echo_db / 20)
        return self.speaker.loudness * gain

    @property
    def somebody_talks(self) -> bool:
        return bool(len(self._person))

    def next_frame(self, end_s: float) -> AudioFrame:
        """Return what the microphone hears in the 20 ms before ``end_s``."""
        self._now_s = end_s
        self.speaker.play_until(end_s)
        speed = 1 + self.acoustics.drift_ppm * 1e-6
        late = self.acoustics.latency_ms * SAMPLE_RATE_HZ / 1000
        samples = self._taken + np.arange(FRAME_SAMPLES, dtype=np.float64)
        sounding = self.speaker.sounded(samples * speed - late)
        self._taken += FRAME_SAMPLES
        heard = self._echo(sounding) + self._next_said()
        heard += self._random.standard_normal(FRAME_SAMPLES) * 10 ** (self.acoustics.noise_db / 20)
        return AudioFrame(to_pcm16(heard.astype(np.float32)), end_s)

    def _echo(self, sounding: Samples) -> Samples:
        self._ringing[:-FRAME_SAMPLES] = self._ringing[FRAME_SAMPLES:]
        self._ringing[-FRAME_SAMPLES:] = 0
        echo = np.fft.irfft(np.fft.rfft(sounding, self._size) * self._response, self._size)
        self._ringing += echo.astype(np.float32)
        return self._ringing[:FRAME_SAMPLES].copy()

    def _next_said(self) -> Samples:
        said, self._person = self._person[:FRAME_SAMPLES], self._person[FRAME_SAMPLES:]
        return np.pad(said, (0, FRAME_SAMPLES - len(said)))


class RoomMicrophone:
    """A microphone that hears the room, one frame every 20 ms."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def frames(self) -> AsyncGenerator[AudioFrame, None]:
        now = asyncio.get_running_loop().time
        due_s = now()
        self._room.speaker.begin(due_s)
        while True:
            due_s += FRAME_MS / 1000
            await asyncio.sleep(max(0.0, due_s - now()))
            yield self._room.next_frame(due_s)


class RoomSpeaker:
    """A speaker that plays into the room, at 16 kHz of its own clock."""

    def __init__(self, acoustics: Acoustics, reference: Reference) -> None:
        self.volume = 1.0
        self.last_sound_s = 0.0
        """When the last non-silent sample left the loudspeaker."""
        self.loudness = 0.0
        """Loudness of the samples it was given last."""
        self.cut_s = 0.0
        """When it was last told to stop while it was playing."""
        self._rate_hz = SAMPLE_RATE_HZ * (1 + acoustics.drift_ppm * 1e-6)
        self._latency_s = acoustics.latency_ms / 1000
        self._played = reference.begin(SAMPLE_RATE_HZ)
        self._playlist = Playlist(fade_samples=SAMPLE_RATE_HZ * FADE_MS // 1000)
        self._begin_s = 0.0
        self._count = 0
        self._kept: Samples = np.zeros(_KEPT_SAMPLES, np.float32)
        self._sound_s = 0.0
        self._silent_from_s = 0.0

    def begin(self, at_s: float) -> None:
        """Start the device."""
        self._begin_s = at_s - self._count / self._rate_hz

    def play_until(self, now_s: float) -> None:
        """Play every block that was due before ``now_s``."""
        while (at_s := self._begin_s + self._count / self._rate_hz) < now_s:
            block = np.zeros((_BLOCK_SAMPLES, 1), np.int16)
            sound = self._playlist.fill(block)
            self._played.tell(block[:, 0])
            self._count += _BLOCK_SAMPLES
            self._kept = np.concatenate([self._kept[_BLOCK_SAMPLES:], to_float(block[:, 0])])
            if sound:
                self._sound_s += sound / SAMPLE_RATE_HZ
                self._silent_from_s = at_s + self._latency_s + sound / self._rate_hz
            loud = np.flatnonzero(block)
            if len(loud):
                self.last_sound_s = at_s + self._latency_s + (int(loud[-1]) + 1) / self._rate_hz

    def sounded(self, positions: npt.NDArray[np.float64]) -> Samples:
        """Return what was played at these positions, by its own clock."""
        whole = np.floor(positions).astype(np.int64)
        around = np.arange(1 - _TAPS // 2, 1 + _TAPS // 2)
        distance = around - (positions - whole)[:, np.newaxis]
        weights = np.sinc(distance) * np.cos(np.pi * distance / (_TAPS + 2)) ** 2
        at = whole[:, np.newaxis] + around - (self._count - len(self._kept))
        known = (at >= 0) & (at < len(self._kept))
        values = np.where(known, self._kept[np.clip(at, 0, len(self._kept) - 1)], 0)
        samples: Samples = (values * weights).sum(axis=1).astype(np.float32)
        return samples

    async def open(self) -> None:
        """Do nothing: it is always open."""

    async def lost(self) -> None:
        """Wait forever: a room doesn't disappear."""
        await asyncio.get_running_loop().create_future()

    def write(self, audio: SpokenAudio) -> None:
        pcm = rendered(audio, SAMPLE_RATE_HZ, self.volume)
        self.loudness = loudness(to_float(pcm))
        self._playlist.append(pcm)

    def cut(self) -> None:
        if not self._playlist.empty:
            self.cut_s = asyncio.get_running_loop().time()
        self._playlist.cut()

    async def drained(self) -> None:
        now = asyncio.get_running_loop().time
        while not self._playlist.empty or now() < self._silent_from_s:  # noqa: ASYNC110 - as the device does
            await asyncio.sleep(LOOK_S)

    @property
    def heard_s(self) -> float:
        inside_s = max(0.0, self._silent_from_s - asyncio.get_running_loop().time())
        return max(0.0, self._sound_s - inside_s)

    def close(self) -> None:
        self._playlist.cut()
