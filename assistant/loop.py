"""Event queue -> state machine -> actions. The only owner of the state.

Ears, turns, the ringer and callers post events; ``run`` takes them one at a time, fires the
machine and acts. Nothing here blocks and nothing else fires the machine.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from assistant import actions
from assistant import events as e
from assistant.attention import attention_in, interruption_by
from assistant.audio import Kind, Microphone, nothing_plugs_in
from assistant.chain import Chain
from assistant.completeness import required_silence_ms
from assistant.earcons import Earcon, Earcons
from assistant.ears import Ears, Hearing
from assistant.engines import Vad, WakeWord
from assistant.errors import AudioError, EngineError
from assistant.outages import MISSING, Outages, Part
from assistant.patience import Patience
from assistant.report import Report
from assistant.ringer import Ringer
from assistant.skills import Action, Match
from assistant.speaker_watch import SpeakerWatch
from assistant.state import State, StateMachine
from assistant.turn import Turn
from assistant.turns import Turns
from assistant.types import SpokenAudio, Transcript, Utterance

log = logging.getLogger(__name__)

_LETS_GO_S = 0.25
"""Whoever is silent for so long after the wake word waits for a sign; between words it is less."""

_QUIET_S = 0.5
"""No sound like speech for so long, and a microphone may be closed for a moment."""


class VoiceLoop:
    """One appliance: ears, a speaker, a chain, and what it is doing.

    Without a ``wake_word`` any speech wakes it. ``hears_itself`` says that no canceller keeps its voice
    from its ears. ``on_report`` gets the report of each turn that ended, answered or not; ``on_change``
    each event that led to another state, and that state; ``on_outage`` is called when something is lost or
    found (``outages``).
    """

    def __init__(
        self,
        *,
        microphone: Microphone,
        vad: Vad,
        wake_word: WakeWord | None,
        chain: Chain,
        ringer: Ringer,
        earcons: Mapping[Earcon, SpokenAudio],
        hears_itself: bool,
        on_report: Callable[[Report], None],
        on_change: Callable[[e.Event, State], None] = lambda *_: None,
        on_outage: Callable[[], None] = lambda: None,
        rescan: Callable[[Kind], Awaitable[None]] = nothing_plugs_in,
    ) -> None:
        self._chain = chain
        self._ringer = ringer
        self._on_report = on_report
        self._on_change = on_change
        self.outages = Outages(on_outage)
        self._fault_untold = False
        self._machine = StateMachine()
        self._queue: asyncio.Queue[e.Event] = asyncio.Queue()
        self._ears = Ears(
            microphone=microphone,
            vad=vad,
            wake_word=wake_word,
            settings=chain.settings,
            post=self.post,
            rescan=self._rescan,
        )
        self._rescan_devices = rescan
        self._speaker_watch = SpeakerWatch(chain.speaker, post=self.post, rescan=self._rescan)
        self._earcons = Earcons(chain.speaker, earcons, on_sound=self._ears.hold_judgement)
        self._patience = Patience(lambda: self.post(e.NothingSaid()))
        self._hears_itself = hears_itself
        self._turns = Turns(
            chain,
            post=self.post,
            on_transcript=self._on_transcript,
            on_refusal=self._wait_for_the_rest,
            on_end=self._on_end,
        )
        self._busy_until_s = 0.0

    @property
    def state(self) -> State:
        return self._machine.state

    @property
    def chain(self) -> Chain:
        """The engines at work, for who measures them."""
        return self._chain

    def post(self, event: e.Event) -> None:
        """Report an event from the loop's thread; it is handled after those before it."""
        self._queue.put_nowait(event)

    def adopt(self, chain: Chain, earcons: Mapping[Earcon, SpokenAudio], hearing: Hearing | None) -> None:
        """Work with these, and with the chain's settings, from the next turn on; None keeps the hearing."""
        self._chain = chain
        self._turns.adopt(chain)
        self._earcons.sounds = earcons
        self._ringer.limit_s = chain.settings.conversation.ring_limit_s
        self._ears.adopt(chain.settings, hearing)
        self._attend()

    @property
    def kept(self) -> dict[str, object]:
        """What a process that replaces this one goes on with: the conversation, and what nobody could hear."""
        volume = self._chain.speaker.volume
        return {"turns": self._turns.kept, "unheard": self._ringer.kept, "volume": volume}

    def take_up(self, kept: Mapping[str, Any]) -> None:
        """Go on with what another process has ``kept``, if there was one."""
        if kept:
            self._turns.take_up(kept["turns"])
            self._ringer.take_up(**kept["unheard"])
            self._chain.speaker.volume = kept["volume"]

    async def run(self) -> None:
        """Live until the microphone's recording is over, or cancelled.

        Raises what made starting impossible; a microphone or a speaker that is missing does not.
        """
        beside = [
            asyncio.ensure_future(self._speaker_watch.watch()),
            asyncio.ensure_future(self._ringer.watch(self.post)),
        ]
        self._ears.open()
        try:
            while not isinstance(event := await self._queue.get(), e.RecordingEnded):
                await self._handle(event)
        finally:
            for job in beside:
                job.cancel()
            await self._ears.close()
            await self._turns.end()
            self._chain.speaker.close()

    async def idle(self, quiet_s: float) -> None:
        """Wait until nothing has been said by anybody for ``quiet_s`` seconds."""
        now = asyncio.get_running_loop().time
        self._busy_until_s = now()
        while self._busy() or now() - self._busy_until_s < quiet_s:  # noqa: ASYNC110 - a span, not an event
            await asyncio.sleep(0.05)

    def _busy(self) -> bool:
        talking = not self._turns.none or self._ears.endpointer.in_speech or not self._queue.empty()
        if busy := talking or self.state in (State.STARTING, State.FAULTED):
            self._busy_until_s = asyncio.get_running_loop().time()
        return busy

    # Events

    async def _handle(self, event: e.Event) -> None:  # noqa: PLR0912 - a branch for each kind of event
        log.debug("state=%s event=%s", self.state.value, type(event).__name__)
        match event:
            case e.Woken():
                await self._on_woken(event)
            case e.SpeechStarted():
                await self._on_speech_started()
            case e.SpeechGoesOn() | e.SpeechPaused():
                await self._on_speech(event)
            case e.SpeechResumed():
                await self._on_speech_resumed(event)
            case e.TurnEnded(utterance=utterance):
                await self._on_turn_ended(event, utterance)
            case e.ReplyFinished():
                await self._on_reply_finished(event)
            case e.NothingSaid() | e.ReplyRefused():
                await self._on_no_words(event)
            case e.Stopped():
                await self._settle(event)
            case e.Announced(text=text):
                await self._announce(event, text)
            case e.Muted() | e.Unmuted():
                await self._on_mute_button(event)
            case e.Ready():
                self.outages.found("microphone")
                log.info("state=%s microphone=heard", self.state.value)
                self._fire(event)
            case e.Faulted(error=error):
                await self._on_fault(error)
            case e.SpeakerLost(error=error):
                if self.state is State.STARTING and not isinstance(error, MISSING):
                    raise error
                self.outages.lost("speaker", error)
            case e.SpeakerFound():
                self.outages.found("speaker")
            case e.Probed(handled=handled):
                handled()
            case _:
                self._fire(event)

    async def _on_woken(self, event: e.Woken) -> None:
        log.info("state=%s woken_by=%s", self.state.value, event.by)
        if self.state is State.SPEAKING:
            await self._turns.end()
            self._fire(e.BargedIn())
        elif not self._fire(event):
            return
        if self.state is not State.LISTENING:
            return  # somebody pressed a button, but there is no microphone
        self._patience.begin(self._chain.settings.endpoint.listen_timeout_ms / 1000)
        self._earcons.play_when("wake", lambda: self._ears.quiet_s >= _LETS_GO_S)

    async def _on_speech_started(self) -> None:
        if not self._ears.endpointer.has_utterance:
            return  # it was forgotten meanwhile, and nothing would tell of its end
        self._patience.pause()
        self._earcons.forget()
        if self.state is State.SLEEPING and not self._ears.has_wake_word:
            self._fire(e.Woken(by="speech"))
        elif self.state is State.SPEAKING:
            self._turns.hold()
            self._fire(e.BargedIn())

    async def _on_speech(self, event: e.SpeechGoesOn | e.SpeechPaused) -> None:
        """Work ahead, if anybody is listened to at all."""
        if self.state is not State.LISTENING:
            return
        if isinstance(event, e.SpeechGoesOn):
            self._turns.read_ahead(event.utterance)
        elif self._chain.settings.conversation.speculate:
            await self._turns.begin(event.utterance)

    async def _on_speech_resumed(self, event: e.Event) -> None:
        if self.state is State.THINKING and self._turns.has_acted:
            # It must not be done again with what is said now, which may be only a cough.
            self._turns.hold()
            self._ears.endpointer.forget_before()
            self._fire(event)
        elif self.state in (State.LISTENING, State.THINKING):
            await self._turns.discard()
            self._fire(event)

    async def _on_turn_ended(self, event: e.Event, utterance: Utterance) -> None:
        if not self._fire(event):
            return
        if self._turns.at_work is None:
            await self._turns.begin(utterance)
        if self._turns.at_work is not None:
            self._turns.at_work.release(utterance)

    async def _on_no_words(self, event: e.Event) -> None:
        """Noise is no reason to end an answer, nor the time that a person has to begin."""
        if isinstance(event, e.ReplyRefused) and self.state is not State.THINKING:
            return  # too late: the person goes on
        if self._turns.can_resume and self._fire(e.AnswerResumed()):
            try:
                await self._turns.resume()
            except AudioError as error:  # the speaker was pulled while the answer was held
                self.post(e.SpeakerLost(error))
                self.post(e.Stopped())
        elif self.state in (State.LISTENING, State.THINKING) and self._patience.resume():
            await self._turns.end()
            if self.state is State.THINKING:
                self._fire(e.FollowUpOpened())
            self._ears.endpointer.reset()
        elif self._machine.allows(type(event)):
            await self._settle(event)
            if self._ears.has_wake_word:
                self._earcons.play("done")

    async def _on_reply_finished(self, event: e.Event) -> None:
        wait_ms = self._chain.settings.conversation.follow_up_ms
        if wait_ms and self.state is State.SPEAKING:
            await self._settle(e.FollowUpOpened())
            if self.state is State.LISTENING:
                self._patience.begin(wait_ms / 1000)
        else:
            await self._settle(event)

    async def _announce(self, event: e.Event, text: str) -> None:
        """Say something unasked, unless somebody talks. Muted, it stays so."""
        if "speaker" in self.outages:
            self._ringer.unheard(text)
        elif self.state is State.MUTED or self._fire(event):
            await self._turns.end()
            self._ringer.announced(text)
            self._turns.announce(text)

    async def _on_mute_button(self, event: e.Event) -> None:
        if not self._machine.allows(type(event)):
            return
        await self._ears.close()
        self.outages.found("microphone")  # whether there is one shows when it is opened
        await self._settle(event)
        log.info("state=%s muted=%s", self.state.value, "yes" if self.state is State.MUTED else "no")
        if self.state is State.SLEEPING:
            self._ears.open()
        else:
            self._earcons.play("muted")

    async def _on_fault(self, error: Exception) -> None:
        """It cannot listen any more. What it says, or is about to say, is heard to its end first."""
        if self.state is State.STARTING and not isinstance(error, MISSING):
            raise error
        part: Part = "engine" if isinstance(error, EngineError) else "microphone"
        await self._ears.close()
        if self.state is State.MUTED and part == "microphone":
            return  # it was closed meanwhile
        if self.outages.lost(part, error):
            self._fault_untold = True
        if self.state is State.MUTED:
            await self._turns.end()
        elif self.state is not State.SPEAKING and (self.state is not State.THINKING or part == "engine"):
            await self._turns.end()
            self._fire(e.Faulted(error))
        if "engine" not in self.outages:
            self._ears.reopen()  # but nothing gives an engine back that hangs: the watchdog decides

    async def _rescan(self, missing: Kind) -> None:
        """Look for devices that were plugged in, which closes the others for a moment: only in silence."""
        is_free = self.state in (State.STARTING, State.SLEEPING, State.MUTED, State.FAULTED)
        if is_free and self._turns.none and not self._earcons.sounding and self._ears.quiet_s > _QUIET_S:
            await self._rescan_devices(missing)

    # Actions

    def _fire(self, event: e.Event) -> bool:
        """Go where the table leads; an event that came too late leads nowhere."""
        event = self.outages.instead_of(event, self.state)
        if not self._machine.allows(type(event)):
            log.debug("state=%s event=%s came too late", self.state.value, type(event).__name__)
            return False
        state = self._machine.fire(event)
        if state is State.FAULTED and self._fault_untold:
            self._fault_untold = False
            self._earcons.play("error")
        self._on_change(event, state)
        self._attend()
        if state in (State.SLEEPING, State.SPEAKING):
            self._ears.endpointer.reset()
        if state is not State.LISTENING:
            self._turns.stop_reading()
        if state not in (State.LISTENING, State.THINKING):
            self._patience.end()
            self._earcons.forget()
        return True

    def _attend(self) -> None:
        by = interruption_by(self._chain.settings.conversation.interruption, hears_itself=self._hears_itself)
        has_word = self._ears.has_wake_word
        self._ears.attention = attention_in(self.state, has_wake_word=has_word, interruption=by)

    async def _settle(self, event: e.Event) -> None:
        """End the turn, if there is one, and go where ``event`` leads."""
        if self._machine.allows(type(event)):
            await self._turns.end()
            self._fire(event)
            self._ears.endpointer.reset()
        elif self.state is State.MUTED:
            await self._turns.end()

    def _on_transcript(self, transcript: Transcript, match: Match | None) -> None:
        """The words are known while the person pauses: wait as long as they ask for."""
        if match and match.asks_back:
            self._wait_for_the_rest()
        else:
            self._ears.endpointer.required_silence_ms = required_silence_ms(
                transcript,
                matched=match is not None and not match.ends_open,
                settings=self._chain.settings.endpoint,
            )

    def _wait_for_the_rest(self) -> None:
        """As it is, it gets no answer that somebody waits for: it may be the beginning of one that does."""
        self._ears.endpointer.required_silence_ms = self._chain.settings.endpoint.unfinished_ms

    def _on_end(self, turn: Turn) -> None:
        report = turn.report
        report.log(with_words=self._chain.settings.privacy.log_transcripts)
        self._on_report(report)
        self.carry_out(report.outcome.action if report.outcome else None)
        self._note_rung(turn)
        if report.sign and not turn.heard_ms:
            self._earcons.play(report.sign)

    def carry_out(self, action: Action | None) -> None:
        """What a skill asks of the appliance, whoever called it."""
        for turn in self._turns.alive:
            self._note_rung(turn)
        actions.carry_out(action, self._chain, self._ringer, self.post)

    def _note_rung(self, turn: Turn) -> None:
        if turn.announced and turn.heard_ms:
            self._ringer.heard(turn.sounded_text)
        if turn.announced and turn.is_lost:
            self._ringer.unheard(turn.announced)
        elif turn.announced and turn.done and not turn.report.interrupted:
            self._ringer.heard_out()
