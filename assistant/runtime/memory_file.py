"""Files that exist only in memory: written once, sealed against changes, and read by path like any other.

Each file is a Linux ``memfd``: it is on no disk, and it is gone when its last descriptor is closed. The
libraries that load models open files by name, so a model's folder is a folder of links to
``/proc/self/fd/N``, and only names are on the disk. Independent of models and keys.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

from assistant.core.errors import EngineFailed, EngineUnavailable

_SEALS = ("F_SEAL_SEAL", "F_SEAL_SHRINK", "F_SEAL_GROW", "F_SEAL_WRITE")
_MARK = "/proc/self/fd/"


def require() -> None:
    """Raise EngineUnavailable if the system has no such files."""
    if not hasattr(os, "memfd_create") or not Path(_MARK).is_dir():
        raise EngineUnavailable(
            "Encrypted models need in-memory files (memfd), which this system doesn't have.",
            "Use them on Linux, or decrypt the model with `assistant models decrypt`.",
        )


def create(name: str, content: Iterable[bytes], mtime_ns: int) -> int:
    """Create a sealed file and return its descriptor, which the caller closes.

    Nothing is left behind if ``content`` raises. Raises EngineFailed if there isn't enough memory.
    """
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for piece in content:
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        os.fchmod(descriptor, 0o400)
        os.utime(descriptor, ns=(mtime_ns, mtime_ns))
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, sum(getattr(fcntl, seal) for seal in _SEALS))
    except (OSError, MemoryError) as error:
        os.close(descriptor)
        raise EngineFailed(
            f"There isn't enough memory for the file {name}: {error}.",
            "Close other programs, or choose a smaller model.",
        ) from error
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def link(place: Path, descriptor: int) -> None:
    """Link ``place`` to the file. The link works only in this process, while the descriptor is open."""
    place.symlink_to(f"{_MARK}{descriptor}")


def is_held(path: Path) -> bool:
    """True if ``path`` is such a link. Nothing derived from its content may be written to disk."""
    return path.is_symlink() and str(path.readlink()).startswith(_MARK)


def descriptor(path: Path) -> int:
    """The descriptor that such a link leads to."""
    return int(str(path.readlink()).removeprefix(_MARK))
