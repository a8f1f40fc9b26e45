"""Where the files of the person or the service lie: settings, data, cache, run time.

A person's run follows the XDG base directory specification; systemd tells its service the
folders through ``STATE_DIRECTORY`` and its siblings. Nothing here touches the disk.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

NAME = "assistant"

SYSTEM_SETTINGS = Path("/etc") / NAME / f"{NAME}.yaml"


def settings_files(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Where the settings file may lie; the first that exists is the one."""
    return (_xdg(environ, "XDG_CONFIG_HOME", ".config") / f"{NAME}.yaml", SYSTEM_SETTINGS)


def data(environ: Mapping[str, str] = os.environ) -> Path:
    """What must survive: models, saved prompt states."""
    return _systemd(environ, "STATE_DIRECTORY") or _xdg(environ, "XDG_DATA_HOME", ".local/share")


def models(environ: Mapping[str, str] = os.environ) -> Path:
    """Where models are kept unless ``store.models`` says otherwise."""
    return data(environ) / "models"


def cache(environ: Mapping[str, str] = os.environ) -> Path:
    """What may be deleted at any time: unfinished downloads, compiled graphs."""
    return _systemd(environ, "CACHE_DIRECTORY") or _xdg(environ, "XDG_CACHE_HOME", ".cache")


def runtime(environ: Mapping[str, str] = os.environ) -> Path:
    """What lives as long as the session: sockets."""
    made_for_us = _systemd(environ, "RUNTIME_DIRECTORY")
    if made_for_us is not None:
        return made_for_us
    session = Path(environ.get("XDG_RUNTIME_DIR", ""))
    if session.is_absolute():
        return session / NAME
    return Path(tempfile.gettempdir()) / f"{NAME}-{os.getuid()}"  # everybody's folder: one name a user


def _systemd(environ: Mapping[str, str], variable: str) -> Path | None:
    """The first folder that systemd made for the service; its list is separated by colons."""
    first = environ.get(variable, "").split(":")[0]
    return Path(first) if Path(first).is_absolute() else None


def _xdg(environ: Mapping[str, str], variable: str, below_home: str) -> Path:
    """An XDG base folder; the specification says to ignore relative values."""
    base = Path(environ.get(variable, ""))
    if not base.is_absolute():
        base = Path(environ.get("HOME") or os.path.expanduser("~")) / below_home  # noqa: PTH111  never raises
    return base / NAME
