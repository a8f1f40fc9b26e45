"""Settings in layers: defaults, board profile, user's file, environment.

Each layer contains only what it changes. All mistakes in all layers are reported in one SettingsError, one
per line, each with its file and line or its environment variable. ``schema`` defines the keys, and
``mistakes`` the wording.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from assistant.board.recognise import recognise
from assistant.core.errors import SettingsError
from assistant.runtime import paths
from assistant.runtime.yaml import KeyPath
from assistant.settings.keys import whole
from assistant.settings.layers import Layer, is_file, read_environment, read_file, read_profile
from assistant.settings.mistakes import Mistake, Origin, at, explain, hint, named_in
from assistant.settings.schema import Settings


@dataclass(frozen=True, slots=True)
class Loaded:
    """The current settings and where they come from."""

    settings: Settings
    origins: Mapping[KeyPath, Origin]
    """Source of each key set by a layer; the others have their defaults."""
    file: Path | None
    """The user's file, if there is one."""
    profile: str
    """The current board profile: a name in config/devices/."""
    why: str
    """How the profile was chosen, shown to the user."""


def load(file: Path | None = None, environ: Mapping[str, str] = os.environ, root: Path = Path("/")) -> Loaded:
    """Read every layer and validate them together. Raises SettingsError.

    ``file`` is the user's; without it, ``paths.settings_files`` says where to look. ``root`` is where /proc
    and /sys are, for recognizing the board.
    """
    mistakes: list[Mistake] = []
    file, person = _person(file, environ, mistakes)
    said = read_environment(environ, mistakes).over(person)
    profile, why = _choice(said, root)
    together = said.over(read_profile(profile, said.origins.get(("device",)), mistakes))
    _check_prompt(together, mistakes)
    settings = _validated(together, mistakes)
    if settings is None or mistakes:
        raise SettingsError(
            "\n".join(str(mistake) for mistake in sorted(set(mistakes))),
            "Correct this, then run `assistant config check`.",
        )
    return Loaded(settings, together.origins, file, profile, why)


def prompt_text(settings: Settings) -> str:
    """Return the system prompt. Raises SettingsError if its file cannot be read."""
    file = paths.shipped_files("prompts").get(settings.llm.prompt, Path(settings.llm.prompt))
    try:
        return file.read_text("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The system prompt in {file} cannot be read: {error}.",
            "Set llm.prompt to a UTF-8 text file, or to a name in config/prompts/.",
        ) from error


def _person(
    file: Path | None, environ: Mapping[str, str], mistakes: list[Mistake]
) -> tuple[Path | None, Layer]:
    """Return the requested file, or the first one that exists."""
    for candidate in (file,) if file else paths.settings_files(environ):
        layer = read_file(candidate, mistakes)
        if layer is not None:
            return candidate, layer
    if file:
        mistakes.append(Mistake(Origin(str(file)), "", "there is no such file"))
    return file, Layer()


def _choice(said: Layer, root: Path) -> tuple[str, str]:
    """Return the name of the board profile and the reason for choosing it."""
    wanted = said.values.get("device", "auto")
    if wanted == "auto" or not isinstance(wanted, str):
        board = recognise(root)
        return board.name, f"recognized: {board.why}"
    return wanted, f"set by {said.origins['device',]}"


def _check_prompt(layer: Layer, mistakes: list[Mistake]) -> None:
    path = ("llm", "prompt")
    prompt, origin = at(layer.values, path), layer.origins.get(path)
    named = paths.shipped_files("prompts")
    if origin is None or not isinstance(prompt, str) or prompt in named or is_file(Path(prompt)):
        return
    if "/" in prompt:
        mistakes.append(Mistake(origin, "llm.prompt", f"there is no file {prompt}"))
        return
    problem = f"unknown prompt '{prompt}' in config/prompts; {hint(prompt, named)}"
    if " " in prompt.strip():
        problem = "the prompt is a file: write this text into one, and put its path here"
    mistakes.append(Mistake(origin, "llm.prompt", problem))


def _validated(layer: Layer, mistakes: list[Mistake]) -> Settings | None:
    """Return the settings, or None after recording every mistake.

    Rules that involve several keys are checked only if each key is valid. So wrong values are removed and the
    rest is checked again, or a second run would report new mistakes.
    """
    try:
        return _strict(layer.values)
    except ValidationError as first:
        wrong = first.errors(include_url=False)
    mistakes += [explain(error, layer.values, layer.origins) for error in wrong]
    rest = json.loads(json.dumps(layer.values))
    removed = [error["loc"] for error in wrong if error["type"] != "value_error"]
    for path in removed:
        _remove(rest, path)
    try:
        _strict(rest)
    except ValidationError as second:
        for error in second.errors(include_url=False):
            rule_is_about = {key.path for key in named_in(error["msg"], error["loc"])}
            if not rule_is_about & set(removed):
                mistakes.append(explain(error, rest, layer.origins))
    return None


def _strict(values: dict[str, Any]) -> Settings:
    """Validate as JSON, where strict mode still accepts a list for a tuple and text for a path."""
    return whole().model_validate_json(json.dumps(values), strict=True)


def _remove(values: Any, path: KeyPath) -> None:
    """Remove a value from nested mappings; for a list item, the whole list."""
    *sections, last = path
    for name in sections:
        if not isinstance(values.get(name), dict):
            last = name
            break
        values = values[name]
    values.pop(last, None)
