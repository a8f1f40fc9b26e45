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
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from assistant.core.errors import AssistantError, EmptyAnswer, EngineError
from assistant.core.events import Event, ReplyFinished, ReplyRefused, ReplyStarted, SpeakerLost, Stopped
from assistant.core.types import Call, Pcm16, Sentence, SpokenAudio, Transcript, Utterance
from assistant.dialog import noise_filter
from assistant.dialog.pipeline import Pipeline
from assistant.dialog.playback import Playback
from assistant.dialog.report import Report
from assistant.dialog.sentences import Sentences, whole
from assistant.runtime.aio import in_thread, prefetch, within
from assistant.skills import Match

log = logging.getLogger(__name__)

T = TypeVar("T")

_SENTENCES_AHEAD = 2
"""Sentences that may be ready before the one being heard is over."""

_CUT_LATE_S = 0.5
"""So far behind what was heard a word may begin that an echo brings back: which of a sentence's words were
heard is reckoned from its letters."""


class Turn:
    """Runs from ``start`` until it has posted ReplyFinished, ReplyRefused or Stopped, or is cancelled."""

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        number: int,
        last_reply: Callable[[], str],
        refuse: Callable[[str], str | None],
        begun: str,
        post: Callable[[Event], None],
        on_transcript: Callable[[Transcript, Match | None], Awaitable[None]],
        on_refusal: Callable[[], None],
    ) -> None:
        """``last_reply`` tells what was answered last; ``refuse`` why words that are no command get none,
        if so; ``begun`` what the person had said when an answer to it came too early: this goes
        on with it, unless it is a command."""
        self.report = Report(number)
        self._pipeline = pipeline
        self._last_reply = last_reply
        self._refuse = refuse
        self._begun = begun
        self._post = post
        self._on_transcript = on_transcript
        self._on_refusal = on_refusal
        self._released = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._written = ""
        self._match: Match | None = None
        self.has_acted = False
        """Something was done, or may be being done, that must not be done again."""
        self._is_taken_back = False
        self.announced = ""
        self._playback = Playback(pipeline.speaker)

    def start(self, utterance: Utterance) -> None:
        """Work on the answer, silently."""
        self._mark("speech_end", utterance.speech_end_s)
        self.report.pcm = utterance.pcm
        self._task = asyncio.ensure_future(self._run(partial(self._reply, utterance)))

    def announce(self, text: str) -> None:
        """Say ``text`` unasked."""
        self.announced = text
        self.report.handled_by = "announcement"
        self._released.set()
        self._task = asyncio.ensure_future(self._run(partial(self._speak, _all_of(whole(text)))))

    def release(self, utterance: Utterance) -> None:
        """The person has finished: sound and effects are allowed from now on."""
        self.report.speculative = "stt_begin" in self.report.times_s
        self._mark("speech_end", utterance.speech_end_s)
        self.report.pcm = utterance.pcm
        self._mark("ended")
        self._released.set()

    def hold(self) -> None:
        """Fall silent, for now: perhaps somebody interrupts."""
        self._playback.hold()

    def go_on(self) -> None:
        """Nobody did: speak on from where it fell silent. Raises DeviceLost."""
        self.report.resumed += 1
        self._playback.go_on()

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
        return not self.has_acted and (self._match is None or self._match.only_answers)

    @property
    def done(self) -> bool:
        return self._task is not None and self._task.done()

    @property
    def sounded_text(self) -> str:
        """Of the answer, all that may have sounded in the room."""
        return self._playback.text_until(self._playback.heard_s + _CUT_LATE_S)

    @property
    def heard_ms(self) -> int:
        """How much of the answer has been heard."""
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
        match = self._match_of(transcript.text)
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
            match = self._match_of(transcript.text)
        self._match = match
        await self._on_transcript(transcript, match)
        try:
            await self._speak(self._skill(match, self._released) if match else self._answer(transcript.text))
        finally:
            self._remember(transcript.text)

    def _match_of(self, text: str) -> Match | None:
        return self._pipeline.skills.match(text) or self._pipeline.skills.last_word(text)

    def _refusal(self, utterance: Utterance, transcript: Transcript, match: Match | None) -> str | None:
        """Why what was heard gets no answer; None when it gets one."""
        if reason := noise_filter.refusal(utterance, transcript, self._pipeline.settings.stt.guard):
            return reason
        # "Stop" may well be a word of the answer; who says nothing but that means it.
        return self._refuse(transcript.text) if match is None else None

    async def _apologise(self, error: AssistantError) -> None:
        """Never leave a person without an answer: say that there is none, unless part of it was heard."""
        self._note(error)
        if not self._playback.sounds and self.report.handled_by != "announcement":
            self.report.handled_by = "apology"
            try:
                await self._speak(_all_of(whole(self._pipeline.settings.conversation.apology)))
            except EngineError as silent:
                log.error("turn=%d apology=unspoken problem=%s", self.report.number, silent)

    async def _transcribe(self, pcm: Pcm16) -> Transcript:
        self._mark("stt_begin")
        transcribing = self._pipeline.transcribe(pcm, partial(self.report.worked, "stt"))
        transcript = await within(self._pipeline.settings.conversation.turn_timeout_s, transcribing)
        self._mark("stt_end")
        self.report.transcript = transcript.text
        return transcript

    async def _skill(self, match: Match, may_act: asyncio.Event) -> AsyncGenerator[Sentence, None]:
        self.report.handled_by = match.name
        if not match.only_answers:
            await may_act.wait()
            self.has_acted = True
        outcome = await in_thread(match.run)
        self.report.outcome = outcome
        if speech := outcome.speech_after(self._last_reply()):
            yield Sentence(speech, is_phrase=match.only_answers and outcome.action is None)

    def _answer(self, text: str) -> AsyncGenerator[Sentence, None]:
        """What to say to that when no skill's sentence fits."""
        agent = self._pipeline.agent
        return self._ask_agent(agent.name, text) if agent else self._ask(text, self._released)

    async def _ask_agent(self, name: str, text: str) -> AsyncGenerator[Sentence, None]:
        """The agent's answer, or else the model's, which is being written meanwhile."""
        is_declined = asyncio.Event()
        async with aclosing(prefetch(self._ask(text, is_declined), _SENTENCES_AHEAD)) as replies:
            first = asyncio.ensure_future(anext(replies, None))
            try:
                await self._released.wait()
                self.has_acted = True
                outcome = await self._pipeline.ask_agent(text)
                if outcome is None:
                    self.has_acted = False
                    is_declined.set()
                    if sentence := await first:
                        yield sentence
                        async for sentence in replies:
                            yield sentence
                    return
            finally:
                first.cancel()
                await asyncio.gather(first, return_exceptions=True)
        self.report.handled_by, self.report.outcome = name, outcome
        if outcome.speech:
            yield Sentence(outcome.speech)

    async def _ask(self, text: str, may_act: asyncio.Event) -> AsyncGenerator[Sentence, None]:
        """The model's reply, sentence by sentence, or that of the skill that it calls."""
        self.report.handled_by = "llm"
        self._mark("llm_begin")
        sentences = Sentences(begin_with=self._pipeline.settings.tts.begin_with)
        pieces = self._pipeline.ask_model(text, partial(self.report.worked, "llm"))
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    self._mark("first_token")
                    if isinstance(piece, Call):
                        self._match = self._pipeline.called(piece)
                        break
                    self._written += piece
                    for sentence in sentences.add(piece):
                        yield sentence
        except EngineError as error:
            if not self._written:
                raise
            # Part of it is heard, or will be: who hears no end of it is told that there is none.
            self._note(error)
            self._written = ""
            yield Sentence(self._pipeline.settings.conversation.apology)
            return
        if self._match:
            async with aclosing(self._skill(self._match, may_act)) as said:
                async for sentence in said:
                    yield sentence
        for sentence in sentences.finish():
            yield sentence

    async def _speak(self, replies: AsyncGenerator[Sentence, None]) -> None:
        """Say sentences as they come and return when the last one has been heard.

        Raises EngineFailed when there was nothing to say, EngineTimeout when it took too long.
        """
        playback = self._playback
        playback.begin()
        limit_s = self._pipeline.settings.conversation.turn_timeout_s
        sounds = prefetch(self._synthesize(prefetch(replies, _SENTENCES_AHEAD)), _SENTENCES_AHEAD)
        try:
            try:
                async with aclosing(sounds):
                    while sound := await within(limit_s, anext(sounds, None)):
                        self._mark("first_sound")
                        await self._released.wait()
                        await playback.say(sound)
                        if len(playback.sounds) == 1 and not playback.lost:
                            self._mark("first_audio")
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

    async def _synthesize(
        self, sentences: AsyncGenerator[Sentence, None]
    ) -> AsyncGenerator[SpokenAudio, None]:
        async with aclosing(sentences):
            async for sentence in sentences:
                self._mark("first_clause")
                self.report.reply = f"{self.report.reply} {sentence.text}".strip()
                pcm = await self._pipeline.synthesize(sentence, partial(self.report.worked, "tts"))
                if len(pcm):
                    yield SpokenAudio(sentence.text, pcm, self._pipeline.tts.engine.sample_rate_hz)

    def _remember(self, text: str) -> None:
        """Keep of the reply what was heard, so that the model never refers to what nobody heard.

        A reply heard to its end, or given in writing, is kept as the model wrote it: so its tokens need not
        be read again.
        """
        self.report.heard = self._playback.heard_text
        is_whole = self._playback.was_heard_out or self._playback.lost is not None
        written = self._written if is_whole else self.report.heard
        if self._released.is_set() and self.report.handled_by == "llm" and not self._is_taken_back:
            self._pipeline.conversation.add(text, written)

    def _note(self, error: AssistantError) -> None:
        self.report.error = error.code
        log.error("turn=%d problem=%s", self.report.number, error)

    def _mark(self, name: str, at_s: float | None = None) -> None:
        """Note when something first happened (``speech_end`` may move: the person went on)."""
        if at_s is not None:
            self.report.times_s[name] = at_s
        else:
            self.report.times_s.setdefault(name, asyncio.get_running_loop().time())


async def _all_of(sentences: Iterable[Sentence]) -> AsyncGenerator[Sentence, None]:
    for sentence in sentences:
        yield sentence
