"""This machine's microphone and speaker, each at the best rate for it.

PortAudio calls back on its own thread; the callbacks only copy. Devices are opened and closed on the driver's
thread, since that may take forever; everything else happens on the event loop. An unplugged device raises no
error, it just stops calling back, so missing callbacks are the sign that it is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncGenerator, Callable
from typing import Any

import numpy as np

from assistant.audio import portaudio
from assistant.audio.backends import Devices
from assistant.audio.echo.reference import Played, Reference
from assistant.audio.heard import WATCH_S, Heard
from assistant.audio.lines import DRIVER, Line, Rescan
from assistant.audio.resample import rendered
from assistant.audio.ring import Playlist
from assistant.core.errors import AudioError, DeviceLost, DeviceUnavailable
from assistant.core.types import FRAME_MS, AudioFrame, SpokenAudio
from assistant.settings.schema import AudioSettings

log = logging.getLogger(__name__)

LOST_AFTER_S = 1.0
"""No callback for this long means that the device is gone: blocks last 20 ms, a busy board is late by
tenths of a second, and PortAudio itself takes a second to notice that a stream has died.
"""

STARTS_WITHIN_S = 5.0
"""The first callback may take this long: sound servers wake devices, Bluetooth connects."""

LOOK_S = 0.02
"""Step of waiting for silence. Here and for the microphone, steps are counted instead of reading a clock,
so a machine that was frozen for a minute has not lost its devices.
"""

INPUT_LATENCY_S = 0.06
"""PortAudio turns this into periods of 20 ms, one frame, in a buffer that tolerates 60 ms of other work."""

OUTPUT_BLOCK_MS, OUTPUT_LATENCY_S = 20, 0.07
"""Buffered sound still plays after a cut, so this is short; but on a busy two-core machine PulseAudio
stalled with 40 ms and kept running dry with 30 ms, while 50 ms worked.
"""

FADE_MS = 5
"""A fade this short is not heard as a click."""

CLOSES_WITHIN_S = 2.0
"""Closing takes hundredths of a second, and muting waits for it."""


def create(settings: AudioSettings) -> Devices:
    """The devices of PortAudio that the settings name."""
    reference, channel = Reference(), settings.reference_channel
    return Devices(
        DeviceMicrophone(settings.input, reference=reference, reference_channel=channel),
        DeviceSpeaker(settings.output, settings.volume, None if channel else reference),
        reference,
        Rescan({"input": settings.input, "output": settings.output}),
    )


class DeviceMicrophone:
    """Frames from a sound card."""

    def __init__(
        self,
        name: str | None = None,
        *,
        reference: Reference | None = None,
        reference_channel: int | None = None,
    ) -> None:
        """Choose the device. ``name`` is part of its name; None means the system default.

        A ``reference_channel``, 1 or 2, carries the speaker's signal, which goes to ``reference``; the other
        channel is the microphone.
        """
        self._name = name
        self._reference = reference or Reference()
        self._reference_channel = reference_channel
        self.overflows = 0
        """How many times sound was lost because nobody took it in time."""

    async def frames(self) -> AsyncGenerator[AudioFrame, None]:
        """Open the device and yield each frame as it arrives. Raises DeviceUnavailable, DeviceLost."""
        heard = Heard()

        def begin(device: portaudio.Device) -> dict[str, Any]:
            heard.begin(device.sample_rate_hz, *self._loopback(device))
            return {
                "callback": heard.callback,
                "channels": heard.channels,
                "block_ms": FRAME_MS,
                "latency_s": INPUT_LATENCY_S,
            }

        line = await DRIVER.run(
            "open the microphone", lambda: Line("input", self._name, begin), undo=Line.close
        )
        is_lost = False
        try:
            waited_s, patience_s = 0.0, STARTS_WITHIN_S
            while waited_s <= patience_s:
                for frame in heard.take():
                    yield frame
                if await heard.more():
                    waited_s, patience_s = 0.0, LOST_AFTER_S
                elif not line.is_paused:
                    waited_s += WATCH_S
            is_lost = True
            raise _lost("microphone", line.device.name)
        finally:
            heard.close()
            self.overflows += heard.overflows
            if is_lost:  # don't wait for a device that is gone
                DRIVER.begin("close the microphone", line.close, limit_s=CLOSES_WITHIN_S)
            else:
                with contextlib.suppress(AudioError):  # a stuck driver is reported at the next open
                    await DRIVER.run("close the microphone", line.close, limit_s=CLOSES_WITHIN_S)

    def _loopback(self, device: portaudio.Device) -> tuple[int, Played] | tuple[()]:
        """Return the index of the channel with the speaker's signal, and its recipient; empty without one."""
        if self._reference_channel is None:
            return ()
        if device.inputs < 2:
            raise DeviceUnavailable(
                f"The microphone '{device.name}' has only one channel, so it "
                "can't carry the speaker's signal.",
                "Set audio.reference_channel to null, or choose a different device with audio.input.",
            )
        log.info("echo_reference=channel_%d device=%r", self._reference_channel, device.name)
        return self._reference_channel - 1, self._reference.begin(device.sample_rate_hz, device.name)


