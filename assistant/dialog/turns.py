"""The turn at work, the one that was interrupted and may go on, and what became of all others.

While a person still speaks, the model reads ahead. Turns and their reports are known here; the state, and
why a turn begins or ends, are not.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable

from assistant.core.errors import AudioError
from assistant.core.events import Event, SpeakerLost, SpeechGoesOn, SpeechPaused, Stopped
from assistant.core.types import Utterance
from assistant.dialog.earcons import Earcons
from assistant.dialog.noise_filter import is_own
from assistant.dialog.pipeline import Pipeline
from assistant.dialog.report import Report
from assistant.dialog.ringer import Ringer
from assistant.dialog.turn import Turn
from assistant.skills import Action

log = logging.getLogger(__name__)

_ECHO_S = 1.0
"""What begins within this time after an answer may be its echo, or the end of it."""

_UNSURE_WORDS = 2
"""A recogniser changes its mind about the last words of what goes on: the sound behind them decides."""


class Turns:
    """At most one turn works; another may be held meanwhile.

    ``on_report`` gets the report of each turn that ended; turns that only were attempts at the next one are
    listed in its report instead.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        post: Callable[[Event], None],
        on_report: Callable[[Report], None],
        ringer: Ringer,
        earcons: Earcons,
    ) -> None:
        self._pipeline = pipeline
        self._post = post
        self._on_report = on_report
        self._ringer = ringer
        self._earcons = earcons
        self._read_ahead = ReadAhead(pipeline)
        self._held: Turn | None = None
        self._count = 0
        self._discarded: list[Report] = []
        self.has_asked = False
        """The last answer asked for something."""
        self._begun = ""
        """What was said when an answer to it came too early."""
        self._new_until_s = 0.0
        """Until then an answer is new that was held up at its beginning and went on."""
        self._last_sounded = ""
        """What was said last, as far as it may have sounded in the room; announcements, too."""
        self._to_repeat = ""
        """The last reply of which anything was heard; all of it, as somebody who was interrupted may want."""
        self._last_s = self._now_s()
        self.at_work: Turn | None = None
        self.commands_from_s = math.inf
        """Of what is said from then on only commands count: nobody has called the assistant."""

    def adopt(self, pipeline: Pipeline) -> None:
        """Begin the next turn with this one."""
        self._pipeline, self._read_ahead = pipeline, ReadAhead(pipeline)

    @property
    def none(self) -> bool:
        return self.at_work is None and self._held is None

    async def work_ahead(self, event: SpeechGoesOn | SpeechPaused) -> None:
        """Somebody is speaking: get to know the words, or begin with an answer, in case that was all."""
        if isinstance(event, SpeechGoesOn):
            self._look_ahead(event.utterance)
        elif self._pipeline.settings.conversation.speculate:
            await self._begin(event.utterance)

    async def answer(self, utterance: Utterance) -> None:
        """The person has finished: begin with the answer, unless it is begun, and let it be heard."""
        if self.at_work is None:
            await self._begin(utterance)
        if self.at_work is not None:
            self.at_work.release(utterance)

    async def _begin(self, utterance: Utterance) -> None:
        """Work on an answer to this, silently, instead of what was worked on before."""
        await self.discard()
        self._recall()
        heard_from_s = self._now_s() - utterance.duration_ms / 1000
        self.at_work = self._new(heard_from_s, only_commands=self._wants_command(utterance))
        self.at_work.report.worked("ahead", self._read_ahead.stop())
        self.at_work.start(utterance)

    def _look_ahead(self, utterance: Utterance) -> None:
        """Let the model read the words so far, unless it has other work or will not be asked."""
        if self.none and not self._wants_command(utterance):
            self._recall()
            self._read_ahead.look(utterance)

    def _wants_command(self, utterance: Utterance) -> bool:
        lead_ms = self._pipeline.settings.endpoint.pre_roll_ms
        begin_s = self._now_s() - (utterance.duration_ms - lead_ms) / 1000
        return begin_s >= self.commands_from_s

    def stop_reading(self) -> None:
        """Nobody is listened to any more."""
        self._read_ahead.stop()

    def announce(self, text: str) -> None:
        """Say something unasked."""
        self.at_work = self._new(self._now_s())
        self.at_work.announce(text)

    async def discard(self) -> None:
        """Drop the attempt at a turn: the person goes on."""
        turn, self.at_work = self.at_work, None
        if turn is not None:
            await turn.cancel()
            self._discarded.append(turn.report)

    async def end(self) -> None:
        """End the turn, whatever it is doing, and the one that was held."""
        await self._end_held()
        await self._end_at_work()

    def hold(self) -> None:
        """Fall silent and keep the answer, in case nobody said anything."""
        if self.at_work is not None:
            self.at_work.hold()
            self._held, self.at_work = self.at_work, None
            is_new = (
                self._held.heard_ms < self._pipeline.settings.conversation.repair_ms
                or self._now_s() < self._new_until_s
            )
            self._begun = self._held.report.transcript if is_new and self._held.may_be_retracted else ""

    @property
    def has_acted(self) -> bool:
        """What the turn at work was asked for is done, or being done."""
        return self.at_work is not None and self.at_work.has_acted

    @property
    def can_resume(self) -> bool:
        return self._held is not None and not self._held.done

    @property
    def holds(self) -> bool:
        """Whether an answer was interrupted and may still go on, or end."""
        return self._held is not None

    async def resume(self) -> None:
        """End the turn that came of nothing and go on with the answer that was held."""
        if self._begun:
            self._new_until_s = self._now_s() + self._pipeline.settings.conversation.repair_ms / 1000
        self._begun = ""
        held, self._held = self._held, None
        await self._end_at_work()
        if held is not None:
            self.at_work = held
            try:
                held.go_on()
            except AudioError as error:  # the speaker was pulled while the answer was held
                self._post(SpeakerLost(error))
                self._post(Stopped())

    async def understood(self) -> None:
        """The turn at work may answer: what was held will not go on, and is remembered before that.

        If the person had not finished, what was said to their beginning does not count.
        """
        turn = self.at_work
        if turn is not None and turn.report.goes_on and self._held is not None:
            held, self._held = self._held, None
            await held.retract()
            self._discarded.append(held.report)
        else:
            await self._end_held()
        if turn is not None:
            turn.think(self._to_repeat)

    async def _end_held(self) -> None:
        held, self._held = self._held, None
        await self._end(held)

    async def _end_at_work(self) -> None:
        turn, self.at_work = self.at_work, None
        await self._end(turn)

    async def _end(self, turn: Turn | None) -> None:
        if turn is not None:
            await turn.cancel()
            self._account(turn)

    def _recall(self) -> None:
        """A conversation is over after a while."""
        if self._now_s() - self._last_s > self._pipeline.settings.conversation.forget_after_s:
            self._pipeline.conversation.forget()

    def _new(self, heard_from_s: float, *, only_commands: bool = False) -> Turn:
        overheard = self._overheard(heard_from_s)

        def refuse(text: str) -> str | None:
            if is_own(text, overheard):
                return "own_voice"
            return "no_command" if only_commands else None

        return Turn(
            self._pipeline,
            number=self._count + 1 + (self._held is not None),
            refuse=refuse,
            begun=self._begun,
            post=self._post,
        )

    def _overheard(self, from_s: float) -> str:
        """What it may have heard of itself, listening from then on."""
        if self._held is not None:
            return self._held.sounded_text
        return self._last_sounded if from_s - self._last_s < _ECHO_S else ""

    def _account(self, turn: Turn) -> None:
        report = turn.report
        self._begun = ""
        self._count += report.handled_by != "announcement"
        self.has_asked = bool(report.outcome and report.outcome.question)
        self._last_s = self._now_s()
        self._last_sounded = turn.sounded_text or self._last_sounded
        self._to_repeat = report.reply if turn.heard_ms else self._to_repeat
        report.discarded, self._discarded = self._discarded, []
        report.log(with_words=self._pipeline.settings.privacy.log_transcripts)
        self._on_report(report)
        self.carry_out(report.outcome.action if report.outcome else None)
        self._ringer.follow(turn)
        if report.sign and not turn.heard_ms:
            self._earcons.play(report.sign)

    def carry_out(self, action: Action | None) -> None:
        """Do what a skill asks of the appliance, whoever called it."""
        for turn in (self.at_work, self._held):
            if turn is not None:
                self._ringer.follow(turn)
        self._pipeline.carry_out(action, stop_ringing=self._ringer.silence, post=self._post)

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()


