"""A Unix socket to listen on, for its owner and group only. It replaces nothing but a dead socket of ours."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path


def listening(path: Path) -> socket.socket:
    """Return a socket bound to ``path`` with mode 0660, to be closed by the caller.

    A leftover from a crash is replaced: this user's socket, if nothing answers there. Everything else there,
    including links, stays. Raises OSError.
    """
    with suppress(FileNotFoundError):
        status = path.lstat()
        if not stat.S_ISSOCK(status.st_mode):
            raise FileExistsError(0, "it exists and is not a socket")
        if status.st_uid != os.geteuid():
            raise FileExistsError(0, "it is another user's socket")
        if _answers(path):
            raise FileExistsError(0, "another program is listening there")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o117)
    try:
        listener.bind(str(path))
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(umask)
    return listener


def _answers(path: Path) -> bool:
    """True if something is listening at the socket, even if it is too busy to answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.setblocking(False)  # noqa: FBT003
        try:
            caller.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True
