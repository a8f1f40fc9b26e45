"""Event queue -> state machine -> actions. The only owner of the state.

The listener, turns, the ringer and callers post events; ``run`` takes them one at a time, fires the machine
and acts. Nothing here blocks and nothing else fires the machine.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from assistant.audio import EchoControl, Kind, Microphone, nothing_plugs_in
from assistant.core import events as e
from assistant.core.errors import EngineError
from assistant.core.state import BETWEEN_TURNS, HEARING, Observer, State, StateMachine
from assistant.core.types import SpokenAudio
from assistant.dialog.earcons import Earcon, Earcons
from assistant.dialog.follow_up import FollowUp, SpeechTimeout
from assistant.dialog.interruptions import Interruptions
from assistant.dialog.listener import Listener
from assistant.dialog.outages import Outages, Part
from assistant.dialog.pipeline import Adopt, Pipeline
from assistant.dialog.report import Report
from assistant.dialog.ringer import Ringer
from assistant.dialog.speaker_watch import SpeakerWatch
from assistant.dialog.turns import Turns
from assistant.engines import Vad, WakeWord
from assistant.runtime.clock import quiet
from assistant.skills import Action

log = logging.getLogger(__name__)

_LETS_GO_S = 0.25
"""A user who is silent for this long after the wake word waits for a sign; between words it is shorter."""


class VoiceLoop:
    """One appliance: a listener, a speaker, a pipeline, and its state.

    Without a ``wake_word`` any speech wakes it. ``echo`` cancels its voice in what it hears; ``hears_itself``
    means that nothing does. ``on_report`` gets the report of each finished turn, answered or not;
    ``observers`` are called at each change of the state; ``outages`` tracks what is lost and found.
    """

    def __init__(
        self,
        *,
        microphone: Microphone,
        vad: Vad,
        wake_word: WakeWord | None,
        pipeline: Pipeline,
        ringer: Ringer,
        earcons: Mapping[Earcon, SpokenAudio],
        hears_itself: bool,
        echo: EchoControl | None = None,
        on_report: Callable[[Report], None],
        observers: Sequence[Observer] = (),
        outages: Outages | None = None,
        rescan: Callable[[Kind], Awaitable[None]] = nothing_plugs_in,
    ) -> None:
        self.pipeline = pipeline
        """The engines that answer, with their settings; Adopt replaces it."""
        self.ringer = ringer
        self._observers = observers
        self.outages = outages or Outages()
        self._fault_untold = False
        self._queue: asyncio.Queue[e.Event] = asyncio.Queue()
        self.interruptions = Interruptions(hears_itself=hears_itself, echo=echo)
        self._listener = Listener(
            microphone=microphone,
            vad=vad,
            wake_word=wake_word,
            settings=pipeline.settings,
            post=self.post,
            rescan=self._rescan,
            interruptions=self.interruptions,
        )
        self._rescan_devices = rescan
        self._speaker_watch = SpeakerWatch(pipeline.speaker, post=self.post, rescan=self._rescan)
        self._earcons = Earcons(pipeline.speaker, earcons, post=self.post)
        self._timeout = SpeechTimeout(lambda: self.post(e.NothingSaid()))
        self._turns = Turns(
            pipeline, post=self.post, on_report=on_report, ringer=ringer, earcons=self._earcons
        )
        self._machine = StateMachine(
            answer_held=lambda: self._turns.can_resume, time_left=lambda: self._timeout.is_left
        )
        self._follow_up = FollowUp(self._turns, self._listener, ringer, hears_itself=hears_itself)

    @property
    def state(self) -> State:
        return self._machine.state

    def post(self, event: e.Event) -> None:
        """Post an event from the loop's thread; it is handled after the earlier ones."""
        self._queue.put_nowait(event)

    def carry_out(self, action: Action | None) -> None:
        """Carry out what a skill asks of the appliance, whatever called it."""
        self._turns.carry_out(action)

    async def run(self) -> None:
        """Run until the microphone's recording has ended, or until canceled.

        Raises errors that prevent starting; a missing microphone or speaker does not.
        """
        watches = self._speaker_watch.watch(), self.ringer.watch(self.post)
        watching = [asyncio.ensure_future(watch) for watch in watches]
        self._listener.open()
        try:
            while not isinstance(event := await self._queue.get(), e.RecordingEnded):
                await self._handle(event)
        finally:
            for job in watching:
                job.cancel()
            await self._listener.close()
            await self._turns.end()
            self.pipeline.speaker.close()

    async def idle(self, quiet_s: float) -> None:
        """Wait until nobody has said anything for ``quiet_s`` seconds."""

        def is_busy() -> bool:
            talking = not self._turns.none or self._listener.endpointer.in_speech or not self._queue.empty()
            return talking or self.state in (State.STARTING, State.FAULTED)

        await quiet(is_busy, quiet_s)

    async def _handle(self, event: e.Event) -> None:  # noqa: PLR0912 - a branch for each kind of event
        log.debug("state=%s event=%s", self.state.value, type(event).__name__)
        self.outages.follow(event, self.state)
        match event:
            case e.Woken():
                await self._on_woken(event)
            case e.SpeechStarted():
                await self._on_speech_started()
            case e.SpeechGoesOn() | e.SpeechPaused():
                if self.state in HEARING:
                    await self._turns.work_ahead(event)
            case e.SpeechResumed():
                await self._on_speech_resumed(event)
            case e.TurnEnded(utterance=utterance):
                if self._fire(event):
                    await self._turns.answer(utterance)
            case e.Understood() | e.NotUnderstood():
                await self._on_words(event)
            case e.ReplyFinished():
                await self._on_reply_finished(event)
            case e.NothingSaid() | e.ReplyRefused():
                await self._on_no_words(event)
            case e.Stopped():
                await self._settle(event)
            case e.Announced(text=text):
                await self._announce(event, text)
            case e.Muted() | e.Unmuted() if self._machine.target(type(event)):
                await self._on_mute_button(event)
            case e.Faulted(error=error):
                await self._on_fault(error)
            case Adopt():
                self._adopt(event)
            case e.EarconStarted(audible_s=audible_s):
                self._listener.hold_judgement(audible_s)
            case e.Probed(handled=handled):
                handled()
            case _:
                self._fire(event)

    async def _on_woken(self, event: e.Woken) -> None:
        log.info("state=%s woken_by=%s", self.state.value, event.by)
        if self.state is State.SPEAKING and not event.by_hand:
            # It may have been a word of the answer: then nothing follows, and the answer continues.
            self._turns.hold()
            self._fire(e.BargedIn())
        elif self.state in (State.SPEAKING, State.INTERRUPTED):
            await self._turns.end()
            self._fire(event)
        elif self._follow_up.only_commands:
            await self._turns.end()
            self._follow_up.answer_all()
            self._fire(e.FollowUpOpened())
            self._attend()
        elif not self._fire(event):
            return
        if self._machine.state not in HEARING:
            return  # a button was pressed, but there is no microphone
        self._timeout.begin(self.pipeline.settings.endpoint.listen_timeout_ms / 1000)
        self._earcons.play_when("wake", lambda: self._listener.quiet_s >= _LETS_GO_S)

    async def _on_speech_started(self) -> None:
        if not self._listener.endpointer.has_utterance:
            return  # it was dropped meanwhile, and its end would go unnoticed
        self._timeout.pause()
        self._earcons.forget()
        if self.state is State.SLEEPING and not self._listener.has_wake_word:
            self._fire(e.Woken(by="speech"))
        elif self.state is State.SPEAKING:
            self._turns.hold()
            self._fire(e.BargedIn())

    async def _on_speech_resumed(self, event: e.Event) -> None:
        if self.state is State.THINKING and self._turns.has_acted:
            # It must not be repeated because of what is said now, which may be only a cough.
            self._turns.hold()
            self._listener.endpointer.forget_before()
        elif self.state in (*HEARING, State.THINKING):
            await self._turns.discard()
        self._fire(event)

    async def _on_words(self, event: e.Understood | e.NotUnderstood) -> None:
        """Set how long to wait for more words, and end the interrupted answer if there are any."""
        turn = self._turns.at_work
        if turn is None or turn.transcript is not event.transcript:
            return  # the user has continued meanwhile
        if isinstance(event, e.Understood):
            self._listener.wait_for(event.transcript, turn.match)
            await self._turns.understood()
            if self.state is State.INTERRUPTED:
                self._fire(event)
        elif not self._turns.holds:  # the held answer continues soon, and nothing else is expected
            self._listener.wait_for_the_rest()

    async def _on_no_words(self, event: e.Event) -> None:
        """Noise ends neither an answer nor the time the user has to start speaking."""
        was_called = not self._follow_up.only_commands
        match self._machine.target(type(event)):
            case State.SPEAKING:
                self._fire(event)
                self.interruptions.was_false()
                await self._turns.resume()
                self._attend()
            case State.LISTENING:
                await self._turns.end()
                self._fire(event)
                self._timeout.resume()
                self._listener.endpointer.reset()
            case State.SLEEPING:
                await self._settle(event)
                if self._listener.has_wake_word and was_called:
                    self._earcons.play("done")

    async def _on_reply_finished(self, event: e.Event) -> None:
        wait_s = 0.0
        if self.state is State.SPEAKING:
            await self._turns.end()  # then the ringer knows what was heard
            wait_s = self._follow_up.choose(self.pipeline.settings.conversation.follow_up_ms / 1000)
        await self._settle(e.FollowUpOpened() if wait_s else event)
        if wait_s and self._machine.state is State.LISTENING:
            self._timeout.begin(wait_s)
            self._follow_up.begun()

    async def _announce(self, event: e.Event, text: str) -> None:
        """Say something unasked, unless someone is speaking. If muted, it stays muted."""
        if self._follow_up.only_commands and not self._follow_up.may_hear_command:
            self._timeout.end()
            await self._settle(e.NothingSaid())
        if "speaker" in self.outages:
            self.ringer.unheard(text)
        elif self.state is State.MUTED or self._fire(event):
            await self._turns.end()
            self.ringer.announced(text)
            self._turns.announce(text)

    async def _on_mute_button(self, event: e.Event) -> None:
        await self._listener.close()
        self.outages.found("microphone")  # opening it shows whether there is one
        if (turn := self._turns.at_work) and turn.announced:  # ringing continues
            self._fire(event)
            self._fire(e.Announced(""))
        else:
            await self._settle(event)
        log.info("state=%s muted=%s", self.state.value, "yes" if self.state is State.MUTED else "no")
        if self.state is State.MUTED:
            self._earcons.play("muted")
        else:
            self._listener.open()

    async def _on_fault(self, error: Exception) -> None:
        """Handle a fault: it can't listen anymore, but finishes what it is saying or about to say."""
        part: Part = "engine" if isinstance(error, EngineError) else "microphone"
        await self._listener.close()
        if self.state is State.MUTED and part == "microphone":
            return  # it was closed meanwhile
        self._fault_untold |= self.outages.lost(part, error)
        if self.state is State.MUTED:
            await self._turns.end()
        elif self.state is not State.SPEAKING and (self.state is not State.THINKING or part == "engine"):
            await self._turns.end()
            self._fire(e.Faulted(error))
        if "engine" not in self.outages:
            self._listener.reopen()  # but a hung engine can't be recovered here: the watchdog decides

    def _adopt(self, new: Adopt) -> None:
        """Adopt between two turns; the detectors are replaced only while nobody speaks."""
        begins = self.state is State.SLEEPING and self._listener.endpointer.has_utterance
        is_quiet = not begins and (not new.hearing or self._listener.quiet_s > _LETS_GO_S)
        if not (is_quiet and self._turns.none and self._queue.empty() and self.state in BETWEEN_TURNS):
            asyncio.get_running_loop().call_later(_LETS_GO_S, self.post, new)
        elif new.take_over():
            self.pipeline, self._earcons.sounds = new.pipeline, new.earcons
            self._turns.adopt(new.pipeline)
            self.ringer.limit_s = new.pipeline.settings.conversation.ring_limit_s
            self._listener.adopt(new.pipeline.settings, new.hearing)
            self._attend()

    async def _rescan(self, missing: Kind) -> None:
        """Look for connected devices, which closes the others for a moment: only during silence."""
        is_silent = self._turns.none and not self._earcons.sounding and self._listener.quiet_s > _LETS_GO_S
        if is_silent and self.state in (State.STARTING, *BETWEEN_TURNS):
            await self._rescan_devices(missing)

    def _fire(self, event: e.Event) -> bool:
        """Change the state according to the table; an event that came too late has no effect."""
        before, target = self.state, self._machine.target(type(event))
        event = self.outages.instead_of(event, before, target)
        if self._machine.target(type(event)) is None:
            log.debug("state=%s event=%s came too late", before.value, type(event).__name__)
            return False
        state = self._machine.fire(event)
        if state is before:
            return True
        if state is State.FAULTED and self._fault_untold:
            self._fault_untold = False
            self._earcons.play("error")
        for observer in self._observers:
            observer(event, state)
        self._attend()
        if state in (State.SLEEPING, State.SPEAKING):
            self._listener.endpointer.reset()
        if state not in HEARING:
            self._turns.stop_reading()
        if state not in (*HEARING, State.THINKING):
            self._follow_up.answer_all()
            self._timeout.end()
            self._earcons.forget()
        return True

    def _attend(self) -> None:
        turn, settings = self._turns.at_work, self.pipeline.settings.conversation
        by = self.interruptions.by(settings, already_false=turn.report.resumed if turn else 0)
        self._listener.attend(self.state, by, only_commands=self._follow_up.only_commands)

    async def _settle(self, event: e.Event) -> None:
        """End the current turn, if any, and change the state for ``event``."""
        if self._machine.target(type(event)):
            await self._turns.end()
            self._fire(event)
            self._listener.endpointer.reset()
        elif self.state is State.MUTED:
            await self._turns.end()
