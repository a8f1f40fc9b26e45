"""A home in virtual time for ``bench soak``: the real loop around scripted engines, and a person who talks.

Its devices and engines can be made to fail in every way; see ``faults``. Everything else, apart from the
passing of time, is what the appliance runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from assistant import skills
from assistant.app.reload import Reloader
from assistant.app.shedding import Shedding
from assistant.app.supervisor import Repairs, Supervisor, Watch
from assistant.audio.files import read_sound
from assistant.audio.scripted import ScriptedMicrophone, ScriptedSpeaker
from assistant.board.shortage import Reading, Shortages
from assistant.core.state import State
from assistant.dialog import earcons
from assistant.dialog.conversation import Conversation
from assistant.dialog.loop import VoiceLoop
from assistant.dialog.pipeline import Pipeline
from assistant.dialog.report import Report
from assistant.dialog.ringer import Ringer
from assistant.engines.scripted import (
    ScriptedLlm,
    ScriptedStt,
    ScriptedTts,
    ScriptedVad,
    ScriptedWake,
    clip,
    no_fault,
)
from assistant.runtime.engine_thread import EngineThread
from assistant.services.control.api import ControlApi
from assistant.settings.load import Loaded
from assistant.settings.schema import Settings
from assistant.skills import Clocks, ListBook, SkillContext, TimerBook

BUDGET_S = 3.0
"""An engine's time limit per turn; a hang costs twice that."""

SETTINGS = Settings.model_validate(
    {
        "conversation": {"turn_timeout_s": BUDGET_S, "ring_limit_s": 20.0},
        "endpoint": {"listen_timeout_ms": 3000},
        "knowledge": {"tables": None},  # they would be read at the first reload, and counted as growth
        "wake": {"engine": "none"},  # A scripted one listens.
    }
)

_WAKE, _WORDS = 500, 2000
"""Loudness of the wake word, and of all other words."""

_NOON_UTC_S = 1_800_014_400.0
"""A Friday in January."""


REPLY = "It is Paris. A lovely town."

WELL = Reading(memory_mb=2000, stalled_percent=0, disk_mb=5000, hot_c=50)


@dataclass
class Home:
    """The appliance, ways to act on it, and what has been observed since ``forget``."""

    microphone: ScriptedMicrophone = field(default_factory=ScriptedMicrophone)
    speaker: ScriptedSpeaker = field(default_factory=ScriptedSpeaker)
    heard: dict[int, str] = field(default_factory=dict)
    """Loudness -> what the recognizer understands."""
    reply: str = REPLY
    """The language model's answer."""
    faults: dict[str, Callable[[], None]] = field(default_factory=dict)
    """Kind of engine -> what happens at its next call."""
    hanging: int = 0
    """Engines that are hanging now, including abandoned ones."""
    ahead_s: float = 0.0
    """How far the wall clock is off."""
    reading: Reading = WELL
    """The machine's current condition."""
    shortages: Shortages = field(default_factory=Shortages)
    reports: list[Report] = field(default_factory=list)
    states: set[State] = field(default_factory=set)
    rebuilt: int = 0
    """Engines that were reloaded."""
    loop: VoiceLoop = field(init=False)
    orders: ControlApi = field(init=False)
    timers: TimerBook = field(init=False)
    _event_loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    reload: Callable[[Settings], Awaitable[None]] = field(init=False)
    """Applies new settings, as when a file is saved."""

    @property
    def is_whole(self) -> bool:
        """True if no feature is shed."""
        llm, tts = self.engine("llm"), self.engine("tts")
        there: Any = self.loop.pipeline
        now = (there.llm.engine.context_tokens, there.llm.engine.threads_share, there.tts.engine.keeps)
        return not self.shortages.now and now == (llm.context_tokens, llm.threads_share, tts.keeps)

    def call(self) -> None:
        """Let the person say the wake word."""
        self.microphone.say(clip(_WAKE, 500))

    def say(self, words: str) -> None:
        """Let the person say ``words`` next."""
        self.heard[_WORDS] = words
        self.microphone.say(clip(_WORDS, 1000))

    def noise(self) -> None:
        """Make a loud noise."""
        self.microphone.say(clip(_WORDS, 60))

    def forget(self) -> None:
        """Discard what has been observed so far, including the engines' records."""
        self.reports.clear()
        self.speaker.written.clear()
        self.states = {self.loop.state}
        pipeline = self.loop.pipeline
        for kept in ("heard", "prompts", "read", "said", "phrases"):
            for worker in (pipeline.stt, pipeline.llm, pipeline.tts):
                getattr(worker.engine, kept, []).clear()

    def engine(self, kind: str) -> Any:
        """Return a new scripted engine of this kind, which fails as ``faults`` says."""
        loop = self._event_loop

        def fault() -> None:
            self.faults.pop(kind, no_fault)()

        if kind == "stt":
            return ScriptedStt(loop, self.heard, fault=fault)
        if kind == "llm":
            return ScriptedLlm(loop, lambda _: self.reply, fault=fault)
        return ScriptedTts(loop, fault=fault)

    def rebuild(self, kind: str, *_: object) -> Any:
        """Replace ``beside.load``, which loads a real engine."""
        self.rebuilt += 1
        return self.engine(kind)


