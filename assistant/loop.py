"""Event queue -> state machine -> actions. The only owner of the state.

``_hear`` turns frames into events; turns and callers post theirs; ``run`` takes them one at a
time, fires the machine and acts. Nothing here blocks and nothing else fires the machine.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing, suppress

from assistant import events as e
from assistant.audio import Microphone
from assistant.completeness import required_silence_ms
from assistant.endpoint import Endpointer
from assistant.engines import Vad
from assistant.errors import AssistantError
from assistant.report import Report
from assistant.skills import Action, Forget, Match, Mute, Volume
from assistant.state import State, StateMachine
from assistant.turn import Chain, Turn
from assistant.types import AudioFrame, Transcript, Utterance

log = logging.getLogger(__name__)

_RETRY_FIRST_S, _RETRY_LAST_S = 0.5, 30.0
"""Waits before a lost device is tried again: doubled each time, as a re-plugged one is back in seconds."""


class VoiceLoop:
    """One appliance: ears, a chain, and what it is doing.

    ``rescan`` is called between closing lost devices and opening them again. ``on_report`` gets
    the report of each turn that ended, answered or not.
    """

    def __init__(
        self,
        *,
        microphone: Microphone,
        vad: Vad,
        chain: Chain,
        on_report: Callable[[Report], None],
        rescan: Callable[[], None] = lambda: None,
    ) -> None:
        self._microphone = microphone
        self._vad = vad
        self._chain = chain
        self._settings = chain.settings
        self._on_report = on_report
        self._rescan = rescan
        self._machine = StateMachine()
        self._endpointer = Endpointer(self._settings.endpoint)
        self._queue: asyncio.Queue[e.Event | None] = asyncio.Queue()
        self._turn: Turn | None = None
        self._turns = 0
        self._last_reply = ""
        self._last_turn_s = 0.0
        self._hearing: asyncio.Task[None] | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._retry_s = _RETRY_FIRST_S
        self._last_activity_s = 0.0

    @property
    def state(self) -> State:
        return self._machine.state

    def post(self, event: e.Event) -> None:
        """Report an event from the loop's thread; it is handled after those before it."""
        self._queue.put_nowait(event)

    async def run(self) -> None:
        """Live until the microphone's recording is over, or cancelled.

        Raises the AudioError that made starting impossible; later ones are recovered from.
        """
        self._hearing = asyncio.ensure_future(self._hear())
        try:
            while (event := await self._queue.get()) is not None:
                await self._handle(event)
        finally:
            await self._stop_hearing()
            await self._drop_turn()
            self._chain.speaker.close()

    async def idle(self, quiet_s: float) -> None:
        """Wait until nothing has been said by anybody for ``quiet_s`` seconds."""
        now = asyncio.get_running_loop().time
        self._last_activity_s = now()
        while self._busy() or now() - self._last_activity_s < quiet_s:  # noqa: ASYNC110 - a span, no event
            await asyncio.sleep(0.05)

    def _busy(self) -> bool:
        busy = self._turn is not None or self._endpointer.in_speech or not self._queue.empty()
        if busy or self.state in (State.STARTING, State.FAULTED):
            self._last_activity_s = asyncio.get_running_loop().time()
            return True
        return False

    # Hearing: frames -> events

    async def _hear(self) -> None:
        """Open the devices and listen until the recording ends or a device fails."""
        try:
            self._vad.reset()
            self._endpointer.reset()
            self._chain.speaker.open()
            async with aclosing(self._microphone.frames()) as frames:
                first = await anext(frames, None)
                self._retry_s = _RETRY_FIRST_S
                if self.state is State.STARTING:
                    self.post(e.Ready())
                elif self.state is State.FAULTED:
                    self.post(e.Recovered())
                if first:
                    self._hear_frame(first)
                async for frame in frames:
                    self._hear_frame(frame)
            self._queue.put_nowait(None)
        except Exception as error:  # noqa: BLE001 - whatever stops the ears must reach the loop
            self.post(e.Faulted(error))

    async def _hear_again(self) -> None:
        """Look for devices that went away, ever less often."""
        self._chain.speaker.close()
        await asyncio.sleep(self._retry_s)
        self._retry_s = min(2 * self._retry_s, _RETRY_LAST_S)
        self._rescan()
        await self._hear()

    def _hear_frame(self, frame: AudioFrame) -> None:
        if self.state is State.SPEAKING and self._settings.conversation.interruption == "off":
            return
        probability = self._vad.speech_probability(frame.pcm)
        event = self._endpointer.push(frame, is_speech=probability >= self._settings.vad.threshold)
        if event:
            self.post(event)

    # Handling: events -> state and actions

    async def _handle(self, event: e.Event) -> None:
        log.debug("state=%s event=%s", self.state.value, type(event).__name__)
        match event:
            case e.SpeechStarted():
                await self._on_speech_started()
            case e.SpeechPaused(utterance=utterance):
                if self.state is State.LISTENING and self._settings.conversation.speculate:
                    await self._begin(utterance)
            case e.SpeechResumed():
                await self._on_speech_resumed()
            case e.TurnEnded(utterance=utterance):
                await self._on_turn_ended(utterance)
            case e.ReplyStarted():
                self._machine.fire(event)
                self._endpointer.reset()
            case e.ReplyFinished() if self._settings.conversation.follow_up_ms:
                await self._settle(e.FollowUpOpened())
                self._be_patient(self._settings.conversation.follow_up_ms)
            case e.NothingSaid() | e.ReplyFinished() | e.ReplyRefused() | e.Stopped():
                await self._settle(event)
            case e.Muted():
                await self._stop_hearing()
                await self._settle(event)
            case e.Unmuted():
                self._machine.fire(event)
                self._hearing = asyncio.ensure_future(self._hear())
            case e.Faulted(error=error):
                await self._on_fault(event, error)
            case _:
                self._machine.fire(event)

    async def _on_speech_started(self) -> None:
        self._lose_patience()
        if self.state is State.SLEEPING and self._settings.wake.engine == "none":
            self._machine.fire(e.Woken(by="speech"))
        elif self.state is State.SPEAKING:
            await self._drop_turn()
            self._machine.fire(e.BargedIn())

    async def _on_speech_resumed(self) -> None:
        if self.state in (State.LISTENING, State.THINKING):
            await self._drop_turn(report=False)
        if self.state is State.THINKING:
            self._machine.fire(e.SpeechResumed())

    async def _on_turn_ended(self, utterance: Utterance) -> None:
        if self.state is not State.LISTENING:
            return
        self._machine.fire(e.TurnEnded(utterance))
        if self._turn is None:
            await self._begin(utterance)
        if self._turn is not None:
            self._turn.release(utterance)

    async def _on_fault(self, event: e.Event, error: Exception) -> None:
        if self.state is State.STARTING:
            raise error
        log.error(
            "state=%s fault=%s", self.state.value, error, exc_info=not isinstance(error, AssistantError)
        )
        await self._drop_turn()
        await self._stop_hearing()
        if self._machine.allows(e.Faulted):
            self._machine.fire(event)
        if self.state is State.FAULTED:
            self._hearing = asyncio.ensure_future(self._hear_again())

    async def _begin(self, utterance: Utterance) -> None:
        await self._drop_turn(report=False)
        quiet_s = asyncio.get_running_loop().time() - self._last_turn_s
        if quiet_s > self._settings.conversation.forget_after_s:
            self._chain.conversation.forget()
        turn = Turn(
            utterance,
            self._chain,
            number=self._turns + 1,
            last_reply=self._last_reply,
            post=self.post,
            on_transcript=self._on_transcript,
        )
        self._turn = turn
        turn.start()

    def _on_transcript(self, transcript: Transcript, match: Match | None) -> None:
        """The words are known while the person pauses: wait as long as they ask for."""
        self._endpointer.required_silence_ms = required_silence_ms(
            transcript.text,
            matched=match is not None and not match.ends_open,
            language=transcript.language,
            settings=self._settings.endpoint,
        )

    async def _settle(self, event: e.Event) -> None:
        """End the turn, if there is one, and go where ``event`` leads; too late, it leads nowhere."""
        if not self._machine.allows(type(event)):
            return
        self._lose_patience()
        await self._drop_turn()
        self._endpointer.reset()
        self._machine.fire(event)

    def _be_patient(self, wait_ms: int) -> None:
        """Give the person ``wait_ms`` to begin to speak."""
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(wait_ms / 1000, self.post, e.NothingSaid())

    def _lose_patience(self) -> None:
        if self._patience:
            self._patience.cancel()
            self._patience = None

    async def _drop_turn(self, *, report: bool = True) -> None:
        turn, self._turn = self._turn, None
        if turn is None:
            return
        await turn.cancel()
        if report:
            self._turns += 1
            self._last_turn_s = asyncio.get_running_loop().time()
            self._last_reply = turn.report.heard or self._last_reply
            self._log(turn.report)
            self._on_report(turn.report)
            if turn.report.outcome and turn.report.outcome.action:
                self._carry_out(turn.report.outcome.action)

    def _carry_out(self, action: Action) -> None:
        """What a skill asks of the appliance, once its answer has been heard."""
        match action:
            case Mute():
                self.post(e.Muted())
            case Forget():
                self._chain.conversation.forget()
            case Volume(level=level):
                self._chain.speaker.volume = level

    async def _stop_hearing(self) -> None:
        if self._hearing is not None:
            self._hearing.cancel()
            with suppress(asyncio.CancelledError):
                await self._hearing

    def _log(self, report: Report) -> None:
        log.info(
            "turn=%d handled_by=%s refused=%s error=%s interrupted=%s %s",
            report.number,
            report.handled_by,
            report.refused or "-",
            report.error or "-",
            report.interrupted,
            " ".join(f"{name}_ms={ms}" for name, ms in report.latency_ms().items()),
        )
        if self._settings.privacy.log_transcripts:
            log.info("turn=%d transcript=%r reply=%r", report.number, report.transcript, report.heard)
