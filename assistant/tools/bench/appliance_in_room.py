"""The appliance in a simulated room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from assistant.app import engines as loading
from assistant.audio.filtered import FilteredMicrophone
from assistant.core.events import Announced
from assistant.core.state import State
from assistant.dialog.loop import VoiceLoop
from assistant.dialog.report import Report
from assistant.settings.schema import Settings
from assistant.tools.bench.room import Acoustics, Room
from assistant.tools.bench.speaking_appliance import living, open_engines


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
    room, reports = Room(acoustics), list[Report]()
    microphone = FilteredMicrophone(room.microphone, loading.sound_filters(settings, room.reference))
    async with (
        open_engines(settings) as engines,
        living(engines, microphone, room.speaker, on_report=reports.append) as voice_loop,
    ):
        yield Stage(room, voice_loop, reports)
