"""Runs calls into the sound library on a thread that nobody has to wait for.

A device that is unplugged at the wrong moment can make PortAudio's open or close hang forever. So they run on
their own thread, one after the other, each with a time limit. A call that exceeds it is stuck: it is
abandoned on its thread, and later calls get a new thread. If it returns after all, its result is undone.
Independent of sound.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from assistant.core.errors import DeviceStuck

log = logging.getLogger(__name__)

T = TypeVar("T")

LIMIT_S = 3.0
"""Opening and closing take tenths of a second, even on a small, busy board."""

MOST_STUCK = 16
"""With this many stuck calls, no more are made: the library cannot recover. Each keeps a thread; most often
the next call works: PortAudio waits forever for a sound server that is restarted under it."""

_PATIENCE = 2.0
"""A call that returned after its limit was slow, not stuck: this factor extends the next limit."""


@dataclass(eq=False)
class _Job:
    what: str
    call: Callable[[], Any]
    undo: Callable[[Any], object] | None
    loop: asyncio.AbstractEventLoop
    limit_s: float
    ended: asyncio.Future[Any] = field(init=False)
    began_s: float = 0.0
    has_returned: bool = False

    def __post_init__(self) -> None:
        self.ended = self.loop.create_future()
        self.ended.add_done_callback(_take_note)


class Driver:
    """The thread, and the calls that are stuck. One per process, like PortAudio."""

    def __init__(self, on_stuck: Callable[[], None] = lambda: None) -> None:
        """Create it; ``on_stuck`` is called whenever a call is abandoned."""
        self._on_stuck = on_stuck
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stuck: dict[_Job, float] = {}
        """Each stuck call, and since when."""
        self._slowest_s = 0.0
        """Duration of the slowest call that exceeded its limit but returned."""
        self._waiting = 0
        """Calls that have started and are neither finished nor stuck."""

    @property
    def stuck_s(self) -> float:
        """How long something has been stuck; 0 if nothing is."""
        return time.monotonic() - min(self._stuck.values()) if self._stuck else 0.0

    @property
    def is_idle(self) -> bool:
        """True if every started call has returned or is stuck."""
        return not self._waiting

    async def run(
        self,
        what: str,
        call: Callable[[], T],
        *,
        limit_s: float = LIMIT_S,
        undo: Callable[[T], object] | None = None,
    ) -> T:
        """Run ``call`` after all earlier calls, and return its result. Raises DeviceStuck after the limit.

        ``undo`` receives a result that came too late, or that nobody waits for anymore.
        """
        job = self._submit(what, call, undo, limit_s)
        try:
            result: T = await asyncio.shield(job.ended)
        except asyncio.CancelledError:
            if not job.ended.done():
                job.ended.cancel()
            elif job.ended.exception() is None:
                self._take_back(job, job.ended.result())
            raise
        return result

    def begin(self, what: str, call: Callable[[], object], *, limit_s: float = LIMIT_S) -> None:
        """Start the call without waiting for it."""
        with suppress(DeviceStuck):
            self._submit(what, call, None, limit_s)

    def _submit(self, what: str, call: Callable[[], Any], undo: Any, limit_s: float) -> _Job:
        if len(self._stuck) >= MOST_STUCK:
            raise _stuck(what)
        limit_s = max(limit_s, _PATIENCE * self._slowest_s)
        job = _Job(what, call, undo, asyncio.get_running_loop(), limit_s)
        self._waiting += 1
        self._jobs.put(job)
        self._go_on()
        return job

    def _go_on(self) -> None:
        if self._thread is None and not self._jobs.empty():
            self._thread = threading.Thread(target=self._work, name="sound", daemon=True)
            self._thread.start()

    # On the thread

    def _work(self) -> None:
        me = threading.current_thread()
        while self._thread is me:
            job = self._jobs.get()
            job.began_s = time.monotonic()
            self._tell(job, self._begun, job)
            outcome: Any = None
            error: BaseException | None = None
            try:
                outcome = job.call()
            except BaseException as raised:  # noqa: BLE001 - it is raised again where it is awaited
                error = raised
            if not self._tell(job, self._returned, job, outcome, error) and job.undo and error is None:
                with suppress(Exception):
                    job.undo(outcome)

    def _tell(self, job: _Job, what: Callable[..., None], *arguments: Any) -> bool:
        try:
            job.loop.call_soon_threadsafe(what, *arguments)
        except RuntimeError:  # its loop is closed
            self._forget(job)
            return False
        return True

    # On the loop

    def _begun(self, job: _Job) -> None:
        job.loop.call_later(job.limit_s, self._judge, job)

    def _judge(self, job: _Job) -> None:
        """Mark a job as stuck when its limit has passed."""
        if job.has_returned:
            return
        self._stuck[job] = job.began_s
        self._thread = None
        self._waiting -= 1
        self._go_on()
        log.error("sound=stuck call=%r limit_s=%.1f stuck_calls=%d", job.what, job.limit_s, len(self._stuck))
        self._on_stuck()
        if not job.ended.done():
            job.ended.set_exception(_stuck(job.what))

    def _returned(self, job: _Job, outcome: Any, error: BaseException | None) -> None:
        took_s = time.monotonic() - job.began_s
        if job in self._stuck:
            self._slowest_s = max(self._slowest_s, took_s)
            log.warning("sound=returned call=%r after_s=%.1f", job.what, took_s)
        self._forget(job)
        if error is not None:
            if not job.ended.done():
                job.ended.set_exception(error)
        elif job.ended.done():
            self._take_back(job, outcome)
        else:
            job.ended.set_result(outcome)

    def _forget(self, job: _Job) -> None:
        if self._stuck.pop(job, None) is None:
            self._waiting -= 1
        job.has_returned = True

    def _take_back(self, job: _Job, outcome: Any) -> None:
        if undo := job.undo:
            self.begin(f"undo: {job.what}", lambda: undo(outcome))


def within(limit_s: float, what: str, call: Callable[[], T]) -> T:
    """Run ``call`` and return its result, for programs without an event loop. Raises DeviceStuck."""
    outcome: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()

    def work() -> None:
        try:
            outcome.put((call(), None))
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is awaited
            outcome.put((None, error))

    threading.Thread(target=work, name="sound", daemon=True).start()
    try:
        result, error = outcome.get(timeout=limit_s)
    except Empty:
        raise _stuck(what) from None
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]  # what it returns is the call's


def _stuck(what: str) -> DeviceStuck:
    return DeviceStuck(
        f"The sound driver doesn't respond: it is stuck in the call to {what}.",
        "Unplug the device and plug it in again. If that doesn't help, restart the machine.",
    )


def _take_note(job: asyncio.Future[Any]) -> None:
    """Retrieve the error of a call that nobody waits for, so asyncio doesn't warn about it."""
    if not job.cancelled():
        job.exception()
