"""Paths of all files: the user's or the service's own, and those that ship with the program.

For a user, they follow the XDG base directory specification; systemd passes the service its folders in
``STATE_DIRECTORY``, ``CACHE_DIRECTORY`` and ``RUNTIME_DIRECTORY``. Nothing is created here.

Board profiles, prompts and the model catalog ship with the program. In a checkout they are beside the
package; a built wheel carries a copy inside it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Literal

from assistant.core.errors import AssistantError
from assistant.runtime import extensions

NAME = "assistant"

PACKAGE = Path(__file__).resolve().parent.parent

SYSTEM_SETTINGS = Path("/etc") / NAME / f"{NAME}.yaml"
SYSTEM_CONTROL = Path("/run") / NAME / "control"


def settings_files(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Possible paths of the settings file; the first one that exists is used."""
    return (_xdg(environ, "XDG_CONFIG_HOME", ".config") / f"{NAME}.yaml", SYSTEM_SETTINGS)


def data(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder for what must survive a restart: models, timers, saved prompt states."""
    return _by_systemd(environ, "STATE_DIRECTORY") or _xdg(environ, "XDG_DATA_HOME", ".local/share")


def cache(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder for what can be deleted at any time."""
    return _by_systemd(environ, "CACHE_DIRECTORY") or _xdg(environ, "XDG_CACHE_HOME", ".cache")


def models(chosen: Path | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """The models folder: ``store.models`` if set, otherwise inside the data folder."""
    return chosen or data(environ) / "models"


def control(environ: Mapping[str, str] = os.environ) -> Path:
    """The control socket of a running assistant.

    Without a runtime folder for the user's sockets, it is in their data folder, which is just as private.
    """
    by_xdg = Path(environ.get("XDG_RUNTIME_DIR", ""))
    by_person = by_xdg / NAME if by_xdg.is_absolute() else data(environ)
    return (_by_systemd(environ, "RUNTIME_DIRECTORY") or by_person) / "control"


def controls(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Possible control sockets of a running assistant: the user's own, then the system service's."""
    return (control(environ), SYSTEM_CONTROL)


def shipped_folder(name: Literal["config", "models"]) -> Path:
    """Return the shipped folder with that name. Raises AssistantError if the installation lacks it."""
    for place in (PACKAGE / "_data" / name, PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise AssistantError(
        f"This installation is incomplete: its '{name}' folder is missing.",
        "Reinstall the assistant.",
    )


def shipped_files(kind: Literal["devices", "prompts"]) -> dict[str, Path]:
    """Return the board profiles or prompts by name, which is the file name without its extension.

    Profiles from other packages (``shelf_assistant.boards``) come before ours.
    """
    modules = extensions.found("boards", ModuleType).values() if kind == "devices" else ()
    folders = [Path(module.__file__).parent for module in modules if module.__file__]
    here = shipped_folder("config") / kind
    files = [file for folder in folders for file in sorted(folder.glob("*.yaml"))]
    files += sorted(here.iterdir()) if here.is_dir() else ()
    return {file.stem: file for file in files if file.is_file() and file.name[0] != "."}


def _by_systemd(environ: Mapping[str, str], variable: str) -> Path | None:
    """The first folder that systemd created for the service."""
    folder = Path(environ.get(variable, "").split(":")[0])
    return folder if folder.is_absolute() else None


def _xdg(environ: Mapping[str, str], variable: str, below_home: str) -> Path:
    """An XDG base folder; the specification says to ignore relative values."""
    base = Path(environ.get(variable, ""))
    if not base.is_absolute():
        base = Path(environ.get("HOME") or os.path.expanduser("~")) / below_home  # noqa: PTH111  never raises
    return base / NAME
