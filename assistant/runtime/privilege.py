"""Whose files root would touch, and how root becomes that user: it never trusts what a user may write.

Somebody who may write to a folder may plant links in it. So root only reads there, and a command that has to
write, or that loads models into native code, goes on as the owner.
"""

from __future__ import annotations

import logging
import os
import pwd
from pathlib import Path

log = logging.getLogger(__name__)


def stranger(folder: Path) -> int | None:
    """The user who owns ``folder`` or a folder on the way to it, when this is root and that is another user.

    A folder that does not exist yet is judged by those above it. Links are not followed: who may change one
    owns what it leads to.
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
    """Go on as ``user`` for good, in that user's home and groups."""
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
