"""The supervisor: loads engines that hang anew, and tells the watchdog that the appliance is alive.

An engine blocks in native code, where nothing can end it. So its thread and its memory are left
to it until it ends by itself, if ever, and a new one is loaded beside it. When that does not help, or cannot
be had, only a restart gives the memory back: the appliance is faulted then, and the watchdog decides.

The appliance is alive while the loop takes events and no engine is given up. A loop that hangs looks from
outside as one that has nothing to do, so only what moves counts. A missing microphone or speaker is no
reason for a restart: it is looked for, and timers ring without the one and questions are answered without
the other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, TypeAlias

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

_LOOK_EVERY_S = 1.0


class Repairs:
    """Watches the engines of one voice loop; ``load`` makes a warm one of a kind (``load_beside``)."""

    def __init__(self, voice_loop: VoiceLoop, load: Load = load_beside) -> None:
        self._voice_loop = voice_loop
        self._load = load
        self._results: dict[str, int] = {}
        """Kind of engine -> how many calls had ended well when it was last loaded anew."""
        self._given_up: dict[str, Faulted] = {}

    async def watch(self) -> None:
        """Look every second, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            pipeline = self._voice_loop.pipeline
            for kind in ("stt", "llm", "tts"):
                worker: EngineThread[Any] = getattr(pipeline, kind)
                if worker.hangs(pipeline.settings.conversation.turn_timeout_s):
                    await self._mend(kind, worker)

    async def _mend(self, kind: str, worker: EngineThread[Any]) -> None:
        pipeline = self._voice_loop.pipeline
        if kind not in self._given_up:
            try:
                self._may_try_again(kind, worker)
                worker.leave(await in_thread(partial(self._load, kind, pipeline.settings, worker.cores)))
                if kind == "llm":
                    await worker.run(lambda llm, _: build.read_opening(llm, pipeline.conversation))
            except Exception as error:  # whatever it is, this engine answers nobody any more
                known = isinstance(error, AssistantError)
                log.error("engine=%s mended=no problem=%s", kind, error, exc_info=None if known else error)
                self._given_up[kind] = Faulted(_hangs(kind))
            else:
                log.warning("engine=%s fault=hung action=loaded-anew", kind)
                self._results[kind] = worker.results
                return
        self._voice_loop.post(self._given_up[kind])  # again and again: it may be muted meanwhile

    def _may_try_again(self, kind: str, worker: EngineThread[Any]) -> None:
        if self._results.get(kind) == worker.results:
            raise _hangs(kind)


class Heartbeat:
    """Calls ``beat`` regularly, so long as the loop moves.

    ``post`` hands an event to the loop; ``is_broken`` says that only a restart helps.
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

    async def watch(self, every_s: float) -> None:
        """Look every so many seconds, until cancelled."""
        while True:
            self._loop_moves = False
            self._post(Probed(self._note))
            await asyncio.sleep(every_s)
            if self._loop_moves and not self._is_broken():
                self._beat()

    def _note(self) -> None:
        self._loop_moves = True


def _hangs(kind: str) -> EngineTimeout:
    return EngineTimeout(
        f"The {kind} engine hangs, and loading it anew has not helped.",
        f"Restart the assistant; should it hang again, choose another {kind}.model.",
    )
