"""A process whose sound library is stuck for good is replaced by a new one of the same command.

Nothing inside a process ends a driver's call that never returns. So when something it needs is missing
and nothing sounds, everything is closed and the command begins anew in this process's place
(``os.execv``). Timers are on disk; the conversation, and what nobody could hear yet, go along in a
file in memory that has no name.
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
"""A driver may take its time, but not so long."""

NOT_AGAIN_S = 300.0
"""Where a new process does not help, neither does the next one."""

MISSING_S = 5.0
"""Most devices that are lost are opened again sooner, beside the call that is stuck."""

_LOOK_EVERY_S = 1.0

_KEPT, _BEGAN = "ASSISTANT_KEPT_FD", "ASSISTANT_REPLACED_S"
"""In the environment of the new process: the number of the open file, and when it began (on the clock of
``time.monotonic``, which goes on)."""


class Replaced(Exception):
    """Everything is to be closed and the command to begin anew. ``kept`` is what goes along."""

    def __init__(self, kept: Mapping[str, object]) -> None:
        super().__init__()
        self.kept = kept


async def due(may: Callable[[], bool], stuck_s: Callable[[], float] = lambda: DRIVER.stuck_s) -> None:
    """Return when this process is to be replaced.

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
    """What the process before this one has left; once."""
    number = os.environ.pop(_KEPT, "")
    with suppress(ValueError, OSError), open(int(number), "rb") as file:  # noqa: PTH123 - a descriptor
        file.seek(0)
        kept = json.load(file)
        return kept if isinstance(kept, dict) else {}
    return {}


def begin_anew(kept: Mapping[str, object]) -> NoReturn:
    """Become a new process of the same command. Call it when everything is closed."""
    give_stderr_back()
    file = _nameless()
    file.write(json.dumps(kept).encode())
    file.flush()
    os.set_inheritable(file.fileno(), True)  # noqa: FBT003
    environment = {**os.environ, _KEPT: str(file.fileno()), _BEGAN: str(time.monotonic())}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606


def _began_s() -> float:
    """When this process replaced another; long ago if it never did."""
    with suppress(ValueError):
        return float(os.environ.get(_BEGAN, ""))
    return -NOT_AGAIN_S


def _nameless() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("kept"), "w+b")  # noqa: PTH123 - a descriptor; it outlives us
    return tempfile.TemporaryFile()
