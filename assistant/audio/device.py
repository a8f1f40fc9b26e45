"""The microphone and the speaker of this machine, at the rate that they like best.

PortAudio calls back on a thread of its own; the callbacks only copy. Devices are opened and closed on
the driver's thread, since that may take for ever; everything else happens on the event loop. A device
that is pulled raises nothing, it just never calls again: so silence of the callback itself is what
tells that it is gone.
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
from assistant.audio.echo.reference import Played, Reference
from assistant.audio.heard import WATCH_S, Heard
from assistant.audio.lines import DRIVER, Line
from assistant.audio.resample import rendered
from assistant.audio.ring import Playlist
from assistant.core.errors import AudioError, DeviceLost, DeviceUnavailable
from assistant.core.types import FRAME_MS, AudioFrame, SpokenAudio

log = logging.getLogger(__name__)

LOST_AFTER_S = 1.0
"""No callback while waiting this long means that the device is gone: blocks last 20 ms, a busy board is
late by tenths of a second, and PortAudio itself takes a second to notice that a stream has died."""

STARTS_WITHIN_S = 5.0
"""The first callback may take this long: sound servers wake devices, Bluetooth connects."""

LOOK_S = 0.02
"""Step of waiting for silence. Steps are counted rather than a clock read, here and for the microphone:
so a machine that was frozen for a minute has not lost its devices."""

INPUT_LATENCY_S = 0.06
"""PortAudio makes this periods of 20 ms, one frame, in a buffer that bears 60 ms of other work."""

OUTPUT_BLOCK_MS, OUTPUT_LATENCY_S = 20, 0.07
"""What the device holds still sounds after a cut, so this is short; but with 40 ms PulseAudio stalled, and
with 30 ms it ran dry without end, on a busy two-core machine where 50 ms held."""

FADE_MS = 5
"""A cut that is faded out this quickly is not heard as a click."""

CLOSES_WITHIN_S = 2.0
"""Closing takes hundredths of a second; whoever mutes waits for it."""


class DeviceMicrophone:
    """Frames from a sound card."""

    def __init__(
        self,
        name: str | None = None,
        *,
        reference: Reference | None = None,
        reference_channel: int | None = None,
    ) -> None:
        """``name`` is part of the device's name; None is the system's default.

        A ``reference_channel``, 1 or 2, carries what the speaker plays: ``reference`` is told it, and the
        other channel is the microphone.
        """
        self._name = name
        self._reference = reference or Reference()
        self._reference_channel = reference_channel
        self.overflows = 0
        """How often sound was lost because nobody took it in time."""

    async def frames(self) -> AsyncGenerator[AudioFrame, None]:
        """Open the device and yield each frame as it is heard. Raises DeviceUnavailable, DeviceLost."""
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
            if is_lost:  # nobody waits for a device that is gone
                DRIVER.begin("close the microphone", line.close, limit_s=CLOSES_WITHIN_S)
            else:
                with contextlib.suppress(AudioError):  # what is stuck is told by whoever opens it next
                    await DRIVER.run("close the microphone", line.close, limit_s=CLOSES_WITHIN_S)

    def _loopback(self, device: portaudio.Device) -> tuple[int, Played] | tuple[()]:
        """The channel that carries what is played, from 0, and who is told it; empty where none does."""
        if self._reference_channel is None:
            return ()
        if device.inputs < 2:
            raise DeviceUnavailable(
                f"The microphone '{device.name}' has only one channel, so none carries what is played.",
                "Set audio.reference_channel to null, or choose another device with audio.input.",
            )
        log.info("echo_reference=channel_%d device=%r", self._reference_channel, device.name)
        return self._reference_channel - 1, self._reference.begin(device.sample_rate_hz, device.name)


class DeviceSpeaker:
    """A queue of sound on a sound card, which stays open, and silent, between answers."""

    def __init__(
        self, name: str | None = None, volume: float = 1.0, reference: Reference | None = None
    ) -> None:
        """``name`` is part of the device's name, None the system's default; ``volume`` is 0 to 1.

        ``reference`` is told all that is played.
        """
        self._name = name
        self._reference = reference or Reference()
        self.volume = volume
        """Loudness of what is written from now on."""
        self.underruns = 0
        """How often an answer fell silent because its next part was not there yet."""
        self._playing: _Playing | None = None
        self._opening: asyncio.Task[None] | None = None
        self._replying = False

    @property
    def xruns(self) -> int:
        """How often the device ran out of samples since ``open``: clicks, on a board that is too busy."""
        return self._playing.xruns if self._playing else 0

    @property
    def heard_s(self) -> float:
        """Seconds of written sound that have left the device since ``open``; never goes back."""
        return self._playing.heard_s() if self._playing else 0.0

    async def open(self) -> None:
        """Start the device, silent; again if it has died. Raises DeviceUnavailable, DeviceStuck."""
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
            opening.exception()  # whoever waits is told; perhaps nobody does any more

    async def lost(self) -> None:
        """Return when it is closed. Raises DeviceLost as soon as the device is gone."""
        if self._playing is not None:
            await self._playing.until(lambda: False, WATCH_S)

    def write(self, audio: SpokenAudio) -> None:
        """Append; sounds at once when nothing else does. Raises DeviceLost where none is open."""
        playing = self._playing
        if playing is None or not playing.alive:
            raise _lost("speaker", playing.name if playing else str(self._name))
        if self._replying and playing.silent:
            self.underruns += 1
        self._replying = True
        playing.playlist.append(rendered(audio, playing.rate_hz, self.volume))

    def cut(self) -> None:
        """Silence, after a short fade and what the device has already been given."""
        self._replying = False
        if self._playing is not None:
            self._playing.playlist.cut()

    async def drained(self) -> None:
        """Wait until everything written has left the device, or was cut. Raises DeviceLost."""
        if (playing := self._playing) is not None:
            await playing.until(lambda: playing.silent, LOOK_S)
        self._replying = False

    def close(self) -> None:
        """Stop at once and free the device, in its time; harmless when not open."""
        if self._opening is not None:
            self._opening.cancel()
        self._close()

    def _close(self) -> None:
        if self._playing is not None:
            self._playing.close()


class _Playing:
    """A device that plays, and how far it has been heard; from its opening to its closing."""

    def __init__(self, reference: Reference) -> None:
        self._now = asyncio.get_running_loop().time
        self._reference = reference
        self.name = "-"
        self.xruns = 0
        self.closed = False
        self._lost = False
        self._calls = 0
        self._taken = (0, -math.inf)
        """Samples of sound the device has been given, and when the last of them is heard."""
        self._heard_s = 0.0
        self._line: Line | None = None

    async def open(self, name: str | None) -> None:
        """Raises DeviceUnavailable, DeviceStuck."""
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
        """On PortAudio's thread."""
        self._calls += 1
        if status and status.output_underflow:
            self.xruns += 1
        if self.playlist.silent and frames == self._block_frames:
            buffer[:] = self._silence  # most of the day, so it costs little
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
        """Open, as far as is known: it takes a second to notice that a device is gone."""
        return not self.closed and not self._lost

    @property
    def silent(self) -> bool:
        """Whether all sound has been heard."""
        return self.playlist.empty and self._now() >= self._taken[1]

    def heard_s(self) -> float:
        samples, end_s = self._taken
        inside_s = max(0.0, end_s - self._now())
        self._heard_s = max(self._heard_s, samples / self.rate_hz - inside_s)
        return self._heard_s

    async def until(self, over: Callable[[], bool], look_s: float) -> None:
        """Wait until ``over`` or closed. Raises DeviceLost when the device asks for no more sound."""
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
        f"The {noun} '{name}' has gone silent: it was unplugged, or its driver gave up.",
        "Plug it in again; it is used as soon as it is back.",
    )
