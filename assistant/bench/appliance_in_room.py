"""The appliance in a simulated room, as ``app`` puts it together but for the room and the language model.

What is said in answer makes no difference to who is heard, so the language model is scripted.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from assistant import app, loading, skills
from assistant.audio.filtered import FilteredMicrophone
from assistant.bench.room import Acoustics, Room
from assistant.chain import Chain
from assistant.conversation import Conversation
from assistant.engines.scripted import ScriptedLlm
from assistant.events import Announced
from assistant.loop import VoiceLoop
from assistant.report import Report
from assistant.ringer import Ringer
from assistant.settings import Settings
from assistant.state import State
from assistant.worker import Worker


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
        """Let it say ``text``, to the end or until it is interrupted for good."""
        await asyncio.sleep(0.5)
        self.voice_loop.post(Announced(text))
        await self.until(State.SPEAKING)
        await self.until(State.SLEEPING)


@asynccontextmanager
async def open_stage(settings: Settings, acoustics: Acoustics) -> AsyncIterator[Stage]:
    """Everything as ``app`` puts it together, but for the room and the language model."""
    async with AsyncExitStack() as stack:
        stt, tts, llm = Worker("stt"), Worker("tts"), Worker("llm")  # type: ignore[var-annotated]
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
        room = Room(acoustics)
        reports: list[Report] = []
        voice_loop = VoiceLoop(
            microphone=FilteredMicrophone(room.microphone, loading.sound_filters(settings, room.reference)),
            vad=loading.load_vad(settings),
            wake_word=None,
            chain=Chain(
                stt=stt,
                llm=llm,
                tts=tts,
                skills=skills.load([], context),
                conversation=Conversation("", count_tokens=scripted.count_tokens, budget_tokens=1000),
                speaker=room.speaker,
                settings=settings,
            ),
            ringer=Ringer(context.timers, now=context.clock, limit_s=settings.conversation.ring_limit_s),
            earcons={},
            hears_itself=False,
            on_report=reports.append,
        )
        living = asyncio.ensure_future(voice_loop.run())
        try:
            stage = Stage(room, voice_loop, reports)
            await stage.until(State.SLEEPING)
            yield stage
        finally:
            living.cancel()
            with suppress(asyncio.CancelledError):
                await living
