"""Whether the appliance is alive: frames come from the microphone, and the loop takes events.

A microphone that has died silently and a loop that hangs look alike from outside: the process is
there and nobody is answered. Only what moves counts here. Knows nothing of who is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from assistant.audio import Microphone
from assistant.events import Event, Probed
from assistant.types import AudioFrame


class CountedMicrophone:
    """A microphone, and how many frames it has given."""

    def __init__(self, microphone: Microphone) -> None:
        self._microphone = microphone
        self.frames_heard = 0

    async def frames(self) -> AsyncGenerator[AudioFrame, None]:
        async with aclosing(self._microphone.frames()) as frames:
            async for frame in frames:
                self.frames_heard += 1
                yield frame


class Heartbeat:
    """Calls ``beat`` regularly, so long as everything that should move moves.

    ``post`` hands an event to the loop; ``is_muted`` says that no frames are to be expected.
    """

    def __init__(
        self,
        microphone: CountedMicrophone,
        *,
        post: Callable[[Event], None],
        is_muted: Callable[[], bool],
        beat: Callable[[], None],
    ) -> None:
        self._microphone = microphone
        self._post = post
        self._is_muted = is_muted
        self._beat = beat
        self._loop_moves = False

    async def watch(self, every_s: float) -> None:
        """Look every so many seconds, until cancelled."""
        while True:
            frames_before = self._microphone.frames_heard
            self._loop_moves = False
            self._post(Probed(self._note))
            await asyncio.sleep(every_s)
            if self._loop_moves and (self._is_muted() or self._microphone.frames_heard > frames_before):
                self._beat()

    def _note(self) -> None:
        self._loop_moves = True
