"""What can go wrong with the disk under the store, said in words.

Everything in the store that writes does so inside ``writing``, so that a full or read-only disk is
an ``AssistantError`` with a next step and can never be mistaken for a network fault.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from assistant.core.errors import AssistantError, DownloadFailed, SettingsError, StorageFull
from assistant.store.progress import megabytes

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""No space, no quota, larger than a file may be here (FAT stops at 4 GB)."""

FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR})
"""Not allowed, or a file stands where a folder should be."""

RESERVE_BYTES = 16_000_000
"""Left free beyond what is needed, for folders, journals and other programs on the disk."""


def free_bytes(folder: Path) -> int:
    """What an ordinary user may still write below ``folder``, which need not exist yet."""
    while not folder.exists():
        folder = folder.parent
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def require(needed_bytes: int, folder: Path) -> None:
    """Raises StorageFull when ``needed_bytes`` and the reserve do not fit below ``folder``."""
    free = free_bytes(folder)
    if needed_bytes + RESERVE_BYTES > free:
        raise StorageFull(
            f"This needs {megabytes(needed_bytes + RESERVE_BYTES)} in {folder}, "
            f"and only {megabytes(free)} are free.",
            f"Free {megabytes(needed_bytes + RESERVE_BYTES - free)}, "
            "or choose a folder on another disk with store.models.",
        )


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what the operating system says about the disk below ``folder`` into words.

    Raises StorageFull, SettingsError (not writable) or AssistantError (a failing disk).
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull(
                f"The disk under {folder} became full.",
                "Free some space, or choose a folder on another disk with store.models, and do it again.",
            ) from error
        if error.errno in FORBIDDEN:
            raise SettingsError(
                f"The folder {folder} cannot be written.",
                "Run this as the user it belongs to, or choose another folder with store.models.",
            ) from error
        raise AssistantError(
            f"The disk under {folder} failed: {error.strerror or error}.", "Check the disk and its cable."
        ) from error


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk itself, so that it survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what the operating system says about a stick or folder into DownloadFailed."""
    try:
        yield
    except OSError as error:
        raise DownloadFailed(
            f"{path} cannot be read: {error.strerror or error}.",
            "Check the path and the stick, and try again.",
        ) from error
