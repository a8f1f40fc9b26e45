"""The pipeline makes answers: the engines on their threads, the skills and the conversation.

``Pipeline.answer`` is the only place that decides who answers. Spoken turns, written questions and services
all use it, and ``Pipeline.speak`` to turn the answer into sound.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

from assistant.audio import Speaker
from assistant.core.errors import EmptyAnswer, EngineError, EngineFailed
from assistant.core.events import Event, Muted
from assistant.core.types import Call, Instead, Pcm16, Sentence, SpokenAudio, Transcript
from assistant.dialog.conversation import Conversation
from assistant.dialog.earcons import Earcon
from assistant.dialog.honesty import Honesty
from assistant.dialog.report import Report
from assistant.dialog.sentences import Sentences
from assistant.engines import CallingLlm, Llm, Stt, Tts, Vad, WakeWord
from assistant.runtime.aio import in_thread, prefetch
from assistant.runtime.cancel import Cancel
from assistant.runtime.engine_thread import EngineThread, Meter, unmetered
from assistant.settings.schema import Settings
from assistant.skills import Action, Agent, Forget, Match, Mute, Outcome, Skills, Stop, Volume
from assistant.text.markup import speakable
from assistant.text.wake_phrase import without_wake_phrase

SENTENCES_AHEAD = 2
"""Sentences that may be ready before the current one ends."""


class Answer:
    """The answer to one question. Iterate over it once; the sentences are made as you go.

    A skill answers if one matches, then the agent if there is one, then the model, which may call a skill.
    ``report`` says who answered and when what happened. ``may_act`` is set once effects are allowed: skills
    that change something, and the agent, wait for it, while the model prepares its answer. Without it nothing
    waits, and the model is asked only if nobody else answers.
    """

    def __init__(
        self,
        text: str,
        *,
        skills: Skills,
        agent: Agent | None,
        ask_model: Callable[[str, Meter], AsyncGenerator[str | Call, None]],
        settings: Settings,
        report: Report | None = None,
        may_act: asyncio.Event | None = None,
    ) -> None:
        self.report = report or Report(0)
        self.written = ""
        """The reply as the model wrote it; empty if something else answered."""
        self.has_acted = False
        """True once something was done, or may have been done, that must not be done twice."""
        self.failed: EngineError | None = None
        """The error that ended the reply early."""
        self.last_reply = ""
        """The text that "repeat that" repeats."""
        self.text = text
        self._skills = skills
        self._agent = agent
        self._ask_model = ask_model
        self._settings = settings
        self._may_act = may_act
        self.match = skills.match(text) or skills.last_word(text)
        """The skill that answers, once known."""

    @property
    def may_be_retracted(self) -> bool:
        """True while the answer has had no effect yet, so it can be retracted."""
        return not self.has_acted and (self.match is None or self.match.only_answers)

    def __aiter__(self) -> AsyncGenerator[Sentence, None]:
        if self.match:
            return self._skill(self.match, self._may_act)
        if self._agent:
            return self._from_agent(self._agent)
        return self._from_model(self._may_act)

    async def whole(self) -> Report:
        """Make the complete answer in writing; it is the ``reply`` of the report.

        Raises EngineError if there is none, or only part of one.
        """
        said = [sentence.text async for sentence in self]
        if self.failed:
            raise self.failed
        self.report.reply = self.written.strip() or " ".join(said)
        if not self.report.reply and self.report.outcome is None:
            raise EmptyAnswer
        return self.report

    async def _skill(self, match: Match, may_act: asyncio.Event | None) -> AsyncGenerator[Sentence, None]:
        self.report.handled_by = match.name
        if not match.only_answers:
            await _set(may_act)
            self.has_acted = True
        outcome = await in_thread(match.run)
        self.report.outcome = outcome
        if speech := outcome.speech_after(self.last_reply):
            yield Sentence(speech, is_phrase=match.is_phrase and outcome.action is None)

    async def _from_agent(self, agent: Agent) -> AsyncGenerator[Sentence, None]:
        """Yield the agent's answer, or the model's, which is prepared while the agent has to wait."""
        is_declined = asyncio.Event()
        async with aclosing(prefetch(self._from_model(is_declined), SENTENCES_AHEAD)) as replies:
            first = asyncio.ensure_future(anext(replies, None)) if self._may_act else None
            try:
                await _set(self._may_act)
                self.has_acted = True
                outcome = await _ask(agent, self.text)
                if outcome is None:
                    self.has_acted = False
                    is_declined.set()
                    if first and (sentence := await first):
                        yield sentence
                    async for sentence in replies:
                        yield sentence
                    return
            finally:
                if first:
                    first.cancel()
                    await asyncio.gather(first, return_exceptions=True)
        self.report.handled_by, self.report.outcome = agent.name, outcome
        self._skills.agent_answers(agent)
        if outcome.speech:
            yield Sentence(outcome.speech)

    async def _from_model(self, may_act: asyncio.Event | None) -> AsyncGenerator[Sentence, None]:
        """Yield the model's reply sentence by sentence, or that of the skill that it calls."""
        report = self.report
        report.handled_by = "llm"
        report.mark("llm_begin")
        sentences = Sentences(begin_with=self._settings.tts.begin_with)
        is_own = False
        try:
            async with aclosing(self._ask_model(self.text, partial(report.worked, "llm"))) as pieces:
                async for piece in pieces:
                    report.mark("first_token")
                    if isinstance(piece, Call):
                        self.match = self._called(piece)
                        break
                    ready = sentences.add(piece)
                    is_own = is_own or isinstance(piece, Instead)
                    self.written = sentences.written
                    for sentence in ready:
                        yield sentence
        except EngineError as error:
            if not self.written:
                raise
            # Part of it has been or will be heard, so the user is told that the rest is missing.
            self.failed, self.written = error, ""
            report.failed(error)
            yield Sentence(self._settings.conversation.apology)
            return
        if self.match:
            async with aclosing(self._skill(self.match, may_act)) as said:
                async for sentence in said:
                    yield sentence
        ready = sentences.finish()
        self.written = "" if is_own else sentences.written
        for sentence in ready:
            yield sentence

    def _called(self, call: Call) -> Match:
        """Return the skill that the model calls. Raises EngineFailed for an incomplete call."""
        match = self._skills.called(call.text)
        if match is None:
            raise EngineFailed("The model didn't call a valid skill.", "Ask again, or set llm.tools to off.")
        return match


