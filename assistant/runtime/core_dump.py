"""Keeps secrets in memory off the disk: after ``off``, a crash of this process writes no core dump."""

from __future__ import annotations

import ctypes
import resource
import sys
from functools import cache

_PR_SET_DUMPABLE = 4
"""prctl(2)."""


@cache
def off() -> None:
    """Turn off core dumps, including those piped to a program, which ignore the size limit."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
