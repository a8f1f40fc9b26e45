"""The appliance with any microphone and speaker, assembled as in ``app`` except for the language model.

The content of the answers doesn't matter here, so the language model is scripted. The engines are loaded once
and shared by any number of loops, one after the other. ``open_stage`` puts such a loop into a simulated room.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from assistant import skills
from assistant.app import build as app
from assistant.app import engines as loading
from assistant.audio import EchoControl, Kind, Microphone, Speaker, nothing_plugs_in
from assistant.audio.filtered import FilteredMicrophone
from assistant.core.events import Announced
from assistant.core.state import Observer, State
from assistant.dialog.conversation import Conversation
from assistant.dialog.loop import VoiceLoop
from assistant.dialog.pipeline import Pipeline
from assistant.dialog.report import Report
from assistant.dialog.ringer import Ringer
from assistant.engines import Llm, Stt, Tts, WakeWord
from assistant.engines.scripted import ScriptedLlm
from assistant.runtime.engine_thread import EngineThread
from assistant.settings.schema import Settings
from assistant.skills import SkillContext
from assistant.tools.bench.room.simulated import Acoustics, Room


@dataclass(frozen=True, slots=True)
class Engines:
    """The recognizer and the voice, warmed up."""

    settings: Settings
    stt: EngineThread[Stt]
    tts: EngineThread[Tts]
    llm: EngineThread[Llm]
    scripted: ScriptedLlm
    context: SkillContext


@asynccontextmanager
async def open_engines(settings: Settings) -> AsyncIterator[Engines]:
    """Load the configured engines. Timers and lists go to a temporary folder."""
    async with AsyncExitStack() as stack:
        stt: EngineThread[Stt] = EngineThread("stt")
        tts: EngineThread[Tts] = EngineThread("tts")
        llm: EngineThread[Llm] = EngineThread("llm")
        for worker in (stt, tts, llm):
            stack.push_async_callback(worker.close)
        scripted = ScriptedLlm(
            asyncio.get_running_loop(), lambda _: "Okay.", first_seconds=0, token_seconds=0
        )
        await stt.start(lambda: loading.load_stt(settings))
        await tts.start(lambda: loading.load_tts(settings))
        await llm.start(lambda: scripted)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        context = stack.enter_context(app.skill_context(folder))
        yield Engines(settings, stt, tts, llm, scripted, context)


@asynccontextmanager
async def living(
    engines: Engines,
    microphone: Microphone,
    speaker: Speaker,
    *,
    on_report: Callable[[Report], None],
    observers: Sequence[Observer] = (),
    rescan: Callable[[Kind], Awaitable[None]] = nothing_plugs_in,
    wake_word: WakeWord | None = None,
    echo: EchoControl | None = None,
) -> AsyncIterator[VoiceLoop]:
    """Yield a loop that has received audio from its microphone; it ends with the block."""
    settings = engines.settings
    voice_loop = VoiceLoop(
        microphone=microphone,
        vad=loading.load_vad(settings),
        wake_word=wake_word,
        pipeline=Pipeline(
            stt=engines.stt,
            llm=engines.llm,
            tts=engines.tts,
            skills=skills.load([], engines.context),
            conversation=Conversation("", count_tokens=engines.scripted.count_tokens, budget_tokens=1000),
            speaker=speaker,
            settings=settings,
        ),
        ringer=Ringer(
            engines.context.timers,
            now=engines.context.clock,
            limit_s=settings.conversation.ring_limit_s,
        ),
        earcons={},
        hears_itself=False,
        echo=echo,
        on_report=on_report,
        observers=observers,
        rescan=rescan,
    )
    life = asyncio.ensure_future(voice_loop.run())
    try:
        while voice_loop.state is not State.SLEEPING and not life.done():  # noqa: ASYNC110 - from outside
            await asyncio.sleep(0.01)
        if life.done():
            life.result()
        yield voice_loop
    finally:
        life.cancel()
        with suppress(asyncio.CancelledError):
            await life


@dataclass
class Stage:
    """The appliance in its room."""

    room: Room
    voice_loop: VoiceLoop
    reports: list[Report] = field(default_factory=list)

    async def until(self, *states: State) -> None:
        while self.voice_loop.state not in states:  # noqa: ASYNC110 - watches from outside
            await asyncio.sleep(0.01)

    async def talk(self, text: str) -> None:
        """Speak ``text``, to the end or until it is interrupted for good."""
        await asyncio.sleep(0.5)
        self.voice_loop.post(Announced(text))
        await self.until(State.SPEAKING)
        await self.until(State.SLEEPING)


@asynccontextmanager
async def open_stage(settings: Settings, acoustics: Acoustics) -> AsyncIterator[Stage]:
    """Yield the appliance as ``app`` assembles it, except for the room and the language model."""
    room, reports = Room(acoustics), list[Report]()
    microphone = FilteredMicrophone(room.microphone, loading.sound_filters(settings, room.reference))
    async with (
        open_engines(settings) as engines,
        living(engines, microphone, room.speaker, on_report=reports.append) as voice_loop,
    ):
        yield Stage(room, voice_loop, reports)