Hearing: TypeAlias = tuple[Vad, WakeWord | None]
"""What tells speech, and the wake word where there is one."""


@dataclass(frozen=True)
class Pipeline:
    """The engines and everything else that a turn works with."""

    stt: EngineThread[Stt]
    llm: EngineThread[Llm]
    tts: EngineThread[Tts]
    skills: Skills
    conversation: Conversation
    speaker: Speaker
    settings: Settings
    wake_phrases: Sequence[str] = ()
    """Removed from the beginning of what was said ("okay nabu")."""
    agent: Agent | None = None
    """Asked if no skill's sentence matches, before the model."""
    honesty: Honesty = field(default_factory=lambda: Honesty(judges=False))
    """What of the model's memory is spoken."""
    may_call: bool = False
    """True if the conversation describes the skills to the model, and it may call one."""

    async def transcribe(self, pcm: Pcm16, meter: Meter = unmetered) -> Transcript:
        """Transcribe what a person said to the assistant. Raises EngineFailed."""
        heard = await self.stt.run(lambda stt, cancel: stt.transcribe(pcm, cancel), meter)
        return replace(heard, text=without_wake_phrase(heard.text, self.wake_phrases))

    async def speak(
        self, sentences: AsyncGenerator[Sentence, None], meter: Meter = unmetered
    ) -> AsyncGenerator[SpokenAudio, None]:
        """Yield the sound of each sentence that can be pronounced. Raises EngineFailed."""
        language = self.settings.stt.language
        async with aclosing(sentences):
            async for sentence in sentences:
                pcm = await self.tts.run(partial(sound_of, sentence, language), meter)
                if len(pcm):
                    yield SpokenAudio(sentence.text, pcm, self.tts.engine.sample_rate_hz)

    def ask_model(self, text: str, meter: Meter = unmetered) -> AsyncGenerator[str | Call, None]:
        """Yield the model's reply piece by piece, or a single Call. Raises EngineError."""
        messages = self.conversation.messages_for(text)
        grammar = self.skills.grammar if self.may_call else ""

        def pieces(llm: Llm, cancel: Cancel) -> Iterator[str | Call]:
            def ask() -> Iterator[str | Call]:
                if grammar and isinstance(llm, CallingLlm):
                    return llm.stream_or_call(messages, cancel, grammar)
                return llm.stream(messages, cancel)

            self.honesty.prepare(text, llm)
            return self.honesty.answer(text, ask)

        return self.llm.stream(pieces, meter)

    def answer(
        self, text: str, *, report: Report | None = None, may_act: asyncio.Event | None = None
    ) -> Answer:
        """Return the answer to ``text``; iterate over it for its sentences. The conversation isn't
        changed.
        """
        return Answer(
            text,
            skills=self.skills,
            agent=self.agent,
            ask_model=self.ask_model,
            settings=self.settings,
            report=report,
            may_act=may_act,
        )

    async def answer_in_writing(self, answer: Answer) -> Report:
        """Return the complete answer and add it to the conversation. Raises EngineError if there is none.

        Spoken turns have priority: cancel this when someone speaks, unless the answer ``has_acted``.
        """
        report = await answer.whole()
        if report.handled_by == "llm":
            self.remember(answer.text, answer.written.strip())
        return report

    def remember(self, question: str, reply: str) -> None:
        """Add the model's reply to the conversation, if any of it is worth that, now that it was given."""
        self.conversation.add(question, reply)
        self.skills.model_answers()

    def carry_out(
        self, action: Action | None, *, stop_ringing: Callable[[], None], post: Callable[[Event], None]
    ) -> None:
        """Carry out what a skill asks of the appliance, once its answer has been heard.

        Changes of the state are posted, like every other event.
        """
        match action:
            case Stop():
                stop_ringing()
            case Mute():
                post(Muted())
            case Forget():
                self.conversation.forget()
            case Volume(level=level):
                self.speaker.volume = level


@dataclass(frozen=True, slots=True, eq=False)
class Adopt(Event):
    """Somebody has made another pipeline: it is used from the next turn on, with its settings."""

    pipeline: Pipeline
    earcons: Mapping[Earcon, SpokenAudio]
    hearing: Hearing | None = None
    """None keeps what is there."""
    take_over: Callable[[], bool] = lambda: True
    """Is called when it is time. False if it is no longer wanted."""


def sound_of(sentence: Sentence, language: str, tts: Tts, cancel: Cancel) -> Pcm16:
    """Synthesize a sentence that may contain digits and marks. Raises EngineFailed."""
    return tts.synthesize(replace(sentence, text=speakable(sentence.text, language)), cancel)


async def _ask(agent: Agent, text: str) -> Outcome | None:
    """Ask the agent, which may act at once; returns None if the model should answer."""
    cancel = Cancel()
    try:
        return await in_thread(partial(agent.ask, text, cancel))
    finally:
        cancel.set()


async def _set(event: asyncio.Event | None) -> None:
    if event is not None:
        await event.wait()
