"""Instruments that are read from outside while a process works: perf, energy counters, tegrastats.

Each that is not there, or that we may not use, is left out and named.
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
from assistant.tools.bench.lib import perf_stat

MISSING = {
    "perf": "cycles and memory: perf is not installed (Debian and Raspberry Pi OS: linux-perf; Ubuntu and "
    "JetPack: linux-tools-generic, or linux-tools for the kernel at work)",
    "tegrastats": "watts: tegrastats is not here; it comes with JetPack (nvidia-l4t-tools)",
    "counters": "cycles and memory: perf may not count here (a virtual machine, or the setting "
    "kernel.perf_event_paranoid is above 2)",
    "power": "energy: nothing measures it, or only root may read it (/sys/class/powercap, /sys/class/hwmon)",
}
"""What is not there, and how to get it."""

_SAMPLE_S = 0.2
_END_WITHIN_S = 5.0


class Meters:
    """Everything that can be read of the process ``pid``, between entering and leaving."""

    counters: Mapping[str, float] = {}
    """What perf counted, by event."""
    joules: Mapping[str, float] = {}
    watts: Mapping[str, float] = {}
    """On the average, by rail or sensor."""
    load: Mapping[str, float] = {}
    """Percent of memory bandwidth and graphics, where a Jetson tells."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stack = ExitStack()
        self._tools: list[subprocess.Popen[bytes]] = []

    def missing(self, *, is_jetson: bool) -> Sequence[str]:
        """Keys of ``MISSING``: what is not there, and what had nothing to say."""
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
        self._start(
            "perf", "stat", "-x,", "-e", ",".join(perf_stat.EVENTS), "-o", "perf", "-p", str(self._pid)
        )
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
        self.counters = perf_stat.counters(self._written("perf"))
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
