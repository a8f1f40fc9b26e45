"""Helpers for asyncio: a call in a thread, a generator that works ahead, a wait with a limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any, TypeVar

from assistant.core.errors import EngineTimeout
from assistant.runtime import clock

T = TypeVar("T")
_END = object()


async def in_thread(call: Callable[[], T]) -> T:
    """Run a call that may wait for the disk in a thread, and return its result."""
    loop = asyncio.get_running_loop()
    job = loop.run_in_executor(None, call)
    clock.hold(loop, job)
    return await job


async def each(items: Iterable[T]) -> AsyncGenerator[T, None]:
    """Yield existing items asynchronously."""
    for item in items:
        yield item


async def prefetch(source: AsyncGenerator[T, None], depth: int) -> AsyncGenerator[T, None]:
    """Yield from ``source`` while up to ``depth`` further items are produced in the background."""
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
    """Await ``waiting``; raises EngineTimeout after ``limit_s``. (``wait_for`` may swallow a cancellation
    before 3.12.)
    """
    job = asyncio.ensure_future(waiting)
    try:
        await asyncio.wait({job}, timeout=limit_s)
        if job.done():
            return job.result()
    finally:
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)
    raise EngineTimeout(
        f"No part of the answer arrived within {limit_s:g} s.",
        "Choose a smaller model, or raise conversation.turn_timeout_s.",
    )
