"""A Unix socket to listen at, for its owner and group only. Nothing but a dead socket of ours is replaced."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path


def listening(path: Path) -> socket.socket:
    """A socket bound to ``path`` with mode 0660, to be closed by the caller.

    What a crash left there is replaced: a socket of this user's that nobody answers. Everything else there,
    links too, stays. Raises OSError.
    """
    with suppress(FileNotFoundError):
        status = path.lstat()
        if not stat.S_ISSOCK(status.st_mode):
            raise FileExistsError(0, "something lies there that is no socket")
        if status.st_uid != os.geteuid():
            raise FileExistsError(0, "another user's socket lies there")
        if _answers(path):
            raise FileExistsError(0, "another program listens there")
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
    """Whether somebody listens at the socket; also when it is too busy to say so."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.setblocking(False)  # noqa: FBT003
        try:
            caller.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True
