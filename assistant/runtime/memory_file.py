"""Files that are in memory only: made once, sealed against any change, and read like others by path.

A file is a ``memfd`` of Linux: it belongs to no disk, and it is gone when nobody holds it any more. The
libraries that load models open files by name, so a folder of links to ``/proc/self/fd/N`` stands for
the folder of a model: on the disk are names only. Knows nothing of models or keys.
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
    """Raises EngineUnavailable where there are no such files."""
    if not hasattr(os, "memfd_create") or not Path(_MARK).is_dir():
        raise EngineUnavailable(
            "Encrypted models need files that are in memory only, and this system has none.",
            "Use them on Linux, or decrypt the model with `assistant models decrypt`.",
        )


def create(name: str, content: Iterable[bytes], mtime_ns: int) -> int:
    """A sealed file with that content and time of change; its descriptor, to be closed by the caller.

    Nothing is left of it when ``content`` raises. Raises EngineFailed when memory does not suffice.
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
            f"There is no memory for the file {name}: {error}.",
            "End other programs, or choose a smaller model.",
        ) from error
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def link(place: Path, descriptor: int) -> None:
    """Let ``place`` lead to the file, as long as the descriptor is open, in this process only."""
    place.symlink_to(f"{_MARK}{descriptor}")


def is_held(path: Path) -> bool:
    """Whether ``path`` is such a link: what is derived from its content must not reach a disk either."""
    return path.is_symlink() and str(path.readlink()).startswith(_MARK)
