"""The composition root: assembles engines, devices, settings and the loop.

Engines start in parallel on their own threads and stop in reverse order, whatever happens in between.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from assistant import skills
from assistant.app import engines as loading
from assistant.app import memory_fit, model_choice, proof
from assistant.audio import Kind, Microphone, Speaker, nothing_plugs_in
from assistant.audio.echo.canceller import EchoCanceller
from assistant.audio.echo.reference import Reference
from assistant.audio.files import read_sound
from assistant.audio.filtered import FilteredMicrophone
from assistant.board import core_plan
from assistant.board.core_plan import CorePlan
from assistant.board.heap import return_what_is_freed
from assistant.core.state import Observer
from assistant.core.types import Message
from assistant.dialog import earcons
from assistant.dialog.conversation import Conversation, opening
from assistant.dialog.honesty import Honesty
from assistant.dialog.loop import VoiceLoop
from assistant.dialog.outages import Outages
from assistant.dialog.pipeline import Pipeline
from assistant.dialog.report import Report
from assistant.dialog.ringer import Ringer
from assistant.engines import CallingLlm, Engine, Llm
from assistant.knowledge import Knowledge, MemoryBook, open_topics
from assistant.runtime import credentials, paths
from assistant.runtime.aio import in_thread
from assistant.runtime.engine_thread import EngineThread, FairLock
from assistant.settings import load as configuration
from assistant.settings.schema import Settings
from assistant.skills import Agent, ListBook, SkillContext, Skills, TimerBook
from assistant.skills.home_assistant import HomeAssistant
from assistant.skills.sentences import sentence_file, without_sentences

log = logging.getLogger(__name__)

E = TypeVar("E", bound=Engine)

_CALLING_PARAMETERS = 2_000_000_000
"""Smaller models call skills that nobody asked for (docs/skills.md)."""

_QUESTION_TOKENS = 128
"""Half a minute of speech."""


@contextmanager
def skill_context(
    folder: Path | None = None, loudness: Callable[[], float] = lambda: 1.0
) -> Iterator[SkillContext]:
    """What skills keep: timers, lists and memories, in ``folder`` or the state folder; closed at the end."""
    folder = folder or paths.data()
    with (
        closing(TimerBook(folder / "timers.db")) as timers,
        closing(ListBook(folder / "lists.db")) as lists,
        closing(MemoryBook(folder / "memories.db")) as memories,
    ):
        yield SkillContext(timers, lists, loudness=loudness, memory_book=memories)


def load_skills(settings: Settings, context: SkillContext) -> Skills:
    """Load the skills and tables for the configured language."""
    known = Knowledge(
        open_topics(
            loading.tables_folder(settings),
            context.clock,
            country=settings.place.country,
            city=settings.place.city,
            memories=context.memory_book,
            notes=settings.knowledge.folder,
        )
    )
    if note := without_sentences(settings.stt.language):
        log.warning("language=%s skills=none: %s", settings.stt.language, note)
    language = settings.stt.language
    # Later sentences have priority, so those of skills precede those of tables.
    wanted = settings.knowledge.tables is not None
    folder = paths.shipped_folder("config") / "knowledge" / language
    sentences = sorted(folder.glob("*.yaml")) if wanted else []
    sentences += [file] if (file := sentence_file(language)) else []
    return skills.load(sentences, context, settings.skills.folder, known)


def load_agent(settings: Settings) -> Agent | None:
    """Connect to Home Assistant, if configured. Raises SettingsError if its token cannot be read."""
    home = settings.skills.home_assistant
    if home.url is None:
        return None
    language = settings.stt.language
    return HomeAssistant(
        home.url,
        credentials.read(home.token, home.token_file, "home-assistant-token"),
        language=None if language == "auto" else language,
        agent=home.agent,
        timeout_s=home.timeout_s,
        when_away=home.when_away,
    )


def offers_calls(settings: Settings, llm: Llm, skills: Skills) -> bool:
    """True if the model may call skills: supported by its engine, allowed by the settings, and large
    enough.
    """
    wants = settings.llm.tools
    if wants == "off" or not skills.grammar or not isinstance(llm, CallingLlm):
        return False
    return wants == "on" or llm.parameters >= _CALLING_PARAMETERS


def new_conversation(
    settings: Settings,
    llm: Llm,
    skills: Skills | None = None,
    at_work: Callable[[], Llm] | None = None,
) -> Conversation:
    """Create a conversation whose history leaves room for the prompt, a long question and the reply.

    With ``skills``, the fixed beginning of the prompt describes the skills the model may call. ``at_work``
    returns the engine that counts tokens later, if it may be a different one than ``llm``.
    """
    counts = at_work or (lambda: llm)
    prompt = configuration.prompt_text(settings)
    if skills:
        # The prompt's own examples come last: after examples of calls, small models do nothing but call.
        prompt = f"{skills.call_prompt}\n\n{prompt}"
    return Conversation(
        prompt,
        count_tokens=lambda messages: counts().count_tokens(messages),
        budget_tokens=history_tokens(settings, llm, opening(prompt), llm.context_tokens),
    )


def tokens_taken(settings: Settings, llm: Llm, beginning: Sequence[Message]) -> int:
    """Return the context tokens needed for the prompt's beginning, a long question and the reply."""
    return llm.count_tokens(beginning) + settings.llm.max_tokens + _QUESTION_TOKENS


