"""Who took the processor's time during a turn: each engine, the loop, and what waited for a core.

The engines take turns, so what the process used while one of them was called, less what the loop's own thread
used meanwhile, was that engine's, whichever of its library's threads did it. No tool is needed for this.
"""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_TASKS = Path("/proc/self/task")


@dataclass(slots=True)
class Ledger:
    """Processor seconds by engine, since ``begin``."""

    spent_s: dict[str, float] = field(default_factory=dict)
    _loop_clock: int | None = None
    _began: tuple[float, float, float, float, int] = (0.0, 0.0, 0.0, 0.0, 0)

    def begin(self) -> None:
        """Forget what was, and count from now on; on the loop's own thread."""
        if hasattr(time, "pthread_getcpuclockid"):
            self._loop_clock = time.pthread_getcpuclockid(threading.get_ident())
        self.spent_s.clear()
        self._began = self._now()

    def charge(self, name: str, call: Callable[[], Any]) -> Any:
        """Do ``call`` and put down what it took to ``name``."""
        before = self._engines_s()
        try:
            return call()
        finally:
            self.spent_s[name] = self.spent_s.get(name, 0.0) + self._engines_s() - before

    def figures(self) -> dict[str, Any]:
        """All of it until now: seconds, and how often something had to wait."""
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
    """An engine, with what its calls take put down under its name."""

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
    """How long all threads of this process were ready and had no core (schedstat); 0 where nobody tells."""
    total_ns = 0
    for file in tasks.glob("*/schedstat"):
        try:
            fields = file.read_text("ascii").split()
        except OSError:  # a thread that has just ended
            continue
        total_ns += int(fields[1]) if len(fields) > 1 and fields[1].isdecimal() else 0
    return total_ns / 1e9
