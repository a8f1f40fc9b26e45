"""The owner's own skills: Python files in a folder of theirs.

Such a file is code that runs with all the assistant's rights, so it is only imported when
its owner (or root) alone could have written it.
"""

from __future__ import annotations

import importlib.util
import os
import stat
import traceback
from pathlib import Path
from types import ModuleType

from assistant.core.errors import SkillInvalid


def modules(folder: Path) -> list[ModuleType]:
    """Import every ``*.py`` of the folder, in the order of their names.

    Raises SkillInvalid when one cannot be imported or others could have written it.
    """
    _check_private(folder)
    return [_import(file) for file in sorted(folder.glob("*.py"))]


def intents(folder: Path) -> list[Path]:
    """The folder's files of sentences. Raises SkillInvalid when others could have written one."""
    files = sorted(folder.glob("*.yaml"))
    for file in files:
        _check_private(file)
    return files


def _check_private(path: Path) -> None:
    try:
        status = path.lstat()
    except OSError as error:
        raise SkillInvalid(
            f"Your skills in {path} cannot be read: {error.strerror}.", "Check skills.folder in the settings."
        ) from error
    if stat.S_ISLNK(status.st_mode):
        raise SkillInvalid(f"{path} is a link.", "Put the file or folder itself there.")
    if status.st_uid not in {0, os.getuid()}:
        raise SkillInvalid(
            f"{path} belongs to another user, so it is not run.", f"Run: sudo chown {os.getuid()} '{path}'"
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise SkillInvalid(f"Others may write to {path}, so it is not run.", f"Run: chmod go-w '{path}'")


def _import(file: Path) -> ModuleType:
    _check_private(file)
    spec = importlib.util.spec_from_file_location(f"own_skills.{file.stem}", file)
    if spec is None or spec.loader is None:
        raise SkillInvalid(f"{file} is not a Python file.", "Take it out of the folder.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        line = error.lineno if isinstance(error, SyntaxError) else _line_in(file, error)
        raise SkillInvalid(
            f"{file}, line {line}: {type(error).__name__}: {error}.",
            "Correct it, or take the file out of the folder.",
        ) from error
    return module


def _line_in(file: Path, error: BaseException) -> int | str:
    """The last line of that file on the way to the error."""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)
    ]
    return (lines[-1] if lines else None) or "?"
