"""Work for other programs, done only while nobody in the room needs the assistant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TypeVar

from assistant.core.errors import EngineTimeout
from assistant.core.state import State
from assistant.core.types import Pcm16, Sentence
from assistant.dialog.pipeline import Pipeline
from assistant.dialog.sentences import whole
from assistant.runtime.aio import each

T = TypeVar("T")

_FREE = frozenset({State.SLEEPING, State.MUTED, State.FAULTED})
"""The states in which nobody in the room is being listened to or answered."""

LONGEST_WAIT_S = 60.0


class Guests:
    """Runs work for other programs only while nobody in the room is listened to or answered.

    It runs one piece at a time. If someone starts to speak, the current piece is aborted, and restarted after
    the answer.
    """

    def __init__(self) -> None:
        self._free = asyncio.Event()
        self._busy = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self.follow(State.STARTING)

    def follow(self, state: State) -> None:
        """Record the assistant's state."""
        now, before = (self._free, self._busy) if state in _FREE else (self._busy, self._free)
        before.clear()
        now.set()

    async def wait(self) -> None:
        """Wait until nobody in the room needs the assistant."""
        await self._free.wait()

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run ``work``, possibly more than once, and return its result. Raises its errors, EngineTimeout."""
        try:
            return await asyncio.wait_for(self._in_turn(work), LONGEST_WAIT_S)
        except asyncio.TimeoutError:
            raise EngineTimeout(
                "The assistant was busy with people in the room.", "Try again in a moment."
            ) from None

    async def _in_turn(self, work: Callable[[], Awaitable[T]]) -> T:
        async with self._one_at_a_time:
            while True:
                await self._free.wait()
                working = asyncio.ensure_future(work())
                needed = asyncio.ensure_future(self._busy.wait())
                try:
                    await asyncio.wait({working, needed}, return_when=asyncio.FIRST_COMPLETED)
                    if working.done():
                        return working.result()
                finally:
                    for task in (working, needed):
                        task.cancel()
                    await asyncio.gather(working, needed, return_exceptions=True)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[asyncio.Future[bool]]:
        """Hold the only place for guests while inside.

        The yielded future is done once someone in the room needs the assistant. Raises EngineTimeout.
        """
        try:
            await asyncio.wait_for(self._one_at_a_time.acquire(), LONGEST_WAIT_S)
        except asyncio.TimeoutError:
            raise EngineTimeout(
                "The assistant is busy with other programs.", "Ask again in a moment."
            ) from None
        try:
            await self._free.wait()
            needed: asyncio.Future[bool] = asyncio.ensure_future(self._busy.wait())
            try:
                yield needed
            finally:
                needed.cancel()
        finally:
            self._one_at_a_time.release()

    async def speak(self, pipeline: Callable[[], Pipeline], text: str) -> AsyncIterator[Pcm16]:
        """Yield the audio of each sentence of ``text``, at the voice's rate. Raises EngineError."""

        async def sound_of(sentence: Sentence) -> list[Pcm16]:
            async with aclosing(pipeline().speak(each([sentence]))) as sounds:
                return [sound.pcm async for sound in sounds]

        for sentence in whole(text):
            for pcm in await self.run(partial(sound_of, sentence)):
                yield pcm
