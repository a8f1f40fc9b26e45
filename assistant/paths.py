"""Where the files of the person or the service lie: settings and data.

A person's run follows the XDG base directory specification; systemd tells its service the
folder of its data in ``STATE_DIRECTORY``. Nothing here touches the disk.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

NAME = "assistant"

SYSTEM_SETTINGS = Path("/etc") / NAME / f"{NAME}.yaml"


def settings_files(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Where the settings file may lie; the first that exists is the one."""
    return (_xdg(environ, "XDG_CONFIG_HOME", ".config") / f"{NAME}.yaml", SYSTEM_SETTINGS)


def data(environ: Mapping[str, str] = os.environ) -> Path:
    """What must survive a restart: models, timers, saved prompt states."""
    by_systemd = Path(environ.get("STATE_DIRECTORY", "").split(":")[0])  # there may be several
    return by_systemd if by_systemd.is_absolute() else _xdg(environ, "XDG_DATA_HOME", ".local/share")


def models(environ: Mapping[str, str] = os.environ) -> Path:
    """Where models are kept unless ``store.models`` says otherwise."""
    return data(environ) / "models"


def _xdg(environ: Mapping[str, str], variable: str, below_home: str) -> Path:
    """An XDG base folder; the specification says to ignore relative values."""
    base = Path(environ.get(variable, ""))
    if not base.is_absolute():
        base = Path(environ.get("HOME") or os.path.expanduser("~")) / below_home  # noqa: PTH111  never raises
    return base / NAME
