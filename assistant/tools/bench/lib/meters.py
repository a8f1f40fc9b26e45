"""Instruments that observe a running process from outside: perf, energy counters, tegrastats.

Instruments that are missing or not permitted are skipped and named.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import fmean
from types import TracebackType

from assistant.board import power

MISSING = {
    "perf": (
        "cycles and memory: perf is not installed (Debian and Raspberry Pi OS: "
        "linux-perf; Ubuntu and JetPack: linux-tools-generic, or linux-tools for the "
        "running kernel)"
    ),
    "tegrastats": "watts: tegrastats is not installed; it comes with JetPack (nvidia-l4t-tools)",
    "counters": (
        "cycles and memory: perf isn't allowed to count here (a virtual machine, or "
        "kernel.perf_event_paranoid is above 2)"
    ),
    "power": "energy: no sensor, or readable only by root (/sys/class/powercap, /sys/class/hwmon)",
}
"""Name of an instrument -> why it is missing, and how to get it."""

_SAMPLE_S = 0.2
_END_WITHIN_S = 5.0

_EVENTS = (
    "task-clock",
    "context-switches",
    "cpu-migrations",
    "page-faults",
    "cycles",
    "instructions",
    "cache-references",
    "cache-misses",
)
"""Events that perf counts; perf maps these names on every processor."""

_LINE_BYTES = 64
"""Bytes fetched per cache miss on every supported processor."""

_FIELDS = 3


class Meters:
    """Reads everything available about process ``pid``, from entering the block to leaving it."""

    counters: Mapping[str, float] = {}
    """Counts from perf, by event."""
    joules: Mapping[str, float] = {}
    watts: Mapping[str, float] = {}
    """Average power, by rail or sensor."""
    load: Mapping[str, float] = {}
    """Percent of memory bandwidth and GPU, on a Jetson."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stack = ExitStack()
        self._tools: list[subprocess.Popen[bytes]] = []

    def missing(self, *, is_jetson: bool) -> Sequence[str]:
        """Return the keys of ``MISSING`` for instruments that were unavailable or reported nothing."""
        names = []
        if shutil.which("perf") is None:
            names.append("perf")
        elif "cycles" not in self.counters:
            names.append("counters")
        if is_jetson and shutil.which("tegrastats") is None:
            names.append("tegrastats")
        return names if self.joules or self.watts else [*names, "power"]

    def __enter__(self) -> Meters:
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self._energy = power.counted()
        self._start("perf", "stat", "-x,", "-e", ",".join(_EVENTS), "-o", "perf", "-p", str(self._pid))
        self._start("tegrastats", "--interval", str(int(_SAMPLE_S * 1000)), "--logfile", "tegrastats")
        self._over = threading.Event()
        self._samples: list[Mapping[str, float]] = []
        self._sampling = threading.Thread(target=self._sample)
        self._sampling.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._sampling.join()
        for tool in self._tools:
            tool.send_signal(signal.SIGINT)
            try:
                tool.wait(_END_WITHIN_S)
            except subprocess.TimeoutExpired:
                tool.kill()
                tool.wait()
        self.counters = perf_counters(self._written("perf"))
        lines = self._written("tegrastats").splitlines()
        self.joules = power.spent_joules(self._energy, power.counted())
        names = {name for sample in self._samples for name in sample}
        sensed = {name: fmean(each[name] for each in self._samples if name in each) for name in sorted(names)}
        self.watts = {**sensed, **power.of_tegrastats(lines)}
        self.load = power.load_of_tegrastats(lines)
        self._stack.close()

    def _start(self, name: str, *arguments: str) -> None:
        program = shutil.which(name)
        if program is None:
            return
        quiet = subprocess.DEVNULL
        self._tools.append(
            subprocess.Popen(  # noqa: S603 - a program of that name, and our own words
                [program, *arguments], cwd=self._folder, stdin=quiet, stdout=quiet, stderr=quiet
            )
        )

    def _written(self, name: str) -> str:
        try:
            return (self._folder / name).read_text("utf-8", "replace")
        except OSError:
            return ""

    def _sample(self) -> None:
        while not self._over.wait(_SAMPLE_S):
            if flowing := power.flowing_watts():
                self._samples.append(flowing)


def perf_counters(text: str) -> Mapping[str, float]:
    """Return event -> count (task-clock in ms) from the output of ``perf stat -x,``, without uncounted
    events.

    The fields of a line are value, unit, event, run time of the counter, and the share of the time that it
    ran (perf-stat(1), "CSV format"). A virtual machine often has no counters: its lines say "<not
    supported>".
    """
    found: dict[str, float] = {}
    for line in text.splitlines():
        fields = line.split(",")
        if line.startswith("#") or len(fields) < _FIELDS:
            continue
        try:
            value = float(fields[0])
        except ValueError:  # "<not supported>", "<not counted>"
            continue
        # "cycles:u" where the kernel's part may not be counted; where there are two kinds of cores each has a
        # line, "cpu_atom/cycles/u".
        parts = fields[2].split(":")[0].split("/")
        event = parts[1] if len(parts) > 1 else parts[0]
        found[event] = found.get(event, 0.0) + value
    return found


def counter_rows(counters: Mapping[str, float], wall_s: float) -> list[tuple[str, str]]:
    """Return one table row per derived figure; empty without counters."""
    lines = []
    cycles, instructions, misses = (counters.get(name) for name in ("cycles", "instructions", "cache-misses"))
    if cycles:
        lines.append(("cycles", f"{cycles / 1e9:.2f} billion"))
    if cycles and instructions:
        lines.append(("instructions a cycle", f"{instructions / cycles:.2f}"))
    if misses is not None and instructions:
        lines.append(("cache misses of 1000 instructions", f"{1000 * misses / instructions:.1f}"))
    if misses is not None and wall_s > 0:
        # Prefetched data causes no misses, so it is not counted.
        lines.append(("read from memory, at least", f"{misses * _LINE_BYTES / wall_s / 1e6:.0f} MB/s"))
    others = {"context-switches": "context switches", "cpu-migrations": "moves to another core"}
    others["page-faults"] = "page faults"
    return lines + [(words, f"{counters[name]:.0f}") for name, words in others.items() if name in counters]
