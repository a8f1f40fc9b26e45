"""The owner's own skills: Python files in a folder of theirs.

Such a file runs with all the assistant's permissions, so it is read only if nobody but its owner (or root)
could have written it, and only the file itself is run, not bytecode beside it. Each call has two seconds; a
skill that takes longer, or raises anything, is reported by name, and everything else continues.
"""

from __future__ import annotations

import ctypes
import os
import stat
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from assistant.core.errors import SkillInvalid

T = TypeVar("T")

LIMIT_S = 2.0
"""For loading a file of skills, and for each call of one."""

MOST_BYTES = 1_000_000
"""Maximum size of one file."""


class TooSlow(Exception):
    """The skill did not finish within the limit."""


class _Over(BaseException):
    """Raised inside a skill that took too long, to end it."""


def limited(call: Callable[[], T], limit_s: float | None = None) -> T:
    """Return or raise whatever ``call`` does, or raise TooSlow.

    It runs on its own thread. If it is still running after the limit, it is told to end; Python code does.
    """
    results: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            raised.append(error)

    thread = threading.Thread(target=run, name="own-skill", daemon=True)
    thread.start()
    thread.join(LIMIT_S if limit_s is None else limit_s)
    if raised:
        raise raised[0]
    if not results:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Over))
        raise TooSlow
    return results[0]


def modules(folder: Path) -> list[ModuleType]:
    """Import every ``*.py`` file of the folder, in order of name.

    Raises SkillInvalid if one cannot be imported, or others could have written it.
    """
    _check_private(folder, of_folder=True)
    return [_import(file) for file in sorted(folder.glob("*.py"))]


def intents(folder: Path) -> list[Path]:
    """Return the folder's files of sentences. Raises SkillInvalid if others could have written one."""
    files = sorted(folder.glob("*.yaml"))
    for file in files:
        _check_private(file)
    return files


def _check_private(path: Path, *, of_folder: bool = False) -> None:
    try:
        status = path.lstat()
        above = [place for place in path.absolute().parents if of_folder and _is_open(place)]
    except OSError as error:
        raise SkillInvalid(
            f"Your skills in {path} cannot be read: {error.strerror}.", "Check skills.folder in the settings."
        ) from error
    if stat.S_ISLNK(status.st_mode):
        raise SkillInvalid(
            f"{path} is a symbolic link, so it is not run.", "Replace it by the file or folder itself."
        )
    if not (stat.S_ISDIR if of_folder else stat.S_ISREG)(status.st_mode):
        raise SkillInvalid(
            f"{path} is not a {'folder' if of_folder else 'file'}.", "Remove it from the folder."
        )
    if status.st_uid not in {0, os.getuid()}:
        raise SkillInvalid(
            f"{path} belongs to another user, so it is not run.", f"Run: sudo chown {os.getuid()} '{path}'"
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise SkillInvalid(f"Other users can write to {path}, so it is not run.", f"Run: chmod go-w '{path}'")
    if above:
        raise SkillInvalid(
            f"Other users can write to {above[0]}, so they could replace {path}.",
            f"Run: chmod go-w '{above[0]}', or move your skills to another folder.",
        )


def _is_open(folder: Path) -> bool:
    """True if other users can replace what is in it. With the sticky bit, as in /tmp, they can't."""
    status = folder.stat()
    if status.st_uid not in {0, os.getuid()}:
        return True
    return bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)) and not status.st_mode & stat.S_ISVTX


def _import(file: Path) -> ModuleType:
    _check_private(file)
    module = ModuleType(f"own_skills.{file.stem}")
    module.__file__ = str(file)
    try:
        content = _content(file)
        limited(lambda: exec(compile(content, str(file), "exec", dont_inherit=True), vars(module)))  # noqa: S102
    except TooSlow:
        raise SkillInvalid(
            f"{file} takes more than {LIMIT_S:g} s to load.",
            "Move the slow part into its functions, or remove the file from the folder.",
        ) from None
    except BaseException as error:
        line = error.lineno if isinstance(error, SyntaxError) else _line_in(file, error)
        raise SkillInvalid(
            f"{file}, line {line}: {type(error).__name__}: {error}.",
            "Correct it, or remove the file from the folder.",
        ) from error
    return module


def _content(file: Path) -> bytes:
    """Read the file's current content, if it is still a file. Raises OSError, ValueError."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as opened:
        content = opened.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError("it is too large")
    return content


def _line_in(file: Path, error: BaseException) -> int | str:
    """Return the last line of that file in the error's traceback."""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)
    ]
    return (lines[-1] if lines else None) or "?"
