"""Measures how the machine is doing. It runs every few seconds, so nothing here is slow or starts a
program.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from assistant.board import health, limits
from assistant.board.limits import ROOT
from assistant.board.shortage import Reading


def read(folder: Path, root: Path = ROOT) -> Reading:
    """Measure the machine below ``root`` and the disk that holds ``folder``. Never raises."""
    return Reading(
        memory_mb=_memory_mb(root),
        stalled_percent=health.stalled_percent(root),
        disk_mb=_disk_mb(folder),
        hot_c=health.hottest_c(root),
    )


def _memory_mb(root: Path) -> float | None:
    free = health.memory_bytes("MemAvailable", root)
    left = min(math.inf if free is None else free, limits.memory_left_bytes(root, brakes=True))
    return left / 1e6 if math.isfinite(left) else None


def _disk_mb(folder: Path) -> float | None:
    """Return the writable space; None if the file system has space but no room for more files."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return 0.0 if found.f_files and not found.f_favail else found.f_bavail * found.f_frsize / 1e6
