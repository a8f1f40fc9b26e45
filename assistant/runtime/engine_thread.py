"""A thread that owns one engine, controlled from the event loop; and who may compute when.

Engines block; the loop must not. An ``EngineThread`` runs its engine's calls one after another on its own
thread, pinned to the cores it was given. Canceling the awaiting task sets the call's ``Cancel`` and returns
at once: the thread ends its call at the next token or chunk, and the next call waits behind it. A call that
never ends cannot be stopped from outside: ``hangs`` reports it, and ``leave`` abandons its thread and its
engine. Threads are daemons, so a hung thread does not keep the process alive.

Who may compute when, the whole of it:

- The event loop does all that is short: frames, VAD, wake word, dialog. ``board.core_plan`` keeps a core for
  it if there are three or more. Files and programs are waited for in other threads (``aio.in_thread``).
- Speech recognition, language model and voice use all the engines' cores, one at a time: two at once would
  make each other's threads wait at every step. Their ``EngineThread``s share one ``FairLock``.
- A stream takes the lock for each item and pauses after it (``_BREATH``), so the voice can speak a sentence
  between two tokens. An engine that only waits for a server (``waits``) does not take it.
- Native threads that wait for work soon stop spinning, or they would slow down the next engine: the
  environment is set before the libraries load (``assistant``).
- llama.cpp's threads keep a core each, and become fewer while other programs are busy
  (``engines.llm.llama_cpp.threads``).
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from assistant.core.errors import EngineTimeout
from assistant.runtime import clock
from assistant.runtime.cancel import Cancel

log = logging.getLogger(__name__)


class Owned(Protocol):
    """What this module requires of an engine."""

    def warm_up(self) -> None:
        """Run once on dummy input, so the first real call is as fast as the tenth."""

    def close(self) -> None:
        """Free all resources. Called once, last."""


E = TypeVar("E", bound=Owned)
T = TypeVar("T")
Meter = Callable[[float], None]
"""Called on the engine's thread with the seconds a call took there, also for abandoned calls."""
_END = object()

_BREATH = 0.03
"""Pause after each streamed item, as a fraction of the time the item took."""

_ITEMS_AT_ONCE = 4
"""The pause is based on the longest of this many items: drafted tokens that were accepted take no time, and
the next one does.
"""

_ENDS_WITHIN_S = 5.0
"""A canceled call ends at the next token or chunk; on the slowest board a chunk takes 3 s."""

_NOBODY_WAITS = 10
"""A call that was not canceled hangs after this many times its limit: on a slow board, reading a long prompt
can take as long as two turns.
"""


def unmetered(_: float) -> None:
    """Default meter: ignores the measurement."""


