"""The files that ship with the program: board profiles, prompts, the model catalogue.

In a checkout they lie beside the package; a built wheel carries a copy inside it. What belongs
to the person who runs the program is in ``paths``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from assistant.core.errors import AssistantError

PACKAGE = Path(__file__).resolve().parent.parent


def folder(name: Literal["config", "models"]) -> Path:
    """The folder of that name, as shipped. Raises AssistantError when the installation lacks it."""
    for place in (PACKAGE / "_data" / name, PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise AssistantError(
        f"This installation is incomplete: its '{name}' folder is missing.",
        "Install the assistant again.",
    )


def named(kind: Literal["devices", "prompts"]) -> dict[str, Path]:
    """The shipped board profiles or prompts by name, which is the file's name without its ending."""
    here = folder("config") / kind
    if not here.is_dir():
        return {}
    return {file.stem: file for file in sorted(here.iterdir()) if file.is_file() and file.name[0] != "."}
