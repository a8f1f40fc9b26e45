"""Settings, layered: defaults, then the board's profile, the person's file, the environment.

Each layer holds only what it changes. All mistakes of all layers come in one SettingsError, one
a line, each with its file and line or its environment variable. Which keys there are is in
``schema``, how a mistake is worded in ``mistakes``.
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
from assistant.settings.layers import Layer, is_file, read_environment, read_file, read_profile
from assistant.settings.mistakes import Mistake, Origin, at, explain, hint, named_in
from assistant.settings.schema import Settings


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force and where they come from."""

    settings: Settings
    origins: Mapping[KeyPath, Origin]
    """Of every key that some layer sets; the others have their defaults."""
    file: Path | None
    """The person's file, if there is one."""
    profile: str
    """The board profile in force: a name in config/devices/."""
    why: str
    """How the profile was chosen, for people."""


def load(file: Path | None = None, environ: Mapping[str, str] = os.environ, root: Path = Path("/")) -> Loaded:
    """Read every layer and validate what they say together. Raises SettingsError.

    ``file`` is the person's; without one it is looked for where ``paths.settings_files`` says.
    ``root`` is where /proc and /sys are, from which the board is recognised.
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
            "Correct this, then see whether `assistant config check` is content.",
        )
    return Loaded(settings, together.origins, file, profile, why)


def prompt_text(settings: Settings) -> str:
    """The system prompt. Raises SettingsError when its file cannot be read."""
    file = paths.shipped_files("prompts").get(settings.llm.prompt, Path(settings.llm.prompt))
    try:
        return file.read_text("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The system prompt in {file} cannot be read: {error}.",
            "Let llm.prompt name a text file in UTF-8, or one of config/prompts/.",
        ) from error


def _person(
    file: Path | None, environ: Mapping[str, str], mistakes: list[Mistake]
) -> tuple[Path | None, Layer]:
    """The file that was asked for, or the first that exists."""
    for candidate in (file,) if file else paths.settings_files(environ):
        layer = read_file(candidate, mistakes)
        if layer is not None:
            return candidate, layer
    if file:
        mistakes.append(Mistake(Origin(str(file)), "", "there is no such file"))
    return file, Layer()


def _choice(said: Layer, root: Path) -> tuple[str, str]:
    """Name of the board profile and why it is this one."""
    wanted = said.values.get("device", "auto")
    if wanted == "auto" or not isinstance(wanted, str):
        board = recognise(root)
        return board.name, f"recognised: {board.why}"
    return wanted, f"chosen in {said.origins['device',]}"


def _check_prompt(layer: Layer, mistakes: list[Mistake]) -> None:
    path = ("llm", "prompt")
    prompt, origin = at(layer.values, path), layer.origins.get(path)
    named = paths.shipped_files("prompts")
    if origin is None or not isinstance(prompt, str) or prompt in named or is_file(Path(prompt)):
        return
    if "/" in prompt:
        mistakes.append(Mistake(origin, "llm.prompt", f"there is no file {prompt}"))
        return
    problem = f"no prompt '{prompt}' in config/prompts; {hint(prompt, named)}"
    mistakes.append(Mistake(origin, "llm.prompt", problem))


def _validated(layer: Layer, mistakes: list[Mistake]) -> Settings | None:
    """The settings, or None with every mistake noted.

    Rules between keys are only looked at where each key is right by itself; so what is wrong is
    taken out and the rest is looked at again, lest a second visit brings new complaints.
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
    """As JSON, where strictness still lets a list be a tuple and text be a path."""
    return Settings.model_validate_json(json.dumps(values), strict=True)


def _remove(values: Any, path: KeyPath) -> None:
    """Take a value out of nested mappings; of a list's item, the whole list."""
    *sections, last = path
    for name in sections:
        if not isinstance(values.get(name), dict):
            last = name
            break
        values = values[name]
    values.pop(last, None)
