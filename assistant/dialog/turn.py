"""One turn: utterance -> transcript -> skill or language model -> sentences -> audio.

A turn may begin before the user has finished. Until ``release`` it is silent and without effects: it
recognizes, thinks and synthesizes, and waits with the result. ``cancel`` ends it at any moment within a token
or a chunk. While sentence N is heard, N+1 is being synthesized and the model is at N+2.

It posts what happened and leaves the state to the loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from assistant.core.errors import AssistantError, EmptyAnswer, EngineError
from assistant.core.events import (
    Event,
    NotUnderstood,
    ReplyFinished,
    ReplyRefused,
    ReplyStarted,
    SpeakerLost,
    Stopped,
    Understood,
)
from assistant.core.types import Pcm16, Sentence, Transcript, Utterance
from assistant.dialog import noise_filter
from assistant.dialog.pipeline import SENTENCES_AHEAD, Answer, Pipeline
from assistant.dialog.playback import Playback
from assistant.dialog.report import Report
from assistant.dialog.sentences import whole
from assistant.runtime.aio import each, prefetch, within
from assistant.skills import Match

log = logging.getLogger(__name__)

T = TypeVar("T")

_CUT_LATE_S = 0.5
"""A word repeated by an echo may begin this long before what was heard: which of a sentence's words were
heard is estimated from its letters.
"""


class Turn:
    """Runs from ``start`` until it has posted ReplyFinished, ReplyRefused or Stopped, or is canceled."""

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        number: int,
        refuse: Callable[[str], str | None],
        begun: str,
        post: Callable[[Event], None],
    ) -> None:
        """Create it. ``refuse`` returns why words that are not a command get no answer, if so; ``begun``
        is what the user had said before a premature answer: this turn continues it, unless it is a
        command.
        """
        self.report = Report(number)
        self._pipeline = pipeline
        self._refuse = refuse
        self._begun = begun
        self._post = post
        self._released = asyncio.Event()
        self._may_think = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._answer: Answer | None = None
        self.transcript: Transcript | None = None
        """What was recognized; None until it is known."""
        self._is_retracted = False
        self.announced = ""
        self._playback = Playback(pipeline.speaker)

    def start(self, utterance: Utterance) -> None:
        """Work on the answer, silently."""
        self.report.mark("speech_end", utterance.speech_end_s)
        self.report.pcm = utterance.pcm
        self._task = asyncio.ensure_future(self._run(partial(self._reply, utterance)))

    def announce(self, text: str) -> None:
        """Say ``text`` unasked."""
        self.announced = text
        self.report.handled_by = "announcement"
        self._released.set()
        self._task = asyncio.ensure_future(self._run(partial(self._speak, each(whole(text)))))

    def release(self, utterance: Utterance) -> None:
        """Allow sound and effects, because the user has finished."""
        self.report.speculative = "stt_begin" in self.report.times_s
        self.report.mark("speech_end", utterance.speech_end_s)
        self.report.pcm = utterance.pcm
        self.report.mark("ended")
        self._released.set()

    def think(self, last_reply: str) -> None:
        """Continue after Understood: the interrupted answer is over. ``last_reply`` is the previous reply."""
        if self._answer:
            self._answer.last_reply = last_reply
        self._may_think.set()

    def hold(self) -> None:
        """Fall silent for now, because someone may be interrupting."""
        self._playback.hold()

    def go_on(self) -> None:
        """The interruption was false: continue from where it fell silent. Raises DeviceLost."""
        self.report.resumed += 1
        self._playback.go_on()

    async def cancel(self) -> None:
        """End the turn now; what was heard of the answer stays in the conversation."""
        if self._task is None or self._task.done():
            return
        self.report.interrupted = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def retract(self) -> None:
        """Cancel the turn and remove it from the conversation, because the user had not finished."""
        self._is_retracted = True
        await self.cancel()

    @property
    def match(self) -> Match | None:
        """The skill that answers, once known."""
        return self._answer.match if self._answer else None

    @property
    def has_acted(self) -> bool:
        """True once something was done, or may have been done, that must not be done twice."""
        return self._answer is not None and self._answer.has_acted

    @property
    def may_be_retracted(self) -> bool:
        """True while the turn has had no effect yet, so it can be retracted."""
        return self._answer is None or self._answer.may_be_retracted

    @property
    def done(self) -> bool:
        return self._task is not None and self._task.done()

    @property
    def sounded_text(self) -> str:
        """Of the answer, all that may have sounded in the room."""
        return self._playback.text_until(self._playback.heard_s + _CUT_LATE_S)

    @property
    def heard_ms(self) -> int:
        """The part of the answer that may have sounded in the room."""
        return round(self._playback.heard_s * 1000)

    async def _run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            try:
                await work()
            except AssistantError as error:
                await self._apologise(error)
            if lost := self._playback.lost:
                self.report.error, self.report.in_writing = lost.code, True
                self._post(SpeakerLost(lost))
            if self.report.refused is None:
                self._post(ReplyFinished())
        except Exception:
            self.report.error = AssistantError.code
            log.exception("turn=%d the turn is given up", self.report.number)
            await self._released.wait()
            self._post(Stopped())

    async def _reply(self, utterance: Utterance) -> None:
        transcript = await self._transcribe(utterance.pcm)
        answer = self._answer_to(transcript.text)
        if reason := self._refusal(utterance, transcript, answer.match):
            self.report.refused, self.transcript = reason, transcript
            if transcript.text:  # possibly the beginning of more; noise is not
                self._post(NotUnderstood(transcript))
            await self._released.wait()
            self._post(ReplyRefused(reason))
            return
        if self._begun and answer.match is None:
            self.report.goes_on = True
            self.report.transcript = f"{self._begun} {transcript.text}"
            transcript = replace(transcript, text=self.report.transcript)
            answer = self._answer_to(transcript.text)
        self._answer, self.transcript = answer, transcript
        self._post(Understood(transcript))
        await self._may_think.wait()
        try:
            await self._speak(aiter(answer))
        finally:
            self._remember(transcript.text, answer.written)

    def _answer_to(self, text: str) -> Answer:
        return self._pipeline.answer(text, report=self.report, may_act=self._released)

    def _refusal(self, utterance: Utterance, transcript: Transcript, match: Match | None) -> str | None:
        """Return why what was heard gets no answer; None if it gets one."""
        if reason := noise_filter.refusal(utterance, transcript, self._pipeline.settings.stt.guard):
            return reason
        # "Stop" may well be a word of the answer; but a user who says only that means it.
        return self._refuse(transcript.text) if match is None else None

    async def _apologise(self, error: AssistantError) -> None:
        """Never leave the user without an answer: apologize, unless part of it was heard."""
        self.report.failed(error)
        if not self._playback.sounds and self.report.handled_by != "announcement":
            self.report.handled_by = "apology"
            try:
                await self._speak(each(whole(self._pipeline.settings.conversation.apology)))
            except EngineError as silent:
                log.error("turn=%d apology=unspoken problem=%s", self.report.number, silent)

    async def _transcribe(self, pcm: Pcm16) -> Transcript:
        self.report.mark("stt_begin")
        transcribing = self._pipeline.transcribe(pcm, partial(self.report.worked, "stt"))
        transcript = await within(self._pipeline.settings.conversation.turn_timeout_s, transcribing)
        self.report.mark("stt_end")
        self.report.transcript = transcript.text
        return transcript

    async def _speak(self, replies: AsyncGenerator[Sentence, None]) -> None:
        """Say sentences as they arrive and return when the last one has been heard.

        Raises EngineFailed if there was nothing to say, EngineTimeout if it took too long.
        """
        playback = self._playback
        playback.begin()
        limit_s = self._pipeline.settings.conversation.turn_timeout_s
        worked = partial(self.report.worked, "tts")
        ready = self._noted(prefetch(replies, SENTENCES_AHEAD))
        sounds = prefetch(self._pipeline.speak(ready, worked), SENTENCES_AHEAD)
        try:
            try:
                async with aclosing(sounds):
                    while sound := await within(limit_s, anext(sounds, None)):
                        self.report.mark("first_sound")
                        await self._released.wait()
                        await playback.say(sound)
                        if len(playback.sounds) == 1 and not playback.lost:
                            self.report.mark("first_audio")
                            self._post(ReplyStarted())
            except EngineError:
                if playback.sounds:
                    await playback.heard_out()
                raise
            await self._released.wait()
            if playback.sounds:
                await playback.heard_out()
            elif self.report.outcome is None and not playback.lost:
                raise EmptyAnswer
        except asyncio.CancelledError:
            playback.cut()
            raise

    async def _noted(self, sentences: AsyncGenerator[Sentence, None]) -> AsyncGenerator[Sentence, None]:
        async with aclosing(sentences):
            async for sentence in sentences:
                self.report.mark("first_clause")
                self.report.reply = f"{self.report.reply} {sentence.text}".strip()
                yield sentence

    def _remember(self, text: str, written: str) -> None:
        """Add what was heard of the reply to the conversation, so the model never refers to anything unheard.

        A reply heard to its end, or given in writing, is stored as the model wrote it, so its tokens need not
        be read again.
        """
        self.report.heard = self._playback.heard_text
        is_whole = self._playback.was_heard_out or self._playback.lost is not None
        reply = written if is_whole else self.report.heard
        if self._released.is_set() and self.report.handled_by == "llm" and not self._is_retracted:
            self._pipeline.remember(text, reply)
