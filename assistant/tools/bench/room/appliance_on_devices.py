"""The appliance on a real microphone and speaker, in a separate process that receives orders.

It needs a process of its own because PortAudio finds its devices through the environment at startup. Orders
and reports are JSON, one per line; times are the event loop's, which are the same in all processes.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assistant.app import engines as loading
from assistant.audio import portaudio
from assistant.audio.device import DeviceMicrophone, DeviceSpeaker
from assistant.audio.echo.canceller import EchoCanceller
from assistant.audio.lines import Rescan
from assistant.core.errors import EngineFailed
from assistant.core.events import Announced, Event, Stopped
from assistant.core.state import State
from assistant.dialog.loop import VoiceLoop
from assistant.dialog.report import Report
from assistant.engines import WakeWord
from assistant.runtime import clock, logs
from assistant.settings.schema import Settings
from assistant.tools.bench.lib.child import Child, say, told
from assistant.tools.bench.lib.echo_trace import Stamps, TracedMicrophone, TracedReference, honest, write
from assistant.tools.bench.room.appliance import Engines, living, open_engines

LIES_FOR_S = 7.0
"""How long the time stamps are off in the same direction."""

_LOADS_S = 120
_ENDS_S = 20


@dataclass
class Told:
    """An event reported by the process."""

    at_s: float
    state: str = ""
    event: str = ""
    report: Mapping[str, Any] = field(default_factory=dict)


class ApplianceProcess:
    """The parent's side: sends orders and reads reports."""

    def __init__(self, settings: Settings, env: Mapping[str, str]) -> None:
        """Start the process. Raises EngineFailed if it cannot start."""
        self.told: list[Told] = []
        self._answers = 0
        self._news = threading.Condition()
        self._over = False
        self._child = Child(live, settings, "The appliance", env=env)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._wait_until_obeyed(0)

    @property
    def state(self) -> str:
        """Return the assistant's current state."""
        return next((each.state for each in reversed(self.told) if each.state), "starting")

    def open(self, *, lie_ms: int = 0, trace: bool = False) -> None:
        """Open the devices, with a canceller that has not adapted yet."""
        self.told.clear()
        self._order(open={"lie_ms": lie_ms, "trace": trace})

    def say(self, text: str) -> None:
        """Start an announcement and return at once."""
        self._order(say=text)

    def hush(self) -> None:
        """End whatever it is doing."""
        self._order(stop=True)

    def close(self, trace: Path | None = None) -> None:
        """Close the devices, and write the canceller's input to ``trace``."""
        self._order(close=str(trace) if trace else "")

    def wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until ``condition`` is met. False if it wasn't within ``timeout_s``. Raises EngineFailed."""
        deadline_s = time.monotonic() + timeout_s
        with self._news:
            while not condition():
                left_s = deadline_s - time.monotonic()
                if self._over:
                    raise EngineFailed("The appliance could not be measured.", "See its output above.")
                if left_s <= 0:
                    return False
                self._news.wait(left_s)
        return True

    def end(self) -> None:
        self._child.close(_ENDS_S)
        self._reader.join()
        self._child.__exit__()

    def _order(self, **order: object) -> None:
        """Send an order and wait until it is done."""
        answers = self._answers
        if not self._child.tell(order):
            self._over = True
        self._wait_until_obeyed(answers)

    def _wait_until_obeyed(self, answers: int) -> None:
        if not self.wait(lambda: self._answers > answers, _LOADS_S):
            raise EngineFailed("The appliance did not answer.", "See its output above.")

    def _read(self) -> None:
        for answer in self._child:
            with self._news:
                if "obeyed" in answer:
                    self._answers += 1
                else:
                    self.told.append(Told(**answer))
                self._news.notify_all()
        with self._news:
            self._over = True
            self._news.notify_all()


def live(settings: Settings) -> None:
    """Run as ordered until the parent finishes; runs in a separate process."""
    logs.set_up("warning" if settings.log.level == "info" else settings.log.level)
    clock.run(_obey(settings))


async def _obey(settings: Settings) -> None:
    wake_word = loading.load_wake_word(settings)
    async with open_engines(settings) as engines, AsyncExitStack() as stack:
        say({"obeyed": True})
        life = _Life(engines, wake_word)
        stack.push_async_callback(life.close)
        orders = told()
        while (order := await asyncio.to_thread(next, orders, None)) is not None:
            match order:
                case {"open": how}:
                    await life.open(**how)
                case {"say": text}:
                    life.post(Announced(text))
                case {"stop": _}:
                    life.post(Stopped())
                case {"close": trace}:
                    await life.close()
                    if trace:
                        life.write(Path(trace))
            say({"obeyed": True})


class _Life:
    """One loop on the devices, with a new canceller."""

    def __init__(self, engines: Engines, wake_word: WakeWord | None) -> None:
        self._engines = engines
        self._wake_word = wake_word
        self._stack = AsyncExitStack()
        self._loop: VoiceLoop | None = None
        self._reference = TracedReference()

    async def open(self, lie_ms: int, *, trace: bool) -> None:
        portaudio.rescan()
        settings = self._engines.settings
        audio = settings.audio
        self._reference = TracedReference(_lying(lie_ms) if lie_ms else honest, keep=trace)
        filters = loading.sound_filters(settings, self._reference)
        self._loop = await self._stack.enter_async_context(
            living(
                self._engines,
                TracedMicrophone(DeviceMicrophone(audio.input), filters, self._reference),
                DeviceSpeaker(audio.output, audio.volume, self._reference),
                on_report=_tell_report,
                observers=[_tell_change],
                rescan=Rescan({"input": audio.input, "output": audio.output}),
                wake_word=self._wake_word,
                echo=next((each for each in filters if isinstance(each, EchoCanceller)), None),
            )
        )

    def post(self, event: Event) -> None:
        if self._loop:
            self._loop.post(event)

    def write(self, trace: Path) -> None:
        write(self._reference.steps, trace.parent, trace.name)

    async def close(self) -> None:
        self._loop = None
        await self._stack.aclose()


def _lying(lie_ms: int) -> Stamps:
    """Return time stamps that are exact, too late, and too early in turn."""

    def stamp(at_s: float) -> float:
        return at_s + (0, lie_ms, -lie_ms)[int(at_s / LIES_FOR_S) % 3] / 1000

    return stamp


def _tell_change(event: Event, state: State) -> None:
    at_s = asyncio.get_running_loop().time()
    say({"at_s": at_s, "state": state.value, "event": type(event).__name__})


def _tell_report(report: Report) -> None:
    kept = {
        "handled_by": report.handled_by,
        "transcript": report.transcript,
        "refused": report.refused,
        "interrupted": report.interrupted,
        "resumed": report.resumed,
    }
    say({"at_s": asyncio.get_running_loop().time(), "report": kept})
