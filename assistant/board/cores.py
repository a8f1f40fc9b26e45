"""Which processor cores we may use, and how many of them are the big ones."""

from __future__ import annotations

import os
from collections.abc import Set as AbstractSet
from pathlib import Path

from assistant.board.limits import ROOT, cpu_quota, text

BIG = 0.75
"""A core this near to the fastest one is big. The small cores of big.LITTLE chips are below 0.6, the
favoured cores of a desktop chip above 0.9."""


def usable_cores(root: Path = ROOT) -> int:
    """How many threads can really run at once: affinity and control groups count."""
    return _within_quota(len(_allowed(root)), root)


def big_cores(root: Path = ROOT) -> tuple[int, ...]:
    """Numbers of the processors to compute on: one of every physical core of the fastest kind.

    This is what "0 takes all big cores" means in the settings: a model's threads wait for the
    slowest of them, so neither small cores nor a second thread on the same core help.
    """
    cpus = root / "sys/devices/system/cpu"
    allowed = _allowed(root)
    speeds = {cpu: _speed(cpus / f"cpu{cpu}") for cpu in allowed}
    intel_performance_cores = _numbers(text(root / "sys/devices/cpu_core/cpus")) & allowed
    fast = {cpu for cpu, speed in speeds.items() if speed >= BIG * max(speeds.values())}
    big = intel_performance_cores or fast
    siblings = (
        _numbers(text(cpus / f"cpu{cpu}/topology/thread_siblings_list")) & big or {cpu} for cpu in big
    )
    one_each = sorted({min(same_core) for same_core in siblings})
    return tuple(one_each[: _within_quota(len(one_each), root)])


def _within_quota(cores: int, root: Path) -> int:
    return max(1, int(min(cores, cpu_quota(root))))


def _allowed(root: Path) -> AbstractSet[int]:
    if root == ROOT and hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    online = _numbers(text(root / "sys/devices/system/cpu/online"))
    return online or set(range(os.cpu_count() or 1))


def _speed(cpu: Path) -> int:
    """Relative; the kernel's own measure where it has one, else the highest clock."""
    for file in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        figure = text(cpu / file)
        if figure.isdecimal():
            return int(figure)
    return 0


def _numbers(ranges: str) -> AbstractSet[int]:
    """The kernel's notation for sets of cores: "0-3,8" is 0, 1, 2, 3 and 8."""
    numbers: set[int] = set()
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        if first.isdecimal() and (last or first).isdecimal():
            numbers.update(range(int(first), int(last or first) + 1))
    return numbers
