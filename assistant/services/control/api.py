"""The control API: the orders that a running appliance takes, from its socket, a signal or a button.

An order is a mapping with its name in ``order``; what it comes to is a mapping too. Orders
become events like everything else that happens: the loop alone decides where they lead, and an
order is answered when it has led there. Sockets are in ``server``. ``MuteMark`` keeps the order "mute" over a
crash.
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
from assistant.dialog.report import Report
from assistant.settings.schema import Settings
from assistant.skills import Stop

log = logging.getLogger(__name__)

Document = Mapping[str, object]

_LED_THERE_WITHIN_S = 5.0
"""Events lead somewhere at once; closing a microphone may take PortAudio a second or two."""

_FREE_WITHIN_S = 30.0
"""How long an announcement or a typed question waits for a spoken turn to be over."""

_MAX_TEXT = 2000
"""Letters; two minutes of speech."""


class ControlApi:
    """Takes orders from the moment of its creation; those that need the loop, once it is attached."""

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
        self._answering: asyncio.Task[Report] | None = None
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
        """Those in force: they may be exchanged while it runs."""
        return self._loop.pipeline.settings if self._loop else self._settings

    @property
    def state(self) -> State:
        return self._change[1]

    def attach(
        self, voice_loop: VoiceLoop, reload: Callable[[], Awaitable[Document]], is_ringing: Callable[[], bool]
    ) -> None:
        """The engines are warm: from now on everything can be ordered."""
        self._loop, self._reload, self._is_ringing = voice_loop, reload, is_ringing
        if self._mute_when_ready:
            voice_loop.post(e.Muted())

    def on_change(self, event: e.Event, state: State) -> None:
        """Take note that ``event`` led to ``state``."""
        self._change = (event, state)
        if isinstance(event, e.Faulted) and event.error is not self._noted:
            self._noted = event.error  # it leads there again after each announcement
            self._note_fault(event.error)
        is_spoken_to = state in (*HEARING, State.THINKING) and not isinstance(event, e.FollowUpOpened)
        if self._answering and is_spoken_to:
            self._answering.cancel()  # who speaks goes first
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def on_report(self, report: Report) -> None:
        """Take note of a turn that ended."""
        self._turns += 1
        self._last_reply = report.heard or self._last_reply
        if report.error:
            self._last_fault = (self._now_s(), report.error, f"Turn {report.number} failed.")

    async def obey(self, order: Document) -> Document:
        """Carry it out. Raises AssistantError when that is impossible."""
        name = str(order.get("order"))
        if name not in self._orders:
            raise OrderInvalid(
                f"'{name}' is no order.", f"Orders are: {', '.join((*self._orders, 'watch'))}."
            )
        return await self._orders[name](order)

    def toggle_mute(self) -> None:
        """The one button: close the microphone, or open it again."""
        if self._loop:
            self._loop.post(e.Unmuted() if self.state is State.MUTED else e.Muted())
        else:
            self._mute_when_ready = not self._mute_when_ready

    @property
    def is_answering(self) -> bool:
        """Whether a written question is being answered."""
        return self._answering is not None

    def press(self) -> None:
        """The other button: be silent, or else listen."""
        if self._loop is None:
            return
        if self._is_ringing() or self.state in (*HEARING, State.THINKING, State.SPEAKING):
            _hush(self._loop)
        else:
            self._loop.post(e.Woken(by="button", by_hand=True))

    # Orders

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
        """Silence, whatever sounds or is thought about: a button that always works."""
        voice_loop = self._running()
        _hush(voice_loop)
        await self._handled()
        return {"state": self.state.value}

    async def _listen(self, _: Document) -> Document:
        """As if the wake word had been heard."""
        voice_loop = self._running()
        if self.state is State.MUTED:
            raise OrderRefused("The microphone is off.", "Order `unmute` first.")
        if self.state is State.FAULTED or "microphone" in voice_loop.outages:
            raise OrderRefused("There is no microphone to listen with.", "See what `assistant doctor` says.")
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
            raise OrderInvalid(
                "'speak' must be true or false.", "Leave it away for an answer in writing only."
            )
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

    # How orders come true

    async def _answered(self, voice_loop: VoiceLoop, question: str) -> Report:
        limit_s = 2 * voice_loop.pipeline.settings.conversation.turn_timeout_s
        job = asyncio.ensure_future(voice_loop.pipeline.answer_in_writing(question, self._last_reply))
        self._answering = job
        try:
            await asyncio.wait({job}, timeout=limit_s)
            if not job.done():
                raise EngineTimeout(
                    f"There was no answer within {limit_s:g} s.",
                    "Choose a smaller model, or raise conversation.turn_timeout_s.",
                )
            with suppress(asyncio.CancelledError):
                return job.result()
            raise OrderRefused("Somebody began to speak, who goes first.", "Ask again.")
        finally:
            self._answering = None
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)

    async def _announce(self, text: str) -> bool:
        """Return when it is being said, or false: where there is no speaker, it will be when there is one.

        What somebody begins in between comes first.
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
            raise OrderRefused("The assistant is stuck.", "See its log; its watchdog restarts the service.")

    async def _arrive(self, states: Collection[State]) -> None:
        await self._until(states, _LED_THERE_WITHIN_S)

    async def _until(self, states: Collection[State], within_s: float) -> None:
        """Wait for one of these states. Raises OrderRefused when none comes in time."""
        now = asyncio.get_running_loop().time
        end_s = now() + within_s
        while self.state not in states:
            changing = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait({changing}, timeout=max(0.0, end_s - now()))
            changing.cancel()
            if now() >= end_s:
                raise OrderRefused(f"It is {self.state.value} and cannot do that now.", "Try again later.")

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
    """What is to be said or answered, in one line of visible letters. Raises OrderInvalid."""
    text = order.get("text")
    if not isinstance(text, str) or len(text) > _MAX_TEXT:
        raise OrderInvalid(f"'text' must be a text of at most {_MAX_TEXT} letters.", "Shorten it.")
    visible = "".join(letter if letter.isprintable() else " " for letter in text)
    if not any(letter.isalnum() for letter in visible):
        raise OrderInvalid("There are no words in 'text'.", "Give it some.")
    return " ".join(visible.split())


class MuteMark:
    """The file that keeps the microphone closed after a crash, until the end of the boot.

    ``file`` is in a folder that is emptied at every boot: a power cycle opens the microphone again, since
    that may be the only switch that its owner has.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def is_set(self) -> bool:
        """True when the assistant was muted and then ended unforeseen."""
        return self._file.exists()

    def follow(self, event: e.Event) -> None:
        """Note an event that came true."""
        if isinstance(event, e.Muted):
            with self._noted():
                self._file.touch(mode=0o600)
        elif isinstance(event, e.Unmuted):
            self.clear()

    def clear(self) -> None:
        """The assistant ends on purpose, or hears again."""
        with self._noted():
            self._file.unlink(missing_ok=True)

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            log.warning("mute_mark=unwritable reason=%s", error)
