"""Replaces a process whose sound library is stuck by a new one with the same command.

Nothing inside a process can end a driver call that never returns. So if a device it needs is missing and
nothing is playing, everything is closed and the command starts over in place of this process (``os.execv``).
Timers are on disk; the conversation, and messages nobody could hear yet, are passed on in an unnamed file in
memory.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any, NoReturn

from assistant.audio.lines import DRIVER
from assistant.audio.portaudio import give_stderr_back

log = logging.getLogger(__name__)

STUCK_S = 30.0
"""A driver may be slow, but not this slow."""

NOT_AGAIN_S = 300.0
"""If a new process doesn't help, another one won't either."""

MISSING_S = 5.0
"""Most lost devices are reopened sooner, beside the stuck call."""

_LOOK_EVERY_S = 1.0

_KEPT, _BEGAN = "ASSISTANT_KEPT_FD", "ASSISTANT_REPLACED_S"
"""Environment of the new process: the number of the open file, and its start time (by ``time.monotonic``,
which continues).
"""


class Replaced(Exception):
    """Close everything and start the command over. ``kept`` is passed on."""

    def __init__(self, kept: Mapping[str, object]) -> None:
        super().__init__()
        self.kept = kept


async def due(may: Callable[[], bool], stuck_s: Callable[[], float] = lambda: DRIVER.stuck_s) -> None:
    """Return when this process should be replaced.

    ``may`` is True while a device is missing and nothing is playing; it must stay so for MISSING_S.
    """
    since_s: float | None = None
    while True:
        now_s = time.monotonic()
        since_s = (now_s if since_s is None else since_s) if may() else None
        has_waited = since_s is not None and now_s - since_s >= MISSING_S
        if has_waited and stuck_s() >= STUCK_S and now_s - _began_s() >= NOT_AGAIN_S:
            break
        await asyncio.sleep(_LOOK_EVERY_S)
    log.error("sound=stuck for_s=%.0f action=replace-process", stuck_s())


def taken_over() -> dict[str, Any]:
    """Return what the previous process left; only once."""
    number = os.environ.pop(_KEPT, "")
    with suppress(ValueError, OSError), open(int(number), "rb") as file:  # noqa: PTH123 - a descriptor
        file.seek(0)
        kept = json.load(file)
        return kept if isinstance(kept, dict) else {}
    return {}


def begin_anew(kept: Mapping[str, object]) -> NoReturn:
    """Become a new process with the same command. Call it after everything is closed."""
    give_stderr_back()
    file = _nameless()
    file.write(json.dumps(kept).encode())
    file.flush()
    os.set_inheritable(file.fileno(), True)  # noqa: FBT003
    environment = {**os.environ, _KEPT: str(file.fileno()), _BEGAN: str(time.monotonic())}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606


def _began_s() -> float:
    """Return when this process replaced another; long ago if it didn't."""
    with suppress(ValueError):
        return float(os.environ.get(_BEGAN, ""))
    return -NOT_AGAIN_S


def _nameless() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("kept"), "w+b")  # noqa: PTH123 - a descriptor; it outlives us
    return tempfile.TemporaryFile()