class DeviceSpeaker:
    """A queue of sound on a sound card, which stays open, and silent, between answers."""

    def __init__(
        self, name: str | None = None, volume: float = 1.0, reference: Reference | None = None
    ) -> None:
        """Choose the device. ``name`` is part of its name, None means the system default; ``volume`` is 0 to
        1.

        ``reference`` receives everything that is played.
        """
        self._name = name
        self._reference = reference or Reference()
        self.volume = volume
        """Volume for sound written from now on."""
        self.underruns = 0
        """How many times an answer paused because its next part was not ready."""
        self._playing: _Playing | None = None
        self._opening: asyncio.Task[None] | None = None
        self._replying = False

    @property
    def xruns(self) -> int:
        """How many times the device ran out of samples since ``open``: clicks, on a board that is too
        busy.
        """
        return self._playing.xruns if self._playing else 0

    @property
    def heard_s(self) -> float:
        """Seconds of written sound that have left the device since ``open``; never decreases."""
        return self._playing.heard_s() if self._playing else 0.0

    async def open(self) -> None:
        """Start the device, silent; restarts it if it has died. Raises DeviceUnavailable, DeviceStuck."""
        if self._playing is not None and self._playing.alive:
            return
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._open())
            self._opening.add_done_callback(self._opened)
        await asyncio.shield(self._opening)

    async def _open(self) -> None:
        self._close()
        self._replying = False
        playing = _Playing(self._reference)
        await playing.open(self._name)
        self._playing = playing

    def _opened(self, opening: asyncio.Task[None]) -> None:
        self._opening = None
        if not opening.cancelled():
            opening.exception()  # waiting callers get it; there may be none left

    async def lost(self) -> None:
        """Return when it is closed. Raises DeviceLost as soon as the device is gone."""
        if self._playing is not None:
            await self._playing.until(lambda: False, WATCH_S)

    def write(self, audio: SpokenAudio) -> None:
        """Append sound; it plays at once if the queue is empty. Raises DeviceLost if it isn't open."""
        playing = self._playing
        if playing is None or not playing.alive:
            raise _lost("speaker", playing.name if playing else str(self._name))
        if self._replying and playing.silent:
            self.underruns += 1
        self._replying = True
        playing.playlist.append(rendered(audio, playing.rate_hz, self.volume))

    def cut(self) -> None:
        """Fall silent after a short fade and what the device has buffered."""
        self._replying = False
        if self._playing is not None:
            self._playing.playlist.cut()

    async def drained(self) -> None:
        """Wait until everything written has left the device, or was cut. Raises DeviceLost."""
        if (playing := self._playing) is not None:
            await playing.until(lambda: playing.silent, LOOK_S)
        self._replying = False

    def close(self) -> None:
        """Stop at once and free the device in the background; harmless if it isn't open."""
        if self._opening is not None:
            self._opening.cancel()
        self._close()

    def _close(self) -> None:
        if self._playing is not None:
            self._playing.close()


