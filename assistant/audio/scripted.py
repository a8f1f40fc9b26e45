"""A simulated microphone and speaker that can fail on command: for tests and soak runs.

The microphone hears what ``say`` plays into the room and can be made to fail, like a pulled cable, until it
is repaired. The speaker is the one that writes files, with the same fault.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import numpy as np

from assistant.audio.wav import WavSpeaker
from assistant.core.errors import DeviceLost, DeviceUnavailable
from assistant.core.types import FRAME_MS, FRAME_SAMPLES, AudioFrame, Pcm16, SpokenAudio


class ScriptedMicrophone:
    """Delivers a frame every 20 ms of the loop's time: the current speech, or silence."""

    def __init__(self) -> None:
        self._sound = np.zeros(0, np.int16)
        self.broken = False
        """While True, it cannot be opened, and an open one is lost."""
        self.refuses = ""
        """Why it cannot be opened although it exists: it is in use, or doesn't support the rate."""
        self.deaf = False
        """While True, it delivers only zeros, as with a switch on the cable."""
        self.stuck = False
        """While True, it stays open and delivers nothing, as some drivers do."""
        self.opened = 0
        """How many times it was opened."""
        self.is_open = False

    def say(self, pcm: Pcm16) -> None:
        """Play samples at 16 kHz from the next frame on, or after the current sound."""
        self._sound = np.concatenate([self._sound, pcm])

    def lose(self, frames: int) -> None:
        """Lose that many frames of the current sound, like an overrun."""
        self._sound = self._sound[frames * FRAME_SAMPLES :]

    @property
    def sounding(self) -> bool:
        return bool(len(self._sound))

    async def frames(self) -> AsyncGenerator[AudioFrame, None]:
        if self.broken:
            raise DeviceUnavailable("The microphone is not connected.", "Plug it in.")
        if self.refuses:
            raise DeviceUnavailable(f"The microphone {self.refuses}.", "Close the other program.")
        self.opened += 1
        self.is_open = True
        now = asyncio.get_running_loop().time
        due_s = now()
        try:
            while True:
                due_s += FRAME_MS / 1000
                await asyncio.sleep(max(0.0, due_s - now()))
                if self.broken:
                    raise DeviceLost("The microphone was disconnected.", "Plug it in again.")
                if self.stuck:
                    continue
                frame, self._sound = self._sound[:FRAME_SAMPLES], self._sound[FRAME_SAMPLES:]
                if self.deaf:
                    frame = frame[:0]
                yield AudioFrame(np.pad(frame, (0, FRAME_SAMPLES - len(frame))), due_s)
        finally:
            self.is_open = False


class ScriptedSpeaker(WavSpeaker):
    """Plays to nobody, and remembers what it received."""

    def __init__(self) -> None:
        super().__init__(None)
        self.broken = False
        """While True, it can neither be opened nor written to."""
        self._is_lost = False
        self.written: list[str] = []
        """Texts of the sounds that were written."""

    @property
    def is_sounding(self) -> bool:
        return self._unheard_s() > 0

    async def open(self) -> None:
        if self.broken:
            raise DeviceUnavailable("The speaker is not connected.", "Plug it in.")
        await super().open()
        self._is_lost = False

    async def lost(self) -> None:
        while not (self.broken or self._is_lost):  # noqa: ASYNC110 - as a real one is watched
            await asyncio.sleep(0.25)
        raise self._lost()

    def write(self, audio: SpokenAudio) -> None:
        if self.broken:
            raise self._lost()
        self.written.append(audio.text)
        super().write(audio)

    async def drained(self) -> None:
        while self.is_sounding:
            if self.broken:
                raise self._lost()
            await asyncio.sleep(0.02)
        await super().drained()

    def _lost(self) -> DeviceLost:
        self._is_lost = True
        return DeviceLost("The speaker was disconnected.", "Plug it in again.")
