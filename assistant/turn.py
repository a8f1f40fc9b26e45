"""One turn: utterance -> transcript -> skill or language model -> sentences -> audio.

A turn may begin before the person has finished. Until ``release`` it is silent and without
effects: it recognises, thinks and synthesises, and waits with the result. ``cancel`` ends it at
any moment within a token or a chunk. While sentence N is heard, N+1 is being synthesised and
the model is at N+2.

It posts what happened and leaves the state to the loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from assistant import own_voice, stt_guard
from assistant.audio import Speaker
from assistant.conversation import Conversation
from assistant.delivery import Delivery
from assistant.engines import Llm, Stt, Tts
from assistant.errors import AssistantError, AudioError, EmptyAnswer, EngineError, EngineTimeout
from assistant.events import Event, Faulted, ReplyFinished, ReplyRefused, ReplyStarted, Stopped
from assistant.report import Report
from assistant.sentences import Sentences
from assistant.settings import Settings
from assistant.skills import Match, Skills
from assistant.speakable import speakable
from assistant.types import Pcm16, Sentence, SpokenAudio, Transcript, Utterance
from assistant.wake_phrase import without_wake_phrase
from assistant.worker import Meter, Worker, in_thread, prefetch, unmetered

log = logging.getLogger(__name__)

T = TypeVar("T")

_SENTENCES_AHEAD = 2
"""Sentences that may be ready before the one being heard is over."""

_CUT_LATE_S = 0.5
"""So far behind what was heard a word may begin that an echo brings back: which of a sentence's words were
heard is reckoned from its letters."""


@dataclass(frozen=True)
class Chain:
    """What a turn works with."""

    stt: Worker[Stt]
    llm: Worker[Llm]
    tts: Worker[Tts]
    skills: Skills
    conversation: Conversation
    speaker: Speaker
    settings: Settings
    wake_phrases: Sequence[str] = ()
    """What is taken off the beginning of what was said ("okay nabu")."""

    async def transcribe(self, pcm: Pcm16, meter: Meter = unmetered) -> Transcript:
        """What a person said to the assistant. Raises EngineFailed."""
        heard = await self.stt.run(lambda stt, cancel: stt.transcribe(pcm, cancel), meter)
        return replace(heard, text=without_wake_phrase(heard.text, self.wake_phrases))

    async def synthesize(self, sentence: Sentence, meter: Meter = unmetered) -> Pcm16:
        """The sound of a sentence as it is written. Raises EngineFailed."""
        words = replace(sentence, text=speakable(sentence.text, self.settings.stt.language))
        return await self.tts.run(lambda tts, cancel: tts.synthesize(words, cancel), meter)


class Turn:
    """Runs from ``start`` until it has posted ReplyFinished, ReplyRefused or Faulted, or is cancelled."""

    def __init__(
        self,
        chain: Chain,
        *,
        number: int,
        last_reply: str,
        overheard: str,
        begun: str,
        post: Callable[[Event], None],
        on_transcript: Callable[[Transcript, Match | None], Awaitable[None]],
        on_refusal: Callable[[], None],
    ) -> None:
        """``overheard`` is what the assistant itself may have been heard to say; ``begun`` what the person
        had said when an answer to it came too early: this goes on with it, unless it is a command."""
        self.report = Report(number)
        self._chain = chain
        self._last_reply = last_reply
        self._overheard = overheard
        self._begun = begun
        self._post = post
        self._on_transcript = on_transcript
        self._on_refusal = on_refusal
        self._released = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._written = ""
        self._match: Match | None = None
        self._is_taken_back = False
        self._delivery = Delivery(chain.speaker)

    def start(self, utterance: Utterance) -> None:
        """Work on the answer, silently."""
        self._mark("speech_end", utterance.speech_end_s)
        self.report.pcm = utterance.pcm
        self._task = asyncio.ensure_future(self._run(partial(self._reply, utterance)))

    def announce(self, text: str) -> None:
        """Say ``text`` unasked."""
        self.report.handled_by = "announcement"
        self._released.set()
        self._task = asyncio.ensure_future(self._run(partial(self._speak, _once(text))))

    def release(self, utterance: Utterance) -> None:
        """The person has finished: sound and effects are allowed from now on."""
        self.report.speculative = "stt_begin" in self.report.times_s
        self._mark("speech_end", utterance.speech_end_s)
        self.report.pcm = utterance.pcm
        self._mark("ended")
        self._released.set()

    def hold(self) -> None:
        """Fall silent, for now: perhaps somebody interrupts."""
        self._delivery.hold()

    def go_on(self) -> None:
        """Nobody did: speak on from where it fell silent. Raises DeviceLost."""
        self.report.resumed += 1
        self._delivery.go_on()

    async def cancel(self) -> None:
        """End the turn now; what was heard of the answer stays remembered."""
        if self._task is None or self._task.done():
            return
        self.report.interrupted = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def take_back(self) -> None:
        """End the turn as if it had never been: the person had not finished."""
        self._is_taken_back = True
        await self.cancel()

    @property
    def may_be_taken_back(self) -> bool:
        """Nothing came of it but words."""
        return self._match is None or self._match.only_answers

    @property
    def done(self) -> bool:
        return self._task is not None and self._task.done()

    @property
    def sounded_text(self) -> str:
        """Of the answer, all that may have sounded in the room."""
        return self._delivery.text_until(self._delivery.heard_s + _CUT_LATE_S)

    @property
    def heard_ms(self) -> int:
        """How much of the answer has been heard."""
        return round(self._delivery.heard_s * 1000)

    async def _run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            try:
                await work()
            except AudioError:
                raise
            except AssistantError as error:
                await self._apologise(error)
            if self.report.refused is None:
                self._post(ReplyFinished())
        except AudioError as error:
            self.report.error = error.code
            self._post(Faulted(error))
        except Exception:
            self.report.error = AssistantError.code
            log.exception("turn=%d the turn is given up", self.report.number)
            await self._released.wait()
            self._post(Stopped())

    async def _reply(self, utterance: Utterance) -> None:
        transcript = await self._transcribe(utterance.pcm)
        match = self._chain.skills.match(transcript.text)
        if reason := self._refusal(utterance, transcript, match):
            self.report.refused = reason
            if transcript.text:  # perhaps the beginning of more; noise is the beginning of nothing
                self._on_refusal()
            await self._released.wait()
            self._post(ReplyRefused(reason))
            return
        if self._begun and match is None:
            self.report.goes_on = True
            self.report.transcript = f"{self._begun} {transcript.text}"
            transcript = replace(transcript, text=self.report.transcript)
            match = self._chain.skills.match(transcript.text)
        self._match = match
        await self._on_transcript(transcript, match)
        try:
            await self._speak(self._skill(match) if match else self._ask(transcript.text))
        finally:
            self._remember(transcript.text)

    def _refusal(self, utterance: Utterance, transcript: Transcript, match: Match | None) -> str | None:
        """Why what was heard gets no answer; None when it gets one."""
        if reason := stt_guard.refusal(utterance, transcript, self._chain.settings.stt.guard):
            return reason
        # "Stop" may well be a word of the answer; who says nothing but that means it.
        if match is None and own_voice.is_own(transcript.text, self._overheard):
            return "own_voice"
        return None

    async def _apologise(self, error: AssistantError) -> None:
        """Never leave a person without an answer: say that there is none, unless part of it was heard."""
        self.report.error = error.code
        log.error("turn=%d problem=%s", self.report.number, error)
        if not self._delivery.sounds and self.report.handled_by != "announcement":
            self.report.handled_by = "apology"
            try:
                await self._speak(_once(self._chain.settings.conversation.apology))
            except EngineError as silent:
                log.error("turn=%d apology=unspoken problem=%s", self.report.number, silent)

    async def _transcribe(self, pcm: Pcm16) -> Transcript:
        self._mark("stt_begin")
        transcribing = self._chain.transcribe(pcm, partial(self.report.worked, "stt"))
        transcript = await _within(self._chain.settings.conversation.turn_timeout_s, transcribing)
        self._mark("stt_end")
        self.report.transcript = transcript.text
        return transcript

    async def _skill(self, match: Match) -> AsyncGenerator[Sentence, None]:
        self.report.handled_by = match.name
        if not match.only_answers:
            await self._released.wait()
        outcome = await in_thread(match.run)
        self.report.outcome = outcome
        if speech := outcome.speech_after(self._last_reply):
            yield Sentence(speech, is_phrase=match.only_answers and outcome.action is None)

    async def _ask(self, text: str) -> AsyncGenerator[Sentence, None]:
        """The model's reply, sentence by sentence."""
        self.report.handled_by = "llm"
        self._mark("llm_begin")
        messages = self._chain.conversation.messages_for(text)
        sentences = Sentences(begin_with=self._chain.settings.tts.begin_with)
        pieces = self._chain.llm.stream(
            lambda llm, cancel: llm.stream(messages, cancel), partial(self.report.worked, "llm")
        )
        async with aclosing(pieces):
            async for piece in pieces:
                self._mark("first_token")
                self._written += piece
                for sentence in sentences.add(piece):
                    yield sentence
        for sentence in sentences.finish():
            yield sentence

    async def _speak(self, replies: AsyncGenerator[Sentence, None]) -> None:
        """Say sentences as they come and return when the last one has been heard.

        Raises EngineFailed when there was nothing to say, EngineTimeout when it took too long.
        """
        delivery = self._delivery
        delivery.begin()
        limit_s = self._chain.settings.conversation.turn_timeout_s
        sounds = prefetch(self._synthesize(prefetch(replies, _SENTENCES_AHEAD)), _SENTENCES_AHEAD)
        try:
            try:
                async with aclosing(sounds):
                    while sound := await _within(limit_s, anext(sounds, None)):
                        self._mark("first_sound")
                        await self._released.wait()
                        delivery.write(sound)
                        if len(delivery.sounds) == 1:
                            self._mark("first_audio")
                            self._post(ReplyStarted())
            except EngineError:
                if delivery.sounds:
                    await delivery.heard_out()
                raise
            await self._released.wait()
            if delivery.sounds:
                await delivery.heard_out()
            elif self.report.outcome is None:
                raise EmptyAnswer
        except asyncio.CancelledError:
            delivery.cut()
            raise

    async def _synthesize(
        self, sentences: AsyncGenerator[Sentence, None]
    ) -> AsyncGenerator[SpokenAudio, None]:
        async with aclosing(sentences):
            async for sentence in sentences:
                self._mark("first_clause")
                self.report.reply = f"{self.report.reply} {sentence.text}".strip()
                pcm = await self._chain.synthesize(sentence, partial(self.report.worked, "tts"))
                if len(pcm):
                    yield SpokenAudio(sentence.text, pcm, self._chain.tts.engine.sample_rate_hz)

    def _remember(self, text: str) -> None:
        """Keep of the reply what was heard, so that the model never refers to what nobody heard.

        A reply heard to its end is kept as the model wrote it: so its tokens need not be read again.
        """
        self.report.heard = self._delivery.heard_text
        written = self._written if self._delivery.was_heard_out else self.report.heard
        if self._released.is_set() and self.report.handled_by == "llm" and not self._is_taken_back:
            self._chain.conversation.add(text, written)

    def _mark(self, name: str, at_s: float | None = None) -> None:
        """Note when something first happened (``speech_end`` may move: the person went on)."""
        if at_s is not None:
            self.report.times_s[name] = at_s
        else:
            self.report.times_s.setdefault(name, asyncio.get_running_loop().time())


async def _within(limit_s: float, waiting: Awaitable[T]) -> T:
    """What ``waiting`` gives, or EngineTimeout. (``wait_for`` may swallow a cancellation before 3.12.)"""
    job = asyncio.ensure_future(waiting)
    try:
        await asyncio.wait({job}, timeout=limit_s)
        if job.done():
            return job.result()
    finally:
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)
    raise EngineTimeout(
        f"No part of the answer came within {limit_s:g} s.",
        "Choose a smaller model, or raise conversation.turn_timeout_s.",
    )


async def _once(text: str) -> AsyncGenerator[Sentence, None]:
    yield Sentence(text)