def history_tokens(settings: Settings, llm: Llm, beginning: Sequence[Message], context_tokens: int) -> int:
    """Return the maximum tokens of earlier turns in a context."""
    left = context_tokens - tokens_taken(settings, llm, beginning)
    return max(0, min(settings.llm.history_tokens, left))


def honesty(settings: Settings, llm: Llm) -> Honesty:
    """How far this model's memory is trusted: as it was measured, or by its size."""
    section = model_choice.resolved(settings).llm
    trusted = None
    if section.knowledge == "judged" and section.needs_model:
        parameters = llm.parameters if isinstance(llm, CallingLlm) else 0
        trusted = loading.store_of(settings).calibration(section.model, parameters)
    return Honesty(trusted, judges=section.knowledge != "always", is_server=section.engine == "openai")


def kept_prompts() -> Path:
    """Return the folder for saved states of the prompt's beginning."""
    return paths.data() / "prompts"


def read_opening(llm: Llm, conversation: Conversation, *, keep: bool = True) -> None:
    """Let the model read what every prompt begins with, never what was said, because it is saved on disk."""
    llm.prime([*conversation.beginning, Message("user", "")], kept_prompts() if keep else None)


@asynccontextmanager
async def _open_pipeline(
    written: Settings, speaker: Speaker, context: SkillContext, cores: CorePlan
) -> AsyncIterator[Pipeline]:
    """Load and warm every engine of the pipeline; free them in reverse. Raises ModelTooBig before that.

    Which of them computes when: ``runtime.engine_thread``.
    """
    settings = await in_thread(lambda: loading.with_stand_ins(written))
    in_use = model_choice.resolved(settings)
    memory_fit.require(in_use)
    return_what_is_freed()
    in_turn = FairLock()
    began_s = asyncio.get_running_loop().time()
    async with AsyncExitStack() as stack:

        async def start(name: str, load: Callable[[Settings], E]) -> EngineThread[E]:
            worker: EngineThread[E] = EngineThread(name, cores.engines if cores.pinned else (), in_turn)
            stack.push_async_callback(worker.close)
            with proof.marked(name, getattr(in_use, name).model):
                await worker.start(lambda: load(in_use))
            return worker

        # First the engine that needs most memory while loading: for a moment, all of its file.
        llm = await start("llm", loading.load_llm)
        stt, tts = await asyncio.gather(start("stt", loading.load_stt), start("tts", loading.load_tts))
        known = load_skills(settings, context)
        may_call = offers_calls(settings, llm.engine, known)
        conversation = new_conversation(settings, llm.engine, known if may_call else None, lambda: llm.engine)
        await llm.run(lambda engine, _: read_opening(engine, conversation))
        log.info("engines=ready load_s=%.1f", asyncio.get_running_loop().time() - began_s)
        yield Pipeline(
            stt=stt,
            llm=llm,
            tts=tts,
            skills=known,
            conversation=conversation,
            speaker=speaker,
            settings=settings,
            agent=load_agent(settings),
            honesty=honesty(settings, llm.engine),
            may_call=may_call,
        )


@asynccontextmanager
async def open_loop(
    settings: Settings,
    microphone: Microphone,
    speaker: Speaker,
    *,
    on_report: Callable[[Report], None],
    observers: Sequence[Observer] = (),
    outages: Outages | None = None,
    rescan: Callable[[Kind], Awaitable[None]] = nothing_plugs_in,
    context: SkillContext | None = None,
    hands_free: bool = False,
    reference: Reference | None = None,
) -> AsyncIterator[VoiceLoop]:
    """Open the whole appliance for this microphone and this speaker, warm and ready to ``run``.

    Skills save their data in ``context``, or else where the appliance keeps its own. ``hands_free`` adds wake
    word and earcons, as on a shelf. ``reference`` receives what the speaker plays, if the microphone can hear
    it.
    """
    filters = loading.sound_filters(settings, reference)
    canceller = next((each for each in filters if isinstance(each, EchoCanceller)), None)
    wake_word = loading.load_wake_word(settings) if hands_free else None
    with ExitStack() as stack:
        context = context or stack.enter_context(skill_context(loudness=lambda: speaker.volume))
        cores = core_plan.plan(
            most_threads=settings.most_threads, chosen=settings.cores.engines, pin=settings.cores.pin
        )
        log.info("cores=%r", str(cores))
        if cores.loop:
            asyncio.get_running_loop().set_default_executor(core_plan.helpers(cores))
            stack.enter_context(core_plan.kept_on(cores.loop))
        async with _open_pipeline(settings, speaker, context, cores) as pipeline:
            phrases = [word.phrase for word in settings.wake.words] if wake_word else []
            yield VoiceLoop(
                microphone=FilteredMicrophone(microphone, filters),
                vad=loading.load_vad(settings),
                wake_word=wake_word,
                pipeline=replace(pipeline, wake_phrases=phrases),
                ringer=Ringer(context.timers, now=context.clock, limit_s=settings.conversation.ring_limit_s),
                earcons=earcons.load(settings.audio.earcons, read_sound) if hands_free else {},
                hears_itself=reference is not None and canceller is None,
                echo=canceller,
                on_report=on_report,
                observers=observers,
                outages=outages,
                rescan=rescan,
            )