class ReadAhead:
    """Recognises the words so far while a person still speaks, and lets the model read those that stay.

    So at the end of the turn only the last few words are left to read. It is silent, has no effect but a
    warmer memory, and gives way at once to the turn itself: a mistake costs nothing but time.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._looking: asyncio.Task[None] | None = None
        self._work_s = 0.0

    def look(self, utterance: Utterance) -> None:
        """Begin to read what has been said; does nothing while it still reads what was said before."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._look(utterance))

    def stop(self) -> float:
        """Let the engines go; the seconds that they worked since the last time."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None  # its end holds this object, and all that was said, until nobody holds it
        work_s, self._work_s = self._work_s, 0.0
        return work_s

    async def _look(self, utterance: Utterance) -> None:
        pipeline = self._pipeline
        try:
            heard = await pipeline.transcribe(utterance.pcm, self._worked)
            words = stable_words(heard.text)
            if words:
                messages = pipeline.conversation.messages_for(words)
                await pipeline.llm.run(lambda llm, cancel: llm.read_ahead(messages, cancel), self._worked)
        except Exception as error:  # noqa: BLE001 - the turn itself meets it again, and tells
            log.debug("read_ahead=given_up reason=%s", type(error).__name__)

    def _worked(self, seconds: float) -> None:
        self._work_s += seconds


def stable_words(text: str) -> str:
    """What of a transcript that goes on will probably not change any more."""
    return " ".join(text.split()[:-_UNSURE_WORDS])
