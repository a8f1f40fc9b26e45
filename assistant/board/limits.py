"""Control group limits of this process: processor time and memory.

Containers and systemd units limit both without hiding cores or memory from /proc. Reads versions 1 and 2 of
the kernel's interface; a limit on any parent group applies too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/")


def cpu_quota(root: Path = ROOT) -> float:
    """Processor time in cores, such as 1.5; infinite without a limit."""
    return min(
        (
            quota / period
            for group in _groups(root)
            for quota, period in (
                _figures(group, "cpu.max"),
                _figures(group, "cpu.cfs_quota_us", "cpu.cfs_period_us"),
            )
            if quota > 0 and period > 0
        ),
        default=math.inf,
    )


def memory_bytes(root: Path = ROOT) -> float:
    """Bytes of memory; infinite without a limit."""
    files = ("memory.max", "memory.limit_in_bytes")
    limits = (_figures(group, file)[0] for group in _groups(root) for file in files)
    return min((limit for limit in limits if limit > 0), default=math.inf)


def memory_left_bytes(root: Path = ROOT, *, brakes: bool = False) -> float:
    """Bytes that the tightest limit leaves beyond current use; infinite without a limit.

    Cached files that were not used lately are dropped for programs, so they don't count as used. ``brakes``
    also includes the limits above which programs are slowed down.
    """
    left = math.inf
    for group in _groups(root):
        for limit_file, use_file, idle in (
            ("memory.max", "memory.current", "inactive_file"),
            *([("memory.high", "memory.current", "inactive_file")] if brakes else []),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            limit, use = _figures(group, limit_file)[0], _figures(group, use_file)[0]
            if limit > 0:
                cached = re.search(rf"^{idle} (\d+)$", text(group / "memory.stat"), re.MULTILINE)
                left = min(left, max(0.0, limit - use + (int(cached[1]) if cached else 0)))
    return left


def text(file: Path) -> str:
    """Read a file of /proc or /sys; empty if it cannot be read."""
    try:
        return file.read_bytes().decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _groups(root: Path) -> Iterator[Path]:
    """Yield the folder of each control group this process is in, and of its parents."""
    for line in text(root / "proc/self/cgroup").splitlines():
        _, controllers, group = (*line.split(":", 2), "", "")[:3]
        names = [name for name in PurePosixPath(group).parts if name not in {"/", ".."}]
        for depth in range(len(names), -1, -1):
            yield root.joinpath("sys/fs/cgroup", controllers, *names[:depth])


def _figures(group: Path, *files: str) -> tuple[float, float]:
    """Read the first two numbers of these files; 0 for a missing one, "max" or -1."""
    words = " ".join(text(group / file) for file in files).split()
    first, second, *_ = (*(float(word) if word.isdecimal() else 0.0 for word in words), 0.0, 0.0)
    return first, second
