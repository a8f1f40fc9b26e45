"""The layers of the settings: files, board profiles, the environment.

Each is read into plain values with the source of every key. ``load`` checks the keys and combines the layers.
Mistakes are collected rather than raised, so all layers can be reported at once.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assistant.runtime import paths
from assistant.runtime.yaml import MAX_CHARACTERS, KeyPath, read
from assistant.settings.keys import Key, item_keys, keys
from assistant.settings.mistakes import Mistake, Origin, at, hint

VARIABLE = "ASSISTANT__"
"""``ASSISTANT__LLM__TEMPERATURE`` sets ``llm.temperature``."""

SWITCHES = {"on": True, "yes": True, "off": False, "no": False}
"""Words that people also write for true and false."""


@dataclass(frozen=True, slots=True)
class Layer:
    """The values of one source, or of several combined."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, Origin] = field(default_factory=dict)

    def over(self, lower: Layer) -> Layer:
        """Combine both layers; this one takes priority."""
        origins = {path: origin for path, origin in lower.origins.items() if path not in self.origins}
        return Layer(_merged(lower.values, self.values), {**origins, **self.origins})


def read_file(file: Path, mistakes: list[Mistake]) -> Layer | None:
    """Read a YAML file; None if it doesn't exist."""
    try:
        if stat.S_ISFIFO(file.stat().st_mode) or stat.S_ISSOCK(file.stat().st_mode):
            mistakes.append(Mistake(Origin(str(file)), "", "this isn't a plain file"))
            return Layer()
        with file.open("rb") as stream:
            raw = stream.read(4 * MAX_CHARACTERS + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        mistakes.append(Mistake(Origin(str(file)), "", f"cannot be read: {error.strerror}"))
        return Layer()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        origin = Origin(str(file), raw.count(b"\n", 0, error.start) + 1)
        mistakes.append(Mistake(origin, "", "this isn't UTF-8 text; save the file as UTF-8"))
        return Layer()
    marked = read(text)
    mistakes += [Mistake(Origin(str(file), fault.line), "", fault.problem) for fault in marked.faults]
    if not isinstance(marked.value, dict):
        if marked.value is not None:
            problem = "the file must consist of keys such as 'llm:', each followed by a ':'"
            mistakes.append(Mistake(Origin(str(file), 1), "", problem))
        return Layer()
    origins = {path: Origin(str(file), line) for path, line in marked.lines.items()}
    return Layer(_adapted(marked.value, file.absolute().parent), origins)


def read_environment(environ: Mapping[str, str], mistakes: list[Mistake]) -> Layer:
    """Read the environment variables, each with one value in YAML."""
    layer = Layer()
    mistakes += [_near_miss(name) for name in sorted(environ) if _meant(name)]
    for variable in sorted(name for name in environ if name.startswith(VARIABLE)):
        origin = Origin(variable.encode("ascii", "backslashreplace").decode())
        marked = read(environ[variable])
        if marked.faults:
            mistakes += [Mistake(origin, "", fault.problem) for fault in marked.faults]
            continue
        path = tuple(origin.source[len(VARIABLE) :].lower().split("__"))
        values: Any = marked.value
        for name in reversed(path):
            values = {name: values}
        origins: dict[KeyPath, Origin] = {path[: end + 1]: origin for end in range(len(path))}
        origins.update({(*path, *rest): origin for rest in marked.lines})
        layer = Layer(_adapted(values, Path()), origins).over(layer)
    return layer


def _meant(name: str) -> str:
    """The variable that was probably meant; empty for a right one, or another program's."""
    if not name.upper().startswith("ASSISTANT_") or name.startswith(VARIABLE):
        return ""
    words = name.upper().removeprefix("ASSISTANT_").strip("_").replace("__", "_")
    names = [key.path for key in keys().values() if not key.is_section]
    meant = {"_".join(path).upper(): "__".join(path).upper() for path in names}
    return f"{VARIABLE}{meant[words]}" if words in meant else ""


def _near_miss(name: str) -> Mistake:
    return Mistake(Origin(name), "", f"this is not read; did you mean {_meant(name)}?")


def read_profile(
    name: str, asked: Origin | None, mistakes: list[Mistake], heirs: tuple[str, ...] = ()
) -> Layer:
    """Read a board profile and those it inherits from. ``asked`` is where its name is set, if anywhere."""
    files = paths.shipped_files("devices")
    origin = asked or Origin("device")
    if name not in files:
        key = "inherits" if heirs else "device"
        mistakes.append(Mistake(origin, key, f"unknown board profile '{name}'; {hint(name, files)}"))
        return Layer()
    if name in heirs:
        chain = " -> ".join((*heirs, name))
        mistakes.append(Mistake(origin, "inherits", f"profiles inherit in a circle: {chain}"))
        return Layer()
    layer = read_file(files[name], mistakes) or Layer()
    layer.values.pop("signs", None)  # `board.recognise` reads them
    for path in [path for path in layer.origins if path[0] == "signs"]:
        del layer.origins[path]
    parent = layer.values.pop("inherits", None)
    if parent is None:
        return layer
    origin = layer.origins.pop(("inherits",))
    return layer.over(read_profile(str(parent), origin, mistakes, (*heirs, name)))


def _adapted(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Accept what people write: empty sections, on and off, paths relative to their file."""
    for key in keys().values():
        section, name = at(values, key.path[:-1]), key.path[-1]
        if not isinstance(section, dict) or name not in section:
            continue
        value = section[name]
        if key.is_section and value is None:
            section[name] = {}
        elif isinstance(value, str) and key.wants == "true or false":
            section[name] = SWITCHES.get(value.lower(), value)
        elif isinstance(value, str) and ("a path" in key.wants or _is_own_file(key, value, folder)):
            section[name] = _absolute(value, folder)
    for key in item_keys().values():
        items = at(values, key.path[:-1])
        for item in items if isinstance(items, list) and "a path" in key.wants else ():
            if isinstance(item, dict) and isinstance(item.get(key.path[-1]), str):
                item[key.path[-1]] = _absolute(item[key.path[-1]], folder)
    return values


def _absolute(path: str, folder: Path) -> str:
    return str(folder / os.path.expanduser(path))  # noqa: PTH111  Path's raises


def _is_own_file(key: Key, value: str, folder: Path) -> bool:
    """True if the value of a key that can also hold a name is a path."""
    if key.name == "llm.adapter":
        return value.endswith(".gguf")
    if key.name != "llm.prompt" or value in paths.shipped_files("prompts"):
        return False
    return "/" in value or is_file(folder / value)


def is_file(path: Path) -> bool:
    """Like Path.is_file, but returns False instead of raising for a name that is too long or a closed
    folder.
    """
    return os.path.isfile(path)  # noqa: PTH113


def _merged(lower: Any, upper: Any) -> Any:
    """Merge sections key by key; replace anything else."""
    if not isinstance(lower, dict) or not isinstance(upper, dict):
        return upper
    return {**lower, **{name: _merged(lower.get(name), value) for name, value in upper.items()}}