class _Playing:
    """A playing device and how much of its sound was played, from opening to closing."""

    def __init__(self, reference: Reference) -> None:
        self._now = asyncio.get_running_loop().time
        self._reference = reference
        self.name = "-"
        self.xruns = 0
        self.closed = False
        self._lost = False
        self._calls = 0
        self._taken = (0, -math.inf)
        """Samples the device has received, and when the last of them is played."""
        self._heard_s = 0.0
        self._line: Line | None = None

    async def open(self, name: str | None) -> None:
        """Open the device. Raises DeviceUnavailable, DeviceStuck."""
        line = await DRIVER.run(
            "open the speaker", lambda: Line("output", name, self._begin), undo=Line.close
        )
        self._line, self.name = line, line.device.name

    def _begin(self, device: portaudio.Device) -> dict[str, Any]:
        self.rate_hz = device.sample_rate_hz
        self.playlist = Playlist(fade_samples=self.rate_hz * FADE_MS // 1000)
        self._channels = min(2, device.outputs)
        self._block_frames = self.rate_hz * OUTPUT_BLOCK_MS // 1000
        self._silence = bytes(2 * self._channels * self._block_frames)
        self._played = self._reference.begin(self.rate_hz, self.name)
        return {
            "callback": self.callback,
            "channels": self._channels,
            "block_ms": OUTPUT_BLOCK_MS,
            "latency_s": OUTPUT_LATENCY_S,
        }

    def callback(self, buffer: Any, frames: int, time: Any, status: Any) -> None:
        """Fill PortAudio's buffer, on PortAudio's thread."""
        self._calls += 1
        if status and status.output_underflow:
            self.xruns += 1
        if self.playlist.silent and frames == self._block_frames:
            buffer[:] = self._silence  # most of the day, so it must be cheap
            self._played.tell_silence(frames)
            return
        now_s = self._now()
        block = np.frombuffer(buffer, np.int16).reshape(frames, self._channels)
        sound = self.playlist.fill(block)
        self._played.tell(block[:, 0])
        if sound:
            latency_s = min(max(time.outputBufferDacTime - time.currentTime, 0.0), 0.5)
            self._taken = (self._taken[0] + sound, now_s + latency_s + sound / self.rate_hz)

    @property
    def alive(self) -> bool:
        """True if open, as far as known: it takes a second to notice that a device is gone."""
        return not self.closed and not self._lost

    @property
    def silent(self) -> bool:
        """True if all sound has been played."""
        return self.playlist.empty and self._now() >= self._taken[1]

    def heard_s(self) -> float:
        samples, end_s = self._taken
        inside_s = max(0.0, end_s - self._now())
        self._heard_s = max(self._heard_s, samples / self.rate_hz - inside_s)
        return self._heard_s

    async def until(self, over: Callable[[], bool], look_s: float) -> None:
        """Wait until ``over`` or closed. Raises DeviceLost if the device stops requesting sound."""
        waited_s, calls = 0.0, self._calls
        while not (self.closed or over()):
            if self._lost or waited_s > (LOST_AFTER_S if calls else STARTS_WITHIN_S):
                self._lost = True
                raise _lost("speaker", self.name)
            await asyncio.sleep(look_s)
            is_waiting = calls == self._calls and not (self._line and self._line.is_paused)
            waited_s, calls = (waited_s + look_s if is_waiting else 0.0), self._calls

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            if self._line is not None:
                DRIVER.begin("close the speaker", self._line.close, limit_s=CLOSES_WITHIN_S)


def _lost(noun: str, name: str) -> DeviceLost:
    return DeviceLost(
        f"The {noun} '{name}' stopped responding: it was unplugged, or its driver failed.",
        "Plug it in again. It will be used as soon as it is back.",
    )
