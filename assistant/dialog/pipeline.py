"""The pipeline makes answers: the engines on their threads, the skills and the conversation.

``turn`` leads a spoken question through it step by step; ``answer`` takes a written one through the same
skills, model and conversation without sound.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial

from assistant.audio import Speaker
from assistant.core.errors import EmptyAnswer, EngineFailed
from assistant.core.events import Event, Muted
from assistant.core.types import Call, Pcm16, Sentence, Transcript
from assistant.dialog.conversation import Conversation
from assistant.engines import CallingLlm, Llm, Stt, Tts
from assistant.runtime.aio import in_thread
from assistant.runtime.cancel import Cancel
from assistant.runtime.engine_thread import EngineThread, Meter, unmetered
from assistant.settings.schema import Settings
from assistant.skills import Action, Agent, Forget, Match, Mute, Outcome, Skills, Stop, Volume
from assistant.text.markup import speakable
from assistant.text.wake_phrase import without_wake_phrase


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a written question: the text, and what is to be done once it has been given."""

    text: str
    handled_by: str
    """``llm``, the skill's name or the agent's."""
    action: Action | None = None


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
    """What is taken off the beginning of what was said ("okay nabu")."""
    agent: Agent | None = None
    """Who is asked what no skill's sentence fits, before the model."""
    may_call: bool = False
    """The conversation tells the model of the skills, and it may call one."""

    async def transcribe(self, pcm: Pcm16, meter: Meter = unmetered) -> Transcript:
        """What a person said to the assistant. Raises EngineFailed."""
        heard = await self.stt.run(lambda stt, cancel: stt.transcribe(pcm, cancel), meter)
        return replace(heard, text=without_wake_phrase(heard.text, self.wake_phrases))

    async def synthesize(self, sentence: Sentence, meter: Meter = unmetered) -> Pcm16:
        """The sound of a sentence as it is written. Raises EngineFailed."""
        words = replace(sentence, text=speakable(sentence.text, self.settings.stt.language))
        return await self.tts.run(lambda tts, cancel: tts.synthesize(words, cancel), meter)

    def ask_model(self, text: str, meter: Meter = unmetered) -> AsyncGenerator[str | Call, None]:
        """The model's reply piece by piece, or one Call alone. Raises EngineError."""
        messages = self.conversation.messages_for(text)
        grammar = self.skills.grammar if self.may_call else ""

        def pieces(llm: Llm, cancel: Cancel) -> Iterator[str | Call]:
            if grammar and isinstance(llm, CallingLlm):
                return llm.stream_or_call(messages, cancel, grammar)
            return llm.stream(messages, cancel)

        return self.llm.stream(pieces, meter)

    def called(self, call: Call) -> Match:
        """The skill that the model calls. Raises EngineFailed for a call that broke off."""
        match = self.skills.called(call.text)
        if match is None:
            raise EngineFailed("The model called no skill.", "Set llm.tools to off, or ask again.")
        return match

    async def ask_agent(self, text: str) -> Outcome | None:
        """What came of asking the agent, who may act at once; None when it is for the model."""
        if self.agent is None:
            return None
        cancel = Cancel()
        try:
            return await in_thread(partial(self.agent.ask, text, cancel))
        finally:
            cancel.set()

    async def answer(self, question: str, last_reply: str) -> Answer:
        """Answer a written question. Raises EngineError when there is no answer.

        A spoken turn goes first: the caller must cancel this for it.
        """
        match = self.skills.match(question)
        if match:
            outcome = await in_thread(match.run)
            return Answer(outcome.speech_after(last_reply), match.name, outcome.action)
        if self.agent and (done := await self.ask_agent(question)):
            return Answer(done.speech, self.agent.name, done.action)
        reply = ""
        async with aclosing(self.ask_model(question)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Call):
                    match = self.called(piece)
                    outcome = await in_thread(match.run)
                    return Answer(outcome.speech_after(last_reply), match.name, outcome.action)
                reply += piece
        reply = reply.strip()
        if not reply:
            raise EmptyAnswer
        self.conversation.add(question, reply)
        return Answer(reply, "llm")

    def carry_out(
        self, action: Action | None, *, stop_ringing: Callable[[], None], post: Callable[[Event], None]
    ) -> None:
        """Do what a skill asks of the appliance, once its answer has been heard.

        What changes the state is posted, like every other event.
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
