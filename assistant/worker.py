"""One thread that owns one engine, seen from the event loop.

Engines block; the loop must not. A ``Worker`` runs its engine's calls one after another on its
own thread, pinned to the cores it was given. Cancelling the awaiting task sets the call's
``Cancel`` and returns at once: the thread ends its call at the next token or chunk, and the
next call waits its turn behind it.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, aclosing, nullcontext, suppress
from typing import Any, Generic, TypeVar

from assistant import clock
from assistant.cancel import Cancel
from assistant.engines import Engine
from assistant.errors import EngineTimeout

E = TypeVar("E", bound=Engine)
T = TypeVar("T")
Meter = Callable[[float], None]
"""Is told, on the engine's thread, how many seconds a call took there: also of one that was abandoned."""
_END = object()

_BREATH = 0.03
"""So much of an item's time a stream pauses after it. What the item leads to may then be asked of the next
engine first: the voice need not wait for another token before it speaks the sentence that this one ended."""


def unmetered(_: float) -> None:
    """The default meter counts nothing."""


class Worker(Generic[E]):
    """A named thread and, once ``start`` has returned, the engine on it.

    ``cores`` are the CPU numbers that the thread may run on; empty means any. ``in_turn`` is held
    during each call, in a stream for each item: workers that share it never compute at once. An
    engine whose ``waits`` is true does not hold it: the voice speaks while a server is waited for.
    """

    engine: E

    def __init__(
        self,
        name: str,
        cores: Collection[int] = (),
        in_turn: AbstractContextManager[object] = nullcontext(),  # noqa: B008 - it has no state
    ) -> None:
        self.name = name
        self.cores = tuple(cores)
        self._in_turn = in_turn
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name, initializer=_pin, initargs=(cores,))
        self._job: asyncio.Future[Any] | None = None

    async def start(self, create: Callable[[], E]) -> None:
        """Create the engine on its thread and warm it up there."""

        def load(_: Cancel) -> E:
            engine = create()
            engine.warm_up()
            return engine

        self.engine = await self._submit(load)

    async def run(self, call: Callable[[E, Cancel], T], meter: Meter = unmetered) -> T:
        """Run ``call`` with the engine on its thread and return what it returns."""

        def take_turn(cancel: Cancel) -> T:
            with self._turn():
                return call(self.engine, cancel)

        return await self._submit(take_turn, meter)

    async def stream(
        self, call: Callable[[E, Cancel], Iterator[T]], meter: Meter = unmetered
    ) -> AsyncGenerator[T, None]:
        """Run a generator on the thread and yield its items as they come."""
        loop = asyncio.get_running_loop()
        items: asyncio.Queue[Any] = asyncio.Queue()

        def pump(cancel: Cancel) -> None:
            try:
                source = call(self.engine, cancel)
                while not cancel:
                    with self._turn():
                        began_s = time.perf_counter()
                        item = next(source, _END)
                        took_s = time.perf_counter() - began_s
                    if item is _END:
                        break
                    loop.call_soon_threadsafe(items.put_nowait, item)
                    time.sleep(took_s * _BREATH)
            finally:
                with suppress(RuntimeError):  # the loop is closed when the program is ending
                    loop.call_soon_threadsafe(items.put_nowait, _END)

        job = asyncio.ensure_future(self._submit(pump, meter))
        try:
            while (item := await items.get()) is not _END:
                yield item
            await job
        finally:
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)

    def _turn(self) -> AbstractContextManager[object]:
        return nullcontext() if getattr(self.engine, "waits", False) else self._in_turn

    async def exchange(self, engine: E) -> None:
        """Work with ``engine``, which is warm, from the next call on, and close the one before."""

        def swap(_: Cancel) -> None:
            before, self.engine = self.engine, engine
            before.close()

        await self._submit(swap)

    async def close(self) -> None:
        """Close the engine, if there is one, and end the thread."""
        with suppress(AttributeError):
            await self.run(lambda engine, _: engine.close())
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _submit(self, call: Callable[[Cancel], T], meter: Meter = unmetered) -> T:
        loop = asyncio.get_running_loop()

        def metered(cancel: Cancel) -> T:
            began_s = loop.time()
            try:
                return call(cancel)
            finally:
                meter(loop.time() - began_s)

        while self._job is not None and not self._job.done():
            await asyncio.wait({self._job})
        cancel = Cancel()
        job = loop.run_in_executor(self._thread, metered, cancel)
        self._job = job
        clock.hold(loop, job)
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            cancel.set()
            job.add_done_callback(_take_note)
            raise


async def in_thread(call: Callable[[], T]) -> T:
    """Run something that may wait for the disk beside the loop, and return what it returns."""
    loop = asyncio.get_running_loop()
    job = loop.run_in_executor(None, call)
    clock.hold(loop, job)
    return await job


async def prefetch(source: AsyncGenerator[T, None], depth: int) -> AsyncGenerator[T, None]:
    """Yield from ``source`` while up to ``depth`` further items are being made in the background."""
    made: asyncio.Queue[Any] = asyncio.Queue()
    room = asyncio.Semaphore(depth - 1)

    async def fill() -> None:
        try:
            async with aclosing(source):
                async for item in source:
                    made.put_nowait(item)
                    await room.acquire()
        finally:
            made.put_nowait(_END)

    filling = asyncio.ensure_future(fill())
    try:
        while (item := await made.get()) is not _END:
            room.release()
            yield item
        await filling
    finally:
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)


async def within(limit_s: float, waiting: Awaitable[T]) -> T:
    """What ``waiting`` gives, or EngineTimeout. (``wait_for`` may swallow a cancellation before 3.12.)"""
    job = asyncio.ensure_future(waiting)
    try:
        await asyncio.wait({job}, timeout=limit_s)
        if job.done():
            return job.result()
    finally:
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)
    raise EngineTimeout(
        f"No part of the answer came within {limit_s:g} s.",
        "Choose a smaller model, or raise conversation.turn_timeout_s.",
    )


def _take_note(job: asyncio.Future[Any]) -> None:
    """Look at an abandoned call's failure, so that asyncio does not complain of it."""
    if not job.cancelled():
        job.exception()


def _pin(cores: Collection[int]) -> None:
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(threading.get_native_id(), cores)