def clocks_of(loop: asyncio.AbstractEventLoop, ahead_s: Callable[[], float] = lambda: 0.0) -> Clocks:
    """Return clocks for London in winter, noon at loop time 0; ``ahead_s`` is how far the wall clock is
    off.
    """
    return Clocks(
        utc_s=lambda: _NOON_UTC_S + loop.time() + ahead_s(),
        boot_s=loop.time,
        boot_id="simulated",
        from_local=lambda local: local.replace(tzinfo=timezone.utc).timestamp(),
        to_local=lambda utc_s: datetime.fromtimestamp(utc_s, timezone.utc).replace(tzinfo=None),
    )


@asynccontextmanager
async def open_home(folder: Path, intents: Path) -> AsyncIterator[Home]:
    """Yield a running home whose timers are stored in ``folder``, until the end of the block."""
    home = Home()
    async with AsyncExitStack() as stack:
        clocks = clocks_of(asyncio.get_running_loop(), lambda: home.ahead_s)
        home.timers = stack.enter_context(closing(TimerBook(folder / "timers.db", clocks)))
        lists = stack.enter_context(closing(ListBook(folder / "lists.db")))
        context = SkillContext(home.timers, lists, loudness=lambda: home.speaker.volume)
        workers: dict[str, EngineThread[Any]] = {}
        for kind in ("stt", "llm", "tts"):
            workers[kind] = EngineThread(kind)  # without a lock: virtual time cannot see who waits for it
            stack.push_async_callback(workers[kind].close)
            await workers[kind].start(_once(home.engine(kind)))
        llm = workers["llm"]
        pipeline = Pipeline(
            stt=workers["stt"],
            llm=llm,
            tts=workers["tts"],
            skills=skills.load([intents], context),
            conversation=Conversation(
                "Be brief.",
                count_tokens=lambda messages: llm.engine.count_tokens(messages),  # noqa: PLW0108 - it changes
                budget_tokens=1000,
            ),
            speaker=home.speaker,
            settings=SETTINGS,
        )
        orders = home.orders = ControlApi(SETTINGS, home.shortages)

        def reported(report: Report) -> None:
            home.reports.append(report)
            orders.on_report(report)

        loop = home.loop = VoiceLoop(
            microphone=home.microphone,
            vad=ScriptedVad(),
            wake_word=ScriptedWake({_WAKE: "okay_nabu"}),
            pipeline=pipeline,
            ringer=Ringer(home.timers, now=context.clock, limit_s=SETTINGS.conversation.ring_limit_s),
            earcons=earcons.load(SETTINGS.audio.earcons, read_sound),
            hears_itself=False,
            on_report=reported,
            observers=[orders.on_change, lambda _, state: home.states.add(state)],
        )
        home.reload = _reloading(loop, context)
        orders.attach(loop, reload=_no_reload, is_ringing=lambda: bool(home.timers.due()))
        shedding = Shedding(loop, home.shortages, lambda: home.reading, folder)
        table = {
            "engines": Watch(1.0, Repairs(loop, home.rebuild).look),
            "shortages": Watch(5.0, shedding.look),
        }
        for job in (loop.run(), Supervisor(table).watch()):
            stack.push_async_callback(_end, asyncio.ensure_future(job))
        yield home


def _once(engine: Any) -> Callable[[], Any]:
    return lambda: engine


async def _no_reload() -> dict[str, object]:
    return {}


def _reloading(loop: VoiceLoop, context: SkillContext) -> Callable[[Settings], Awaitable[None]]:
    now = [SETTINGS]
    reloader = Reloader(
        lambda: Loaded(now[0], {}, None, "generic-x86", "soak"),
        Loaded(SETTINGS, {}, None, "generic-x86", "soak"),
    )

    async def reload(settings: Settings) -> None:
        now[0] = settings
        await reloader.reload(loop, context)

    return reload


async def _end(job: asyncio.Task[None]) -> None:
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
