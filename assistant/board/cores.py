"""Which processor cores we may use, and which of them are the big ones. Who gets which: ``core_plan``."""

from __future__ import annotations

import os
import re
from collections.abc import Set as AbstractSet
from pathlib import Path

from assistant.board.limits import ROOT, cpu_quota, text

BIG = 0.75
"""A core this near to the fastest one is big. The small cores of big.LITTLE chips are below 0.6, the
favoured cores of a desktop chip above 0.9."""

MOST_PROCESSORS = 8192
"""CONFIG_NR_CPUS of the largest kernels."""


def usable_cores(root: Path = ROOT) -> int:
    """How many threads can really run at once: affinity and control groups count."""
    return _within_quota(len(allowed_cores(root)), root)


def big_cores(root: Path = ROOT) -> tuple[int, ...]:
    """Numbers of the processors to compute on: one of every physical core of the fastest kind.

    This is what "0 takes all big cores" means in the settings: a model's threads wait for the
    slowest of them, so neither small cores nor a second thread on the same core help. On a thread
    that is pinned, only the cores that it is pinned to count.
    """
    one_each = sorted({min(threads_of(cpu, root) & _fast(root) or {cpu}) for cpu in _fast(root)})
    return tuple(one_each[: _within_quota(len(one_each), root)])


def small_cores(root: Path = ROOT) -> tuple[int, ...]:
    """Numbers of the processors of slower kinds; empty where all are alike."""
    return tuple(sorted(allowed_cores(root) - _fast(root)))


def threads_of(cpu: int, root: Path = ROOT) -> AbstractSet[int]:
    """The processors that share a physical core with this one, itself included."""
    siblings = text(root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    return (cpu_list(siblings) & allowed_cores(root)) | {cpu}


def allowed_cores(root: Path = ROOT) -> AbstractSet[int]:
    """Processors that are online and that affinity and cpusets leave to the calling thread."""
    if root == ROOT and hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    online = cpu_list(text(root / "sys/devices/system/cpu/online")) or set(range(os.cpu_count() or 1))
    granted = re.search(r"^Cpus_allowed_list:\s*(\S+)$", text(root / "proc/self/status"), re.MULTILINE)
    return online & cpu_list(granted[1]) or online if granted else online


def cpu_list(ranges: str) -> AbstractSet[int]:
    """The kernel's notation for sets of processors: "0-3,8" is 0, 1, 2, 3 and 8.

    What is no number, or above any processor that Linux knows, is left out.
    """
    numbers: set[int] = set()
    for part in ranges.split(","):
        first, _, last = part.strip().partition("-")
        if first.isdecimal() and (last or first).isdecimal():
            numbers.update(range(int(first), min(int(last or first), MOST_PROCESSORS) + 1))
    return numbers


def _fast(root: Path) -> AbstractSet[int]:
    """The allowed processors of the fastest kind."""
    allowed = allowed_cores(root)
    speeds = {cpu: _speed(root / f"sys/devices/system/cpu/cpu{cpu}") for cpu in allowed}
    intel_performance_cores = cpu_list(text(root / "sys/devices/cpu_core/cpus")) & allowed
    return intel_performance_cores or {
        cpu for cpu, speed in speeds.items() if speed >= BIG * max(speeds.values())
    }


def _within_quota(cores: int, root: Path) -> int:
    return max(1, int(min(cores, cpu_quota(root))))


def _speed(cpu: Path) -> int:
    """Relative; the kernel's own measure where it has one, else the highest clock."""
    for file in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        figure = text(cpu / file)
        if figure.isdecimal():
            return int(figure)
    return 0
