"""``assistant bench profile``: where a turn's CPU time, memory bandwidth, and power went.

A child process holds the conversation in real time and reports who computed for how long. Meanwhile, this
process runs ``perf stat`` on it and reads the power sensors. Anything unavailable is named with how to get
it, and everything else is still reported.

The engines take turns. The CPU time used during a call, minus that of the loop's own thread, is therefore
charged to the engine that was called, regardless of which library thread used it. This needs no tool.
"""

from __future__ import annotations

import asyncio
import resource
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assistant.app import build as app
from assistant.app.converse import hold
from assistant.audio.files import read_sound
from assistant.audio.wav import WavMicrophone, WavSpeaker
from assistant.board.recognise import recognise
from assistant.dialog.report import Report
from assistant.runtime import clock
from assistant.settings.schema import Settings
from assistant.tools.bench.lib.child import Child, say, told
from assistant.tools.bench.lib.clips import sound_files
from assistant.tools.bench.lib.measuring import Document, Result, share, table
from assistant.tools.bench.lib.meters import MISSING, Meters, counter_rows

_TASKS = Path("/proc/self/task")
_WHO = {
    "stt": "speech to text",
    "llm": "language model",
    "tts": "voice",
    "loop": "listening and the rest of the loop",
    "rest": "everything else",
}


def run(settings: Settings, *, folder: Path, limit: int | None, progress: Callable[[str], None]) -> Result:
    """Play the recordings below ``folder`` and report what they cost. Raises AssistantError."""
    recordings = [str(file) for file in sound_files(folder)[:limit]]
    progress(f"{len(recordings)} recordings in real time")
    with Child(converse, settings, "The turns", recordings=recordings) as child:
        child.hear()  # It is ready.
        with Meters(child.pid) as meters:
            child.tell({})
            spent = child.hear()
    document: Document = {
        **spent,
        "counters": dict(meters.counters),
        "joules": dict(meters.joules),
        "watts": dict(meters.watts),
        "load": dict(meters.load),
        "missing": meters.missing(is_jetson=recognise().name.startswith("jetson")),
    }
    return Result(_as_text(document), document)


def converse(settings: Settings, recordings: Sequence[str]) -> Document:
    """Hold the conversation; runs in a separate process. Returns what it cost."""
    return clock.run(_converse(settings, recordings))


async def _converse(settings: Settings, recordings: Sequence[str]) -> Document:
    microphone = WavMicrophone([read_sound(Path(file)) for file in recordings])
    speaker = WavSpeaker(None)
    answered: list[Report] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        app.skill_context(Path(folder), lambda: speaker.volume) as context,
    ):
        async with app.open_loop(
            settings, microphone, speaker, on_report=answered.append, context=context
        ) as voice_loop:
            ledger = Ledger()
            for name in ("stt", "llm", "tts"):
                worker = getattr(voice_loop.pipeline, name)
                worker.engine = Metered(worker.engine, name, ledger)
            say("ready")
            await asyncio.to_thread(next, told(), None)
            ledger.begin()
            await hold(voice_loop, microphone, settings)
            return {"turns": len(answered), **ledger.figures()}


def _as_text(document: Document) -> str:
    turns, wall_s, total_s = max(1, document["turns"]), document["wall_s"], document["total_cpu_s"]
    rows = [
        (_WHO[name], f"{used / turns:.3f}", share(used / total_s if total_s else None))
        for name, used in document["cpu_s"].items()
    ]
    rows.append(("together", f"{total_s / turns:.3f}", share(1.0)))
    facts = [
        ("wall seconds, silence included", f"{wall_s / turns:.2f}"),
        ("cores busy on the average", f"{total_s / wall_s:.2f}"),
        ("seconds that threads waited for a core", f"{document['waited_for_a_core_s'] / turns:.3f}"),
        *counter_rows(document["counters"], wall_s),
        *(
            (f"energy of {name}, J a turn", f"{used / turns:.1f}")
            for name, used in document["joules"].items()
        ),
        *((f"power of {name}", f"{used:.2f} W") for name, used in document["watts"].items()),
        *((f"use of {name}", f"{used:.0f} %") for name, used in document["load"].items()),
    ]
    parts = [
        f"Where {document['turns']} turns went, per turn",
        "",
        table(("processor time", "s", "share"), rows),
        "",
        table(("beside that", ""), facts),
    ]
    if document["missing"]:
        parts += ["", *(f"not measured: {MISSING[name]}" for name in document["missing"])]
    return "\n".join(parts)


@dataclass(slots=True)
class Ledger:
    """CPU seconds by engine, since ``begin``."""

    spent_s: dict[str, float] = field(default_factory=dict)
    _loop_clock: int | None = None
    _began: tuple[float, float, float, float, int] = (0.0, 0.0, 0.0, 0.0, 0)

    def begin(self) -> None:
        """Reset, and start counting; call it on the loop's own thread."""
        if hasattr(time, "pthread_getcpuclockid"):
            self._loop_clock = time.pthread_getcpuclockid(threading.get_ident())
        self.spent_s.clear()
        self._began = self._now()

    def charge(self, name: str, call: Callable[[], Any]) -> Any:
        """Call ``call`` and charge its CPU time to ``name``."""
        before = self._engines_s()
        try:
            return call()
        finally:
            self.spent_s[name] = self.spent_s.get(name, 0.0) + self._engines_s() - before

    def figures(self) -> dict[str, Any]:
        """Return all figures so far: seconds, and how often something had to wait."""
        total_s, loop_s, wall_s, waited_s, switches = (
            now - began for now, began in zip(self._now(), self._began, strict=True)
        )
        engines_s = sum(self.spent_s.values())
        return {
            "wall_s": wall_s,
            "cpu_s": {**self.spent_s, "loop": loop_s, "rest": max(0.0, total_s - loop_s - engines_s)},
            "total_cpu_s": total_s,
            "waited_for_a_core_s": waited_s,
            "switches": switches,
        }

    def _now(self) -> tuple[float, float, float, float, int]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        switches = used.ru_nvcsw + used.ru_nivcsw
        return time.process_time(), self._loop_s(), time.perf_counter(), waited_s(), switches

    def _engines_s(self) -> float:
        return time.process_time() - self._loop_s()

    def _loop_s(self) -> float:
        return 0.0 if self._loop_clock is None else time.clock_gettime(self._loop_clock)


class Metered:
    """An engine whose calls are charged to its name."""

    def __init__(self, engine: Any, name: str, ledger: Ledger) -> None:
        self._engine, self._name, self._ledger = engine, name, ledger

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._engine, name)
        if not callable(found):
            return found

        def call(*positional: Any, **named: Any) -> Any:
            result = self._ledger.charge(self._name, lambda: found(*positional, **named))
            return self._each(result) if isinstance(result, Iterator) else result

        return call

    def _each(self, items: Iterator[Any]) -> Iterator[Any]:
        end = object()
        while (item := self._ledger.charge(self._name, lambda: next(items, end))) is not end:
            yield item


def waited_s(tasks: Path = _TASKS) -> float:
    """Return how long all threads of this process were ready but had no core (schedstat); 0 if
    unavailable.
    """
    total_ns = 0
    for file in tasks.glob("*/schedstat"):
        try:
            fields = file.read_text("ascii").split()
        except OSError:  # A thread that just ended.
            continue
        total_ns += int(fields[1]) if len(fields) > 1 and fields[1].isdecimal() else 0
    return total_ns / 1e9
