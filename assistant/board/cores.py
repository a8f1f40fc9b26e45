"""Which processor cores are usable, and which of them are big. ``core_plan`` assigns them."""

from __future__ import annotations

import os
import re
from collections.abc import Set as AbstractSet
from pathlib import Path

from assistant.board.limits import ROOT, cpu_quota, text

BIG = 0.75
"""A core with at least this share of the fastest core's speed is big. The small cores of big.LITTLE chips
are below 0.6, the favored cores of a desktop chip above 0.9.
"""

MOST_PROCESSORS = 8192
"""CONFIG_NR_CPUS of the largest kernels."""


def usable_cores(root: Path = ROOT) -> int:
    """Return the number of threads that can run at once, given affinity and control groups."""
    return _within_quota(len(allowed_cores(root)), root)


def big_cores(root: Path = ROOT) -> tuple[int, ...]:
    """Return the processors to compute on: one per physical core of the fastest kind.

    In the settings, "0 uses all big cores" means these: a model's threads wait for the slowest of them, so
    neither small cores nor a second thread on the same core help. On a pinned thread, only the cores it is
    pinned to count.
    """
    one_each = sorted({min(threads_of(cpu, root) & _fast(root) or {cpu}) for cpu in _fast(root)})
    return tuple(one_each[: _within_quota(len(one_each), root)])


def small_cores(root: Path = ROOT) -> tuple[int, ...]:
    """Return the processors of slower kinds; empty if all are alike."""
    return tuple(sorted(allowed_cores(root) - _fast(root)))


def threads_of(cpu: int, root: Path = ROOT) -> AbstractSet[int]:
    """Return the processors that share a physical core with this one, itself included."""
    siblings = text(root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    return (cpu_list(siblings) & allowed_cores(root)) | {cpu}


def allowed_cores(root: Path = ROOT) -> AbstractSet[int]:
    """Return the online processors that affinity and cpusets allow the calling thread."""
    if root == ROOT and hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    online = cpu_list(text(root / "sys/devices/system/cpu/online")) or set(range(os.cpu_count() or 1))
    granted = re.search(r"^Cpus_allowed_list:\s*(\S+)$", text(root / "proc/self/status"), re.MULTILINE)
    return online & cpu_list(granted[1]) or online if granted else online


def cpu_list(ranges: str) -> AbstractSet[int]:
    """Parse the kernel's notation for sets of processors: "0-3,8" is 0, 1, 2, 3 and 8.

    Anything that isn't a number, or is above the highest processor number Linux knows, is left out.
    """
    numbers: set[int] = set()
    for part in ranges.split(","):
        first, _, last = part.strip().partition("-")
        if first.isdecimal() and (last or first).isdecimal():
            numbers.update(range(int(first), min(int(last or first), MOST_PROCESSORS) + 1))
    return numbers


def _fast(root: Path) -> AbstractSet[int]:
    """Return the allowed processors of the fastest kind."""
    allowed = allowed_cores(root)
    speeds = {cpu: _speed(root / f"sys/devices/system/cpu/cpu{cpu}") for cpu in allowed}
    intel_performance_cores = cpu_list(text(root / "sys/devices/cpu_core/cpus")) & allowed
    return intel_performance_cores or {
        cpu for cpu, speed in speeds.items() if speed >= BIG * max(speeds.values())
    }


def _within_quota(cores: int, root: Path) -> int:
    return max(1, int(min(cores, cpu_quota(root))))


def _speed(cpu: Path) -> int:
    """Return a relative speed: the kernel's own measure if it has one, otherwise the highest clock."""
    for file in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        figure = text(cpu / file)
        if figure.isdecimal():
            return int(figure)
    return 0
