"""The control API: commands to the running assistant, from its socket, a signal or a button.

A command is a mapping with its name in ``order``; the answer is a mapping too. Commands become events like
everything else: the loop alone decides what they do, and a command is answered when it has taken effect.
Sockets are in ``server``. ``MuteMark`` preserves the command "mute" across a crash.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from assistant import __version__
from assistant.board.shortage import Shortages
from assistant.core import events as e
from assistant.core.errors import EngineTimeout, OrderInvalid, OrderRefused
from assistant.core.state import BETWEEN_TURNS, HEARING, State
from assistant.dialog.loop import VoiceLoop
from assistant.dialog.outages import told
from assistant.dialog.pipeline import Answer
from assistant.dialog.report import Report
from assistant.settings.schema import Settings
from assistant.skills import Stop

log = logging.getLogger(__name__)

Document = Mapping[str, object]

_LED_THERE_WITHIN_S = 5.0
"""Events take effect at once; closing a microphone may take PortAudio a second or two."""

_FREE_WITHIN_S = 30.0
"""How long an announcement or a typed question waits for a spoken turn to end."""

_MAX_TEXT = 2000
"""In characters; two minutes of speech."""


class ControlApi:
    """Accepts commands as soon as it exists; those that need the loop, once it is attached."""

    def __init__(self, settings: Settings, shortages: Shortages | None = None) -> None:
        self._settings = settings
        self._shortages = shortages or Shortages()
        self._loop: VoiceLoop | None = None
        self._reload: Callable[[], Awaitable[Document]] | None = None
        self._is_ringing: Callable[[], bool] = lambda: False
        self._began_s = asyncio.get_running_loop().time()
        self._change: tuple[e.Event | None, State] = (None, State.STARTING)
        self._changed = asyncio.Event()
        self._mute_when_ready = False
        self._turns = 0
        self._last_reply = ""
        self._last_fault: tuple[float, str, str] | None = None
        self._noted: Exception | None = None
        self._answering: tuple[Answer, asyncio.Task[Report]] | None = None
        self._one_at_a_time = asyncio.Lock()
        self._orders: dict[str, Callable[[Document], Awaitable[Document]]] = {
            "status": self._status,
            "mute": self._mute,
            "unmute": self._unmute,
            "say": self._say,
            "ask": self._ask,
            "stop": self._stop,
            "reload": self._reloaded,
            "listen": self._listen,
        }

    @property
    def settings(self) -> Settings:
        """The current settings, which may change while it runs."""
        return self._loop.pipeline.settings if self._loop else self._settings

    @property
    def state(self) -> State:
        return self._change[1]

    def attach(
        self, voice_loop: VoiceLoop, reload: Callable[[], Awaitable[Document]], is_ringing: Callable[[], bool]
    ) -> None:
        """Attach the loop, whose engines are warm: from now on every command works."""
        self._loop, self._reload, self._is_ringing = voice_loop, reload, is_ringing
        if self._mute_when_ready:
            voice_loop.post(e.Muted())

    def on_change(self, event: e.Event, state: State) -> None:
        """Record that ``event`` led to ``state``."""
        self._change = (event, state)
        if isinstance(event, e.Faulted) and event.error is not self._noted:
            self._noted = event.error  # each announcement leads back to it
            self._note_fault(event.error)
        is_spoken_to = state in (*HEARING, State.THINKING) and not isinstance(event, e.FollowUpOpened)
        if self._answering and is_spoken_to:
            answer, job = self._answering
            if not answer.has_acted:  # or else, asked again, it would do it twice
                job.cancel()  # a speaker has priority
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def on_report(self, report: Report) -> None:
        """Record a finished turn."""
        self._turns += 1
        self._last_reply = report.heard or self._last_reply
        if report.error:
            self._last_fault = (self._now_s(), report.error, f"Turn {report.number} failed.")

    async def obey(self, order: Document) -> Document:
        """Carry out the command. Raises AssistantError if that is impossible."""
        name = str(order.get("order"))
        if name not in self._orders:
            raise OrderInvalid(
                f"'{name}' is not a command.", f"Commands: {', '.join((*self._orders, 'watch'))}."
            )
        return await self._orders[name](order)

    def toggle_mute(self) -> None:
        """Close the microphone, or open it again (the mute button)."""
        if self._loop:
            self._loop.post(e.Unmuted() if self.state is State.MUTED else e.Muted())
        else:
            self._mute_when_ready = not self._mute_when_ready

    @property
    def is_answering(self) -> bool:
        """True while a typed question is being answered."""
        return self._answering is not None

    def press(self) -> None:
        """Stop what is in progress, or else listen (the talk button)."""
        if self._loop is None:
            return
        if self._is_ringing() or self.state in (*HEARING, State.THINKING, State.SPEAKING):
            _hush(self._loop)
        else:
            self._loop.post(e.Woken(by="button", by_hand=True))

    # Commands

    async def _status(self, _: Document) -> Document:
        now_s = self._now_s()
        fault = self._last_fault
        return {
            "state": self.state.value,
            "version": __version__,
            "pid": os.getpid(),
            "uptime_s": round(now_s - self._began_s, 1),
            "turns": self._turns,
            "last_fault": fault
            and {"ago_s": round(now_s - fault[0], 1), "code": fault[1], "problem": fault[2]},
            "missing": self._loop.outages.document if self._loop else {},
            "gives_up": self._shortages.gives_up,
            "interruption": self._loop and self._loop.interruptions.document(self.settings.conversation),
            "models": {kind: getattr(self.settings, kind).model for kind in ("stt", "llm", "tts")},
        }

    async def _mute(self, _: Document) -> Document:
        if self._loop is None:
            self._mute_when_ready = True
        elif self.state is not State.MUTED:
            self._loop.post(e.Muted())
            await self._arrive((State.MUTED,))
        return {"state": self.state.value}

    async def _unmute(self, _: Document) -> Document:
        self._mute_when_ready = False
        if self._loop and self.state is State.MUTED:
            self._loop.post(e.Unmuted())
            await self._arrive(set(State) - {State.MUTED})
        return {"state": self.state.value}

    async def _stop(self, _: Document) -> Document:
        """Stop everything in progress: the command that always works."""
        voice_loop = self._running()
        _hush(voice_loop)
        await self._handled()
        return {"state": self.state.value}

    async def _listen(self, _: Document) -> Document:
        """Start listening, as after the wake word."""
        voice_loop = self._running()
        if self.state is State.MUTED:
            raise OrderRefused("The microphone is muted.", "Run `assistant ctl unmute` first.")
        if self.state is State.FAULTED or "microphone" in voice_loop.outages:
            raise OrderRefused("There is no microphone.", "Run `assistant doctor` to find out why.")
        voice_loop.post(e.Woken(by="order", by_hand=True))
        await self._arrive((State.LISTENING,))
        return {"state": self.state.value}

    async def _say(self, order: Document) -> Document:
        is_said = await self._announce(_text(order))
        return {"state": self.state.value, "said": is_said}

    async def _ask(self, order: Document) -> Document:
        voice_loop = self._running()
        question, aloud = _text(order), order.get("speak", False)
        if not isinstance(aloud, bool):
            raise OrderInvalid("'speak' must be true or false.", "Leave it out for a written answer only.")
        async with self._one_at_a_time:
            await self._until(BETWEEN_TURNS, _FREE_WITHIN_S)
            report = await self._answered(voice_loop, question)
        voice_loop.carry_out(report.outcome.action if report.outcome else None)
        if aloud and report.reply and "speaker" not in voice_loop.outages:
            await self._announce(report.reply)
        return {"reply": report.reply, "handled_by": report.handled_by}

    async def _reloaded(self, _: Document) -> Document:
        self._running()
        assert self._reload is not None  # noqa: S101 - it came with the loop
        return await self._reload()

    # Waiting for the effect

    async def _answered(self, voice_loop: VoiceLoop, question: str) -> Report:
        limit_s = 2 * voice_loop.pipeline.settings.conversation.turn_timeout_s
        answer = voice_loop.pipeline.answer(question)
        answer.last_reply = self._last_reply
        job = asyncio.ensure_future(voice_loop.pipeline.answer_in_writing(answer))
        self._answering = answer, job
        try:
            await asyncio.wait({job}, timeout=limit_s)
            if not job.done():
                raise EngineTimeout(
                    f"There was no answer within {limit_s:g} s.",
                    "Choose a smaller model, or raise conversation.turn_timeout_s.",
                )
            with suppress(asyncio.CancelledError):
                return job.result()
            raise OrderRefused("Someone started speaking, which has priority.", "Ask again.")
        finally:
            self._answering = None
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)

    async def _announce(self, text: str) -> bool:
        """Return True when it is being said, or False without a speaker: then it is said once there is one.

        Waits for a turn that someone starts in the meantime.
        """
        event, voice_loop = e.Announced(text), self._running()
        while True:
            await self._until(BETWEEN_TURNS, _FREE_WITHIN_S)
            voice_loop.post(event)
            await self._handled()
            if self._change[0] is event or self.state is State.MUTED or "speaker" in voice_loop.outages:
                return "speaker" not in voice_loop.outages

    async def _handled(self) -> None:
        """Wait until the loop has handled everything posted before."""
        handled = asyncio.Event()
        self._running().post(e.Probed(handled.set))
        waiting = asyncio.ensure_future(handled.wait())
        await asyncio.wait({waiting}, timeout=_LED_THERE_WITHIN_S)
        if not waiting.done():
            waiting.cancel()
            raise OrderRefused(
                "The assistant is not responding.", "Check its log. Its watchdog will restart the service."
            )

    async def _arrive(self, states: Collection[State]) -> None:
        await self._until(states, _LED_THERE_WITHIN_S)

    async def _until(self, states: Collection[State], within_s: float) -> None:
        """Wait for one of these states. Raises OrderRefused if none occurs in time."""
        now = asyncio.get_running_loop().time
        end_s = now() + within_s
        while self.state not in states:
            changing = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait({changing}, timeout=max(0.0, end_s - now()))
            changing.cancel()
            if now() >= end_s:
                raise OrderRefused(
                    f"The assistant is {self.state.value} and can't do that right now.", "Try again later."
                )

    def _running(self) -> VoiceLoop:
        if self._loop is None or self.state is State.STARTING:
            raise OrderRefused("The assistant is still starting.", "Try again in a few seconds.")
        return self._loop

    def _note_fault(self, error: Exception) -> None:
        fault = told(error)
        self._last_fault = (self._now_s(), fault["code"], fault["problem"])

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()


def _hush(voice_loop: VoiceLoop) -> None:
    voice_loop.carry_out(Stop())
    voice_loop.post(e.Stopped())


def _text(order: Document) -> str:
    """Return the text to say or answer, on one line, without control characters. Raises OrderInvalid."""
    text = order.get("text")
    if not isinstance(text, str) or len(text) > _MAX_TEXT:
        raise OrderInvalid(f"'text' must be a string of at most {_MAX_TEXT} characters.", "Shorten it.")
    visible = "".join(letter if letter.isprintable() else " " for letter in text)
    if not any(letter.isalnum() for letter in visible):
        raise OrderInvalid("'text' has no words in it.", "Add some words.")
    return " ".join(visible.split())


class MuteMark:
    """The file that keeps the microphone closed after a crash, until the next reboot.

    ``file`` is in a folder that is emptied at every boot: a power cycle opens the microphone again, since
    that may be the only switch its owner has.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def is_set(self) -> bool:
        """True if the assistant was muted when it ended unexpectedly."""
        return self._file.exists()

    def follow(self, event: e.Event) -> None:
        """Update the file after an event."""
        if isinstance(event, e.Muted):
            with self._noted():
                self._file.touch(mode=0o600)
        elif isinstance(event, e.Unmuted):
            self.clear()

    def clear(self) -> None:
        """Remove the file, because the assistant exits normally or is unmuted."""
        with self._noted():
            self._file.unlink(missing_ok=True)

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            log.warning("mute_mark=unwritable reason=%s", error)
