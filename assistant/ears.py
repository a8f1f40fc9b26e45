"""Frames -> events: opens the devices, asks the VAD, feeds the endpointer, finds lost devices again.

Knows nothing of what the appliance is doing; the loop opens and closes the ears and may make
them deaf while its own voice sounds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress

from assistant.audio import Microphone, Speaker
from assistant.endpoint import Endpointer
from assistant.engines import Vad
from assistant.events import Event, Faulted, Ready, RecordingEnded
from assistant.settings import Settings
from assistant.types import AudioFrame

_RETRY_FIRST_S, _RETRY_LAST_S = 0.5, 30.0
"""Waits before a lost device is tried again, each twice the last: a re-plugged one is back in seconds."""


class Ears:
    """The microphone, and the speaker that is opened and lost together with it.

    ``rescan`` is called between closing lost devices and opening them again.
    """

    def __init__(
        self,
        *,
        microphone: Microphone,
        speaker: Speaker,
        vad: Vad,
        settings: Settings,
        post: Callable[[Event], None],
        rescan: Callable[[], None],
    ) -> None:
        self.endpointer = Endpointer(settings.endpoint)
        self.deaf = False
        """While true, frames are taken and not judged."""
        self._microphone = microphone
        self._speaker = speaker
        self._vad = vad
        self._threshold = settings.vad.threshold
        self._post = post
        self._rescan = rescan
        self._listening: asyncio.Task[None] | None = None
        self._retry_s = _RETRY_FIRST_S

    def open(self) -> None:
        """Begin to listen; posts Ready with the first frame, Faulted when a device fails."""
        self._listening = asyncio.ensure_future(self._listen())

    def reopen(self) -> None:
        """Look for devices that were lost, after a wait that grows while they stay lost."""
        self._listening = asyncio.ensure_future(self._find())

    async def close(self) -> None:
        """Close the microphone."""
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening

    async def _find(self) -> None:
        self._speaker.close()
        await asyncio.sleep(self._retry_s)
        self._retry_s = min(2 * self._retry_s, _RETRY_LAST_S)
        self._rescan()
        await self._listen()

    async def _listen(self) -> None:
        try:
            self._vad.reset()
            self.endpointer.reset()
            self._speaker.open()
            async with aclosing(self._microphone.frames()) as frames:
                if first := await anext(frames, None):
                    self._retry_s = _RETRY_FIRST_S
                    self._post(Ready())
                    self._judge(first)
                async for frame in frames:
                    self._judge(frame)
            self._post(RecordingEnded())
        except Exception as error:  # noqa: BLE001 - whatever stops the ears must reach the loop
            self._post(Faulted(error))

    def _judge(self, frame: AudioFrame) -> None:
        if self.deaf:
            return
        is_speech = self._vad.speech_probability(frame.pcm) >= self._threshold
        event = self.endpointer.push(frame, is_speech=is_speech)
        if event:
            self._post(event)