class FairLock:
    """A lock that is granted in the order it was requested; not reentrant.

    With ``threading.Lock``, a thread that takes it again for every token could keep others out for seconds.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._holder: int | None = None
        self._waiting: deque[tuple[int, threading.Event]] = deque()

    def __enter__(self) -> None:
        me = threading.get_ident()
        with self._guard:
            if self._holder is None:
                self._holder = me
                return
            mine = threading.Event()
            self._waiting.append((me, mine))
        mine.wait()

    def __exit__(self, *_: object) -> None:
        self.take_from(threading.get_ident())

    def take_from(self, thread: int | None) -> None:
        """If ``thread`` holds the lock, pass it to the next waiter. Also used for a thread that hangs."""
        with self._guard:
            if thread is None or self._holder != thread:
                return
            if self._waiting:
                self._holder, event = self._waiting.popleft()
                event.set()
            else:
                self._holder = None


class EngineThread(Generic[E]):
    """A named thread and, after ``start`` has returned, the engine on it.

    ``cores`` are the CPU numbers the thread may run on; empty means any. ``in_turn`` is held during each
    call, or for each item of a stream: threads that share it never compute at the same time. An engine whose
    ``waits`` is true doesn't hold it, so the voice can speak while a server is answering.
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
        self._thread = _Thread(name, cores)
        self._job: asyncio.Future[Any] | None = None
        self._cancel = Cancel()
        self.results = 0
        """Number of calls that have succeeded."""

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
            with self._thread.computing(self._turn()):
                return call(self.engine, cancel)

        return await self._submit(take_turn, meter)

    async def stream(
        self, call: Callable[[E, Cancel], Iterator[T]], meter: Meter = unmetered
    ) -> AsyncGenerator[T, None]:
        """Run a generator on the thread and yield its items as they arrive."""
        loop = asyncio.get_running_loop()
        items: asyncio.Queue[Any] = asyncio.Queue()

        def pump(cancel: Cancel) -> None:
            thread = self._thread
            last_s: deque[float] = deque(maxlen=_ITEMS_AT_ONCE)
            try:
                source = call(self.engine, cancel)
                while not cancel:
                    with thread.computing(self._turn()):
                        began_s = time.perf_counter()
                        item = next(source, _END)
                        took_s = time.perf_counter() - began_s
                    if item is _END:
                        break
                    loop.call_soon_threadsafe(items.put_nowait, item)
                    last_s.append(took_s)
                    time.sleep(max(last_s) * _BREATH)
            finally:
                with suppress(RuntimeError):  # the loop is closed when the program is exiting
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

    def exchange(self, engine: E) -> asyncio.Future[None]:
        """Use ``engine``, already warm, from the next call on. Done when the previous one is closed."""
        before, self.engine = self.engine, engine
        return self._thread.submit(asyncio.get_running_loop(), before.close)

    def hangs(self, limit_s: float) -> bool:
        """True if the engine has been computing for longer than ``limit_s`` and ignores cancellation."""
        since_s = self._thread.computing_since_s
        if since_s is None:
            return False
        computing_s = asyncio.get_running_loop().time() - since_s
        return computing_s > (limit_s + _ENDS_WITHIN_S if self._cancel else limit_s * _NOBODY_WAITS)

    def leave(self, engine: E) -> None:
        """Use ``engine``, already warm, from now on, and abandon the one that hangs. If that one ever
        returns, it is closed.

        Calls that are waiting for it raise EngineTimeout.
        """
        job, thread, before = self._job, self._thread, self.engine
        self._cancel.set()
        self._thread, self._job, self.engine = _Thread(self.name, self.cores), None, engine
        if isinstance(self._in_turn, FairLock):
            self._in_turn.take_from(thread.ident)
        thread.end(before.close)
        if job is not None and not job.done():
            job.add_done_callback(_take_note)
            job.set_exception(
                EngineTimeout(
                    f"The {self.name} engine stopped responding.", "It has been reloaded. Ask again."
                )
            )

    async def close(self, within_s: float = 2 * _ENDS_WITHIN_S) -> None:
        """Close the engine, if there is one, and end the thread. A hung engine is left behind."""
        closing = asyncio.ensure_future(self._close())
        try:
            await asyncio.wait({closing}, timeout=within_s)
            if not closing.done():
                log.error("engine=%s closed=no reason=hangs", self.name)
        finally:
            closing.cancel()
            await asyncio.gather(closing, return_exceptions=True)
            self._thread.end()

    async def _close(self) -> None:
        if self._job is not None:
            await asyncio.wait({self._job})
        if hasattr(self, "engine"):
            await self.run(lambda engine, _: engine.close())

    async def _submit(self, call: Callable[[Cancel], T], meter: Meter = unmetered) -> T:
        loop = asyncio.get_running_loop()

        def metered() -> T:
            began_s = loop.time()
            try:
                return call(cancel)
            finally:
                meter(loop.time() - began_s)

        while self._job is not None and not self._job.done():
            await asyncio.wait({self._job})
        cancel = self._cancel = Cancel()
        job = self._job = self._thread.submit(loop, metered)
        try:
            result: T = await asyncio.shield(job)
        except asyncio.CancelledError:
            cancel.set()
            job.add_done_callback(_take_note)
            raise
        self.results += 1
        return result


class _Thread:
    """Runs calls one after another; starts with the first call."""

    def __init__(self, name: str, cores: Collection[int]) -> None:
        self._calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, args=(cores,), name=name, daemon=True)
        self._now: Callable[[], float] = lambda: 0.0
        self.computing_since_s: float | None = None

    @property
    def ident(self) -> int | None:
        return self._thread.ident

    @contextmanager
    def computing(self, in_turn: AbstractContextManager[object]) -> Iterator[None]:
        """Hold ``in_turn`` and record the start time while this thread computes."""
        with in_turn:
            self.computing_since_s = self._now()
            try:
                yield
            finally:
                self.computing_since_s = None

    def submit(self, loop: asyncio.AbstractEventLoop, call: Callable[[], T]) -> asyncio.Future[T]:
        """Run ``call`` on the thread and return a future of ``loop``, which others may settle earlier."""
        job: asyncio.Future[T] = loop.create_future()
        ended: asyncio.Future[None] = loop.create_future()

        def tell(settle: Callable[[Any], None], outcome: Any) -> None:
            ended.set_result(None)
            if not job.done():
                settle(outcome)

        def run() -> None:
            settle: Callable[[Any], None] = job.set_result
            outcome: Any = None
            try:
                outcome = call()
            except BaseException as error:  # noqa: BLE001 - it is raised again where it is awaited
                settle, outcome = job.set_exception, error
            with suppress(RuntimeError):  # the loop is closed when the program is exiting
                loop.call_soon_threadsafe(tell, settle, outcome)

        clock.hold(loop, ended)
        self._now = loop.time
        self._calls.put(run)
        if self._thread.ident is None:
            self._thread.start()
        return job

    def end(self, last: Callable[[], object] | None = None) -> None:
        """End the thread after the queued calls and ``last``, without waiting for it."""
        if last is not None:
            self._calls.put(last)
        self._calls.put(None)

    def _run(self, cores: Collection[int]) -> None:
        if cores and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(threading.get_native_id(), cores)
        while call := self._calls.get():
            with suppress(Exception):  # calls report their own errors to their callers
                call()
            del call  # release what it holds before waiting for the next call


def _take_note(job: asyncio.Future[Any]) -> None:
    """Retrieve an abandoned call's exception, so asyncio doesn't warn about it."""
    if not job.cancelled():
        job.exception()
