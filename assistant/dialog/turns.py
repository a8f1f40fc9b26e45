"""The current turn, the interrupted one that may continue, and the reports of all others.

While the user still speaks, the model reads ahead. This module knows turns and their reports, but not the
state, nor why a turn begins or ends.
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
"""What begins within this time after an answer may be its echo, or its end."""

_UNSURE_WORDS = 2
"""A recognizer revises the last words while more follows: the sound after them decides."""


class Turns:
    """At most one turn is active; another may be held meanwhile.

    ``on_report`` gets the report of each finished turn; turns that were only attempts at the next one are
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
        """What was said before a premature answer."""
        self._new_until_s = 0.0
        """Until then, an answer that was held at its beginning and continued counts as new."""
        self._last_sounded = ""
        """The latest speech that may have sounded in the room, including announcements."""
        self._to_repeat = ""
        """The last reply of which anything was heard; in full, for a user who interrupted it."""
        self._last_s = self._now_s()
        self.at_work: Turn | None = None
        self.commands_from_s = math.inf
        """From then on only commands count, because the wake word was not said."""

    def adopt(self, pipeline: Pipeline) -> None:
        """Start the next turn with this pipeline."""
        self._pipeline, self._read_ahead = pipeline, ReadAhead(pipeline)

    @property
    def none(self) -> bool:
        return self.at_work is None and self._held is None

    async def work_ahead(self, event: SpeechGoesOn | SpeechPaused) -> None:
        """While the user speaks, read the words so far, or start on an answer in case that was all."""
        if isinstance(event, SpeechGoesOn):
            self._look_ahead(event.utterance)
        elif self._pipeline.settings.conversation.speculate:
            await self._begin(event.utterance)

    async def answer(self, utterance: Utterance) -> None:
        """The user has finished: start the answer, unless it has begun, and play it."""
        if self.at_work is None:
            await self._begin(utterance)
        if self.at_work is not None:
            self.at_work.release(utterance)

    async def _begin(self, utterance: Utterance) -> None:
        """Work on an answer to this, silently, in place of earlier work."""
        await self.discard()
        self._recall()
        heard_from_s = self._now_s() - utterance.duration_ms / 1000
        self.at_work = self._new(heard_from_s, only_commands=self._wants_command(utterance))
        self.at_work.report.worked("ahead", self._read_ahead.stop())
        self.at_work.start(utterance)

    def _look_ahead(self, utterance: Utterance) -> None:
        """Let the model read the words so far, unless it is busy or won't be asked."""
        if self.none and not self._wants_command(utterance):
            self._recall()
            self._read_ahead.look(utterance)

    def _wants_command(self, utterance: Utterance) -> bool:
        lead_ms = self._pipeline.settings.endpoint.pre_roll_ms
        begin_s = self._now_s() - (utterance.duration_ms - lead_ms) / 1000
        return begin_s >= self.commands_from_s

    def stop_reading(self) -> None:
        """Stop reading ahead, because nobody is listened to anymore."""
        self._read_ahead.stop()

    def announce(self, text: str) -> None:
        """Say something unasked."""
        self.at_work = self._new(self._now_s())
        self.at_work.announce(text)

    async def discard(self) -> None:
        """Discard the attempt at a turn, because the user continues."""
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
        """True if what was asked for is done, or being done."""
        return self.at_work is not None and self.at_work.has_acted

    @property
    def can_resume(self) -> bool:
        return self._held is not None and not self._held.done

    @property
    def holds(self) -> bool:
        """True if an answer was interrupted and may still continue, or end."""
        return self._held is not None

    async def resume(self) -> None:
        """End the turn that led to nothing, and continue the held answer."""
        if self._begun:
            self._new_until_s = self._now_s() + self._pipeline.settings.conversation.repair_ms / 1000
        self._begun = ""
        held, self._held = self._held, None
        await self._end_at_work()
        if held is not None:
            self.at_work = held
            try:
                held.go_on()
            except AudioError as error:  # the speaker was unplugged while the answer was held
                self._post(SpeakerLost(error))
                self._post(Stopped())

    async def understood(self) -> None:
        """Let the current turn answer: the held answer ends, and is added to the conversation first.

        If the user had not finished, the answer to their beginning is retracted.
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
        """Start a new conversation after a while."""
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
        """Return what it may have heard of itself since then."""
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
        """Carry out what a skill asks of the appliance, whatever called it."""
        for turn in (self.at_work, self._held):
            if turn is not None:
                self._ringer.follow(turn)
        self._pipeline.carry_out(action, stop_ringing=self._ringer.silence, post=self._post)

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()


class ReadAhead:
    """Recognizes the words so far while the user still speaks, and lets the model read those that are stable.

    So at the end of the turn only the last few words are left to read. It is silent, has no effect but a
    filled KV cache, and yields at once to the turn itself: a mistake costs nothing but time.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._looking: asyncio.Task[None] | None = None
        self._work_s = 0.0

    def look(self, utterance: Utterance) -> None:
        """Start reading what has been said; does nothing while it is still reading earlier words."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._look(utterance))

    def stop(self) -> float:
        """Release the engines; returns the seconds they worked since the last call."""
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
    """Return the part of an unfinished transcript that probably won't change anymore."""
    return " ".join(text.split()[:-_UNSURE_WORDS])
