"""Takes the pages of a mapped file out of this process's memory; each comes back when it is read.

llama.cpp maps a model with all its pages, then copies some tensors into a faster layout, and of the
table of word embeddings it reads a row a token. Of a 0.5 B model of 485 MB some 120 MB are never
looked at again. Does nothing where there is no /proc.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator
from pathlib import Path

_MAPS = Path("/proc/self/maps")


def let_go(file: Path) -> None:
    """Drop what is mapped of ``file``: it is not written to, so nothing is lost. Errors are no fault."""
    advice = getattr(mmap, "MADV_DONTNEED", None)
    if advice is None or not _MAPS.exists():
        return
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for start, end in list(_mappings(str(file.resolve()))):
        madvise(start, end - start, advice)


def _mappings(path: str) -> Iterator[tuple[int, int]]:
    """Addresses of the read-only mappings of a file: a private page that was written would be lost."""
    for line in _MAPS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        span, permissions, _, _, inode, *name = line.split(maxsplit=5)
        if inode != "0" and name == [path] and "w" not in permissions:
            start, end = span.split("-")
            yield int(start, 16), int(end, 16)
