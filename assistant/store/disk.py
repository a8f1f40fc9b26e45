"""How the store writes to the disk, and what can go wrong with it, said in words.

Everything in the store that writes does so inside ``writing``, so that a full or read-only disk is
an ``AssistantError`` with a next step and can never be mistaken for a network fault. Files are opened with
``new_file`` and ``grown_file``, which follow no link and set modes instead of inheriting them.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from assistant.core.errors import AssistantError, DownloadFailed, SettingsError, StorageFull
from assistant.runtime import privilege
from assistant.store.progress import megabytes

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""No space, over quota, or larger than a file may be on this file system (4 GB on FAT)."""

FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR})
"""No permission, or a file where a folder should be."""

RESERVE_BYTES = 16_000_000
"""Kept free beyond what is needed, for folders, journals and other programs on the disk."""


def free_bytes(folder: Path) -> int:
    """Return the bytes an ordinary user can still write below ``folder``, which need not exist yet."""
    while not folder.exists():
        folder = folder.parent
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def require(needed_bytes: int, folder: Path) -> None:
    """Raise StorageFull if ``needed_bytes`` plus the reserve don't fit below ``folder``."""
    free = free_bytes(folder)
    if needed_bytes + RESERVE_BYTES > free:
        raise StorageFull(
            f"This needs {megabytes(needed_bytes + RESERVE_BYTES)} in {folder}, but only "
            f"{megabytes(free)} is free.",
            f"Free up {megabytes(needed_bytes + RESERVE_BYTES - free)}, or set store.models to a "
            "folder on another disk.",
        )


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn operating system errors about the disk below ``folder`` into messages.

    Raises StorageFull, SettingsError (not writable) or AssistantError (a failing disk).
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull(
                f"The disk is full at {folder}.",
                "Free up some space, or set store.models to a folder on another disk, and try again.",
            ) from error
        if error.errno in FORBIDDEN:
            raise SettingsError(
                f"The folder {folder} cannot be written to.",
                "Run this as the folder's owner, or set store.models to another folder.",
            ) from error
        raise AssistantError(
            f"Writing to {folder} failed: {error.strerror or error}.", "Check the disk and its cable."
        ) from error


FOLDER_MODE, FILE_MODE = 0o755, 0o644
"""At most: models are no secret, but only their owner may change them, whatever the umask is."""

_OF_OTHERS = 0o022


def make_folder(folder: Path) -> None:
    """Make ``folder`` and those above it. Raises OSError."""
    for place in (*reversed(folder.parents), folder):
        with suppress(FileExistsError):
            place.mkdir(mode=FOLDER_MODE)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


@contextmanager
def _own_folder(folder: Path) -> Iterator[int]:
    """A descriptor of ``folder``. Raises PermissionError for root in a folder that others own."""
    if privilege.stranger(folder) is not None:
        raise PermissionError(errno.EPERM, "root does not write to another user's models", str(folder))
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if os.geteuid() == 0 and os.fstat(descriptor).st_uid != 0:
            raise PermissionError(errno.EPERM, "root does not write to another user's models", str(folder))
        yield descriptor
    finally:
        os.close(descriptor)


def _opened(path: Path, flags: int) -> int:
    with _own_folder(path.parent) as folder:
        descriptor = os.open(
            path.name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, FILE_MODE, dir_fd=folder
        )
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise PermissionError(errno.EPERM, "it is no plain file", str(path))
        if mode & _OF_OTHERS:
            os.fchmod(descriptor, stat.S_IMODE(mode) & ~_OF_OTHERS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def new_file(path: Path) -> BinaryIO:
    """``path`` open for writing, empty; what lay there is not opened, but replaced. Raises OSError."""
    with suppress(FileNotFoundError), _own_folder(path.parent) as folder:
        os.unlink(path.name, dir_fd=folder)
    return os.fdopen(_opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb")


def grown_file(path: Path) -> BinaryIO:
    """``path`` open for reading and writing from its start, made if it is not there. Raises OSError."""
    return os.fdopen(_opened(path, os.O_RDWR | os.O_CREAT), "r+b")


def replace_content(path: Path, content: str) -> None:
    """Let ``path`` hold ``content``: all of it or, after a power cut, what it held before. Raises OSError."""
    temporary = path.with_name(f"{path.name}.new")
    with new_file(temporary) as file:
        file.write(content.encode())
    with _own_folder(path.parent) as folder:
        os.replace(temporary.name, path.name, src_dir_fd=folder, dst_dir_fd=folder)


def sync(path: Path) -> None:
    """Flush a file or folder to the disk itself, so it survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn operating system errors about a USB stick or folder into DownloadFailed."""
    try:
        yield
    except OSError as error:
        raise DownloadFailed(
            f"{path} cannot be read: {error.strerror or error}.",
            "Check the path and the drive, and try again.",
        ) from error
