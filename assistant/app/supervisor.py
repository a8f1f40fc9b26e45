"""The supervisor monitors a running appliance: one tick, and one table of what it checks.

``Repairs`` reloads engines that hang. An engine blocks in native code, where nothing can stop it. So it keeps
its thread and its memory until it ends by itself, if ever, and a new one is loaded beside it. If that fails
or doesn't help, only a restart frees the memory: the appliance is then faulted, and the watchdog decides.

``Heartbeat`` tells the watchdog that the appliance is alive: the loop handles events, and no engine has been
given up. From outside, a loop that hangs looks like an idle one, so only progress counts. A missing
microphone or speaker is no reason for a restart: the appliance keeps looking for it, timers ring without the
one, and questions are answered without the other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from assistant.app import build
from assistant.app.engines import load_beside
from assistant.core.errors import AssistantError, EngineTimeout
from assistant.core.events import Event, Faulted, Probed
from assistant.dialog.loop import VoiceLoop
from assistant.runtime.aio import in_thread
from assistant.runtime.engine_thread import EngineThread
from assistant.settings.schema import Settings

log = logging.getLogger(__name__)

Load: TypeAlias = Callable[[str, Settings, Collection[int]], Any]

_TICK_S = 1.0


class Watch(NamedTuple):
    """A row of the supervisor's table."""

    every_s: float
    look: Callable[[], Coroutine[Any, Any, None] | None]
    """Looks, and returns what there is to do; None when that is nothing."""


class Supervisor:
    """Looks at each thing in its own time and does what there is to do, one job for each at a time."""

    def __init__(self, table: Mapping[str, Watch]) -> None:
        self._table = table
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._failing: set[str] = set()

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        now = asyncio.get_running_loop().time
        tick_s = min(_TICK_S, *(watch.every_s for watch in self._table.values()))
        due_s = dict.fromkeys(self._table, now())
        try:
            while True:
                for name, (every_s, look) in self._table.items():
                    if now() >= due_s[name] and name not in self._jobs:
                        due_s[name] = max(due_s[name] + every_s, now())
                        self._start(name, look)
                await asyncio.sleep(tick_s)
        finally:
            for job in self._jobs.values():
                job.cancel()
            await asyncio.gather(*self._jobs.values(), return_exceptions=True)

    def _start(self, name: str, look: Callable[[], Coroutine[Any, Any, None] | None]) -> None:
        try:
            work = look()
        except Exception as error:  # noqa: BLE001 - the other entries are still watched
            self._note_failure(name, error)
            return
        if work:
            self._jobs[name] = job = asyncio.ensure_future(self._do(name, work))
            job.add_done_callback(lambda _: self._jobs.pop(name))

    async def _do(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - what fails once must not keep it from looking again
            self._note_failure(name, error)
        else:
            self._failing.discard(name)

    def _note_failure(self, name: str, error: Exception) -> None:
        if name not in self._failing:
            known = isinstance(error, AssistantError)
            log.error("watch=%s failed=yes problem=%s", name, error, exc_info=None if known else error)
        self._failing.add(name)


class Repairs:
    """Watches the engines of one voice loop; ``load`` creates a warm one of a kind (``load_beside``)."""

    def __init__(self, voice_loop: VoiceLoop, load: Load = load_beside) -> None:
        self._voice_loop = voice_loop
        self._load = load
        self._results: dict[str, int] = {}
        """Kind of engine -> number of successful calls when it was last reloaded."""
        self._given_up: dict[str, Faulted] = {}

    def look(self) -> Coroutine[Any, Any, None] | None:
        """Return the work to do if an engine hangs."""
        pipeline = self._voice_loop.pipeline
        limit_s = pipeline.settings.conversation.turn_timeout_s
        workers: dict[str, EngineThread[Any]] = {
            "stt": pipeline.stt,
            "llm": pipeline.llm,
            "tts": pipeline.tts,
        }
        hanging = {kind: worker for kind, worker in workers.items() if worker.hangs(limit_s)}
        return self._mend_all(hanging) if hanging else None

    async def _mend_all(self, hanging: Mapping[str, EngineThread[Any]]) -> None:
        for kind, worker in hanging.items():
            await self._mend(kind, worker)

    async def _mend(self, kind: str, worker: EngineThread[Any]) -> None:
        pipeline = self._voice_loop.pipeline
        if kind not in self._given_up:
            try:
                self._may_try_again(kind, worker)
                worker.leave(await in_thread(partial(self._load, kind, pipeline.settings, worker.cores)))
                if kind == "llm":
                    await worker.run(lambda llm, _: build.read_opening(llm, pipeline.conversation))
            except Exception as error:  # whatever the reason, this engine answers nobody anymore
                known = isinstance(error, AssistantError)
                log.error("engine=%s mended=no problem=%s", kind, error, exc_info=None if known else error)
                self._given_up[kind] = Faulted(_hangs(kind))
            else:
                log.warning("engine=%s fault=hung action=loaded-anew", kind)
                self._results[kind] = worker.results
                return
        self._voice_loop.post(self._given_up[kind])  # repeatedly, because it may be muted meanwhile

    def _may_try_again(self, kind: str, worker: EngineThread[Any]) -> None:
        if self._results.get(kind) == worker.results:
            raise _hangs(kind)


class Heartbeat:
    """Calls ``beat`` at each check while the loop makes progress.

    ``post`` sends an event to the loop; ``is_broken`` means that only a restart helps.
    """

    def __init__(
        self,
        *,
        post: Callable[[Event], None],
        is_broken: Callable[[], bool],
        beat: Callable[[], None],
    ) -> None:
        self._post = post
        self._is_broken = is_broken
        self._beat = beat
        self._loop_moves = False

    def look(self) -> None:
        """Call ``beat`` if the loop has made progress since the last check."""
        if self._loop_moves and not self._is_broken():
            self._beat()
        self._loop_moves = False
        self._post(Probed(self._note))

    def _note(self) -> None:
        self._loop_moves = True


def _hangs(kind: str) -> EngineTimeout:
    return EngineTimeout(
        f"The {kind} engine hangs, and reloading it didn't help.",
        f"Restart the assistant. If it hangs again, choose a different {kind}.model.",
    )
