"""What a process takes of the memory."""

from __future__ import annotations

import contextlib
import ctypes
import gc

from assistant.board import health


def resident_bytes() -> int:
    """This one; 0 where that cannot be told."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # memory that was freed is not given back by itself
        ctypes.CDLL(None).malloc_trim(0)
    return health.memory_bytes("VmRSS", of="self/status") or 0
