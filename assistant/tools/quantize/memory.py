"""What a process takes of the memory."""

from __future__ import annotations

import gc

from assistant.board import health, heap


def resident_bytes() -> int:
    """This one; 0 where that cannot be told."""
    gc.collect()
    heap.trim()
    return health.memory_bytes("VmRSS", of="self/status") or 0
