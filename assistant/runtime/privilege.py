"""Keeps root from touching other users' files, or lets it continue as their owner.

A user who can write to a folder can plant links in it. So root only reads there, and a command that must
write, or that loads models into native code, continues as the owner.
"""

from __future__ import annotations

import logging
import os
import pwd
from pathlib import Path

log = logging.getLogger(__name__)


def stranger(folder: Path) -> int | None:
    """Return the user who owns ``folder`` or a parent of it, if this is root and that is another user.

    A folder that does not exist yet is judged by its parents. Links are not followed, because a user who can
    change a link controls its target.
    """
    if os.geteuid() != 0:
        return None
    whole = folder.expanduser().absolute()
    for place in (*reversed(whole.parents), whole):
        try:
            owner = place.lstat().st_uid
        except OSError:
            return None
        if owner != 0:
            return owner
    return None


def become(user: int) -> None:
    """Continue as ``user`` for good, with that user's home and groups."""
    try:
        entry = pwd.getpwuid(user)
    except KeyError:
        name, group, home = str(user), user, "/"
        os.setgroups([group])
    else:
        name, group, home = entry.pw_name, entry.pw_gid, entry.pw_dir
        os.initgroups(name, group)
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    for variable in [each for each in os.environ if each.startswith("XDG_")]:
        del os.environ[variable]
    os.environ.update(HOME=home, USER=name, LOGNAME=name)
    log.info("user=%s reason=owns-the-models", name)
