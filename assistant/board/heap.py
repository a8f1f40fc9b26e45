"""Makes the C library return big pieces of memory to the system as soon as they are freed.

glibc raises its threshold for that to as much as 32 MB as it sees big pieces come and go, and then keeps
them; what the recogniser and the voice need for a moment would stay with this process for good. With a
fixed threshold speech recognition took 216 MB instead of 240 (measured with tiny.en). Harmless where
there is no glibc.
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Names of malloc.h."""

_TRIM_BYTES = 128 * 1024
_MMAP_BYTES = 256 * 1024
"""glibc's defaults are 128 KB both, before it raises them; below this a page fault each costs too much."""


def return_what_is_freed() -> None:
    """Fix the thresholds of this process's heap. Call it before models are loaded."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)


def trim() -> None:
    """Return now what is free in between, too; takes some milliseconds."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
