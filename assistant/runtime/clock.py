"""Time is the event loop's time: real, or skipping ahead whenever nothing is being computed.

The appliance never reads a clock of its own. Everything that waits does so through asyncio, so replacing the
loop replaces time for the whole assistant:

``real``     wall time, for people.
``skipping`` work takes as long as it takes, waiting takes no time: a recording is answered as
             fast as the engines can, and every latency in the report is still true.
``virtual``  only waiting passes time, work takes none unless it asks for it with ``occupy``:
             thousands of turns with scripted engines in seconds, the same every time.

Threads announce their work with ``hold``; no time is skipped while any of it is in progress.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Literal, TypeVar

T = TypeVar("T")
Pace = Literal["real", "skipping", "virtual"]


class _SkippingSelector(selectors.DefaultSelector):
    """Waits for file descriptors, but skips time in which nothing is being computed."""

    def __init__(self, *, work_takes_time: bool) -> None:
        super().__init__()
        self.work_takes_time = work_takes_time
        self.jobs = 0
        self.skipped_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout is None or timeout <= 0:
            return ready or super().select(timeout)
        if self.jobs:
            # A job reports its end through the loop's self-pipe, which wakes the selector.
            return super().select(timeout if self.work_takes_time else None)
        self.skipped_s += timeout
        return []


class SkippingLoop(asyncio.SelectorEventLoop):
    """An event loop whose ``time()`` jumps over idle waits."""

    def __init__(self, *, work_takes_time: bool) -> None:
        self._waits = _SkippingSelector(work_takes_time=work_takes_time)
        super().__init__(self._waits)

    def time(self) -> float:
        return self._waits.skipped_s + (super().time() if self._waits.work_takes_time else 0.0)

    def jobs_changed(self, by: int) -> None:
        self._waits.jobs += by


def hold(loop: asyncio.AbstractEventLoop, job: asyncio.Future[Any]) -> None:
    """Skip no time until ``job``, which runs on another thread, is done."""
    if isinstance(loop, SkippingLoop):
        loop.jobs_changed(+1)
        job.add_done_callback(lambda _: loop.jobs_changed(-1))


def occupy(loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    """Take ``seconds`` of the loop's time. Scripted engines call this on their worker thread."""
    over = threading.Event()

    def begin() -> None:
        if isinstance(loop, SkippingLoop):
            loop.jobs_changed(-1)
        loop.call_later(seconds, end)

    def end() -> None:
        if isinstance(loop, SkippingLoop):
            loop.jobs_changed(+1)
        over.set()

    loop.call_soon_threadsafe(begin)
    over.wait()


def run(main: Coroutine[Any, Any, T], pace: Pace = "real") -> T:
    """Like ``asyncio.run``, at the given pace."""
    if pace == "real":
        return asyncio.run(main)
    loop = SkippingLoop(work_takes_time=pace == "skipping")
    try:
        asyncio.set_event_loop(loop)
        task = loop.create_task(main)
        try:
            return loop.run_until_complete(task)
        except KeyboardInterrupt:
            # The task closes what it opened, in order, before the remaining tasks are canceled.
            task.cancel()
            with suppress(asyncio.CancelledError):
                loop.run_until_complete(task)
            raise
    finally:
        try:
            _finish(loop)
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def _finish(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())


async def quiet(is_busy: Callable[[], bool], for_s: float) -> None:
    """Wait until nothing has been busy for ``for_s`` seconds."""
    now = asyncio.get_running_loop().time
    busy_until_s = now()
    while is_busy() or now() - busy_until_s < for_s:
        busy_until_s = now() if is_busy() else busy_until_s
        await asyncio.sleep(0.05)
