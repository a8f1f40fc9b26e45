"""The whole appliance in virtual time: the real loop, turn and endpointing around scripted engines."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from assistant import skills
from assistant.audio.scripted import ScriptedMicrophone, ScriptedSpeaker
from assistant.core.state import Observer, State
from assistant.core.types import SAMPLE_RATE_HZ, Message, SpokenAudio
from assistant.dialog.conversation import Conversation
from assistant.dialog.earcons import Earcon
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
from assistant.runtime import clock
from assistant.runtime.engine_thread import EngineThread
from assistant.settings.schema import Settings
from assistant.skills import ListBook, SkillContext, TimerBook
from assistant.tools.bench.soak.home import clocks_of

T = TypeVar("T")

WAKE_LOUDNESS = 500
"""How loud the wake word is said: of what is heard with it, ScriptedStt goes by what is louder."""


@dataclass
class Faults:
    """What goes wrong when the engine is next asked; each test sets its own."""

    stt: Callable[[], None] = no_fault
    llm: Callable[[], None] = no_fault
    tts: Callable[[], None] = no_fault

    def of(self, engine: str) -> Callable[[], None]:
        """The fault of that engine, whatever it is when the engine is asked."""
        return lambda: getattr(self, engine)()  # noqa: PLW0108 - a later fault counts


@dataclass
class House:
    """A room with the appliance in it and a person who talks."""

    voice_loop: VoiceLoop
    microphone: ScriptedMicrophone
    speaker: ScriptedSpeaker
    stt: ScriptedStt
    llm: ScriptedLlm
    tts: ScriptedTts
    conversation: Conversation
    faults: Faults
    reports: list[Report] = field(default_factory=list)
    loudness: dict[str, int] = field(default_factory=dict)
    observers: list[Observer] = field(default_factory=list)
    """Are told every change of the state."""
    context: SkillContext = field(kw_only=True)
    timers: TimerBook = field(kw_only=True)
    wake: ScriptedWake | None = field(kw_only=True)

    def wake_up(self) -> None:
        """The person begins to say the wake word, which takes half a second."""
        self.microphone.say(clip(WAKE_LOUDNESS, 500))

    def say(self, text: str, duration_ms: int = 1200) -> None:
        """The person begins to speak."""
        self.microphone.say(clip(self.loudness[text], duration_ms))

    def pause(self, duration_ms: int) -> None:
        """The person is silent before what they say next."""
        self.microphone.say(clip(1, duration_ms))

    async def until(self, state: State, within_s: float = 60) -> None:
        """Wait for a state; fails when it does not come."""

        async def reached() -> None:
            while self.voice_loop.state is not state:  # noqa: ASYNC110 - watches from outside
                await asyncio.sleep(0.01)

        await asyncio.wait_for(reached(), within_s)

    async def answered(self, text: str) -> Report:
        """Say something and wait for the end of the turn."""
        self.say(text)
        await asyncio.sleep(0.5)
        await self.voice_loop.idle(2)
        return self.reports[-1]


def simulate(
    story: Callable[[House], Awaitable[T]],
    *,
    words: Sequence[str] = ("What is the capital of France?",),
    reply: Callable[[Sequence[Message]], str] = lambda _: "It is Paris. A lovely town.",
    settings: Mapping[str, object] | None = None,
    intents: Sequence[Path] = (),
    hands_free: bool = False,
) -> T:
    """Run ``story`` in a house whose person can say ``words``; virtual time, real everything else.

    Nothing is read ahead unless the settings say so: what the recogniser was given stays easy to tell.
    ``hands_free`` gives it a wake word and earcons, which the speaker notes as "(wake)" and so on.
    """

    async def main() -> T:
        given = dict(settings or {})
        given.setdefault("endpoint", {"read_ahead_ms": 0})
        validated = Settings.model_validate(given)
        async with _house(words, reply, validated, intents, hands_free=hands_free) as house:
            return await story(house)

    return clock.run(main(), "virtual")


def _earcons() -> dict[Earcon, SpokenAudio]:
    names: tuple[Earcon, ...] = ("wake", "done", "error", "muted")
    return {name: SpokenAudio(f"({name})", clip(200, 140), SAMPLE_RATE_HZ) for name in names}


@asynccontextmanager
async def _house(
    words: Sequence[str],
    reply: Callable[[Sequence[Message]], str],
    settings: Settings,
    intents: Sequence[Path],
    *,
    hands_free: bool,
) -> AsyncIterator[House]:
    loop = asyncio.get_running_loop()
    faults = Faults()
    loudness = {text: 1000 * (n + 1) for n, text in enumerate(words)}
    heard = {level: text for text, level in loudness.items()}
    stt_engine = ScriptedStt(
        loop,
        heard,
        fault=lambda: faults.stt(),  # noqa: PLW0108 - looked up at each call
    )
    llm_engine = ScriptedLlm(loop, reply, fault=faults.of("llm"))
    tts_engine = ScriptedTts(loop, fault=faults.of("tts"))
    stt, llm, tts = (
        EngineThread[ScriptedStt]("stt"),
        EngineThread[ScriptedLlm]("llm"),
        EngineThread[ScriptedTts]("tts"),
    )
    await stt.start(lambda: stt_engine)
    await llm.start(lambda: llm_engine)
    await tts.start(lambda: tts_engine)
    folder = Path(tempfile.mkdtemp())
    microphone, speaker = ScriptedMicrophone(), ScriptedSpeaker()
    context = SkillContext(
        TimerBook(folder / "timers.db", clocks_of(loop)),
        ListBook(folder / "lists.db"),
        loudness=lambda: speaker.volume,
    )
    conversation = Conversation("Be brief.", count_tokens=llm_engine.count_tokens, budget_tokens=1000)
    reports: list[Report] = []
    observers: list[Observer] = []
    wake = ScriptedWake({WAKE_LOUDNESS: "okay_nabu"}) if hands_free else None
    voice_loop = VoiceLoop(
        microphone=microphone,
        vad=ScriptedVad(),
        wake_word=wake,
        pipeline=Pipeline(
            stt=stt,  # type: ignore[arg-type]  # an EngineThread of a scripted engine is one of any
            llm=llm,  # type: ignore[arg-type]
            tts=tts,  # type: ignore[arg-type]
            skills=skills.load(intents, context),
            conversation=conversation,
            speaker=speaker,
            settings=settings,
        ),
        ringer=Ringer(context.timers, now=context.clock, limit_s=settings.conversation.ring_limit_s),
        earcons=_earcons() if hands_free else {},
        hears_itself=True,
        on_report=reports.append,
        observers=observers,
    )
    living = asyncio.ensure_future(voice_loop.run())
    house = House(
        voice_loop,
        microphone,
        speaker,
        stt_engine,
        llm_engine,
        tts_engine,
        conversation,
        faults,
        reports,
        loudness,
        observers,
        context=context,
        timers=context.timers,
        wake=wake,
    )
    try:
        await house.until(State.SLEEPING)
        yield house
    finally:
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)
        for worker in (stt, llm, tts):
            await worker.close()
        context.timers.close()
        context.lists.close()
        shutil.rmtree(folder)
