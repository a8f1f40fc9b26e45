"""Mistakes in the settings, one plain line each.

Turns validation errors into sentences that give the place, the key, the allowed values and the closest valid
word. Knows the schema, but not how files are read or layered.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, TypeAlias

from pydantic_core import ErrorDetails

from assistant.runtime.yaml import KeyPath
from assistant.settings.keys import Key, below, item_keys, keys, nearest, one_of


class Origin(NamedTuple):
    """Where a value was set."""

    source: str
    """A file or an environment variable."""
    line: int = 0
    """Counted from 1; 0 if the source has no lines."""

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


Origins: TypeAlias = Mapping[KeyPath, Origin]
"""Origin of each key that is set, lowest-priority source first."""


class Mistake(NamedTuple):
    """One line of an error report."""

    origin: Origin
    key: str
    """Its dotted name; empty for the whole source."""
    problem: str

    def __str__(self) -> str:
        line = ": ".join(part for part in (str(self.origin), self.key, self.problem) if part)
        # This quotes user input: a line break or a terminal's escape sequence must not get through.
        return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)


def explain(error: ErrorDetails, values: Mapping[str, Any], origins: Origins) -> Mistake:
    """Explain in plain words what pydantic found in ``values``, and where it was set."""
    path = error["loc"]
    if error["type"] == "extra_forbidden":
        return Mistake(_origin(path, origins), _dotted(path), no_such_key(path))
    if error["type"] in {"value_error", "assertion_error"}:
        return _contradiction(path, str(error["ctx"]["error"]), values, origins)
    key = _key(path)
    if key is None:
        return Mistake(_origin(path, origins), _dotted(path), error["msg"])
    return Mistake(_origin(path, origins), key.name, _wrong_value(key, error["input"], path))


def no_such_key(path: KeyPath) -> str:
    """Report an unknown key, with the one that may have been meant."""
    word, section = str(path[-1]), _names(path[:-1])
    if "." in word and tuple(word.split(".")) in keys():
        parent, _, child = word.rpartition(".")
        return f"no such key; write '{child}:' below '{parent}:', indented"
    if not nearest(word, below(section)):
        names = nearest(word, {key.path[-1] for key in keys().values()})
        elsewhere = tuple(key.name for key in keys().values() if key.path[-1] in names)
        if elsewhere:
            return f"no such key; {_did_you_mean(elsewhere)}"
    return f"no such key; {hint(word, below(section))}"


def hint(word: str, among: Collection[str]) -> str:
    """Suggest the words that may have been meant, or else list all."""
    near = nearest(word, among)
    return _did_you_mean(near) if near else f"valid names are {', '.join(among)}"


def _did_you_mean(words: tuple[str, ...]) -> str:
    quoted = one_of(f"'{word}'" for word in words)
    return f"did you mean {quoted}?"


def _wrong_value(key: Key, value: Any, path: KeyPath) -> str:
    item = next((f"; item {part + 1} is" for part in path if isinstance(part, int)), ", not")
    if key.name in {"audio.input", "audio.output"} and isinstance(value, int):
        return f"a device is given by its name, not by a number ({value}); `assistant devices` lists them"
    problem = f"must be {key.wants}{item} {_shown(value)}"
    if isinstance(value, float) and value.is_integer() and "whole number" in key.wants:
        return f"must be {key.wants}; write {int(value)}, without a point or an e"
    near = nearest(value, key.choices) if isinstance(value, str) else ()
    if near:
        return f"{problem}; {_did_you_mean(near)}"
    if value is None:
        return f"{problem}; remove the key to use its default"
    if "text" in key.wants and isinstance(value, (bool, int, float)):
        return f"{problem}; put it in quotes"
    return problem


def _contradiction(path: KeyPath, rule: str, values: Mapping[str, Any], origins: Origins) -> Mistake:
    """Report a rule between keys: blame the value set last, and show the value of every key involved."""
    named = named_in(rule, path)
    written = [place for place in origins if place in {key.path for key in named}]
    shown = ", ".join(f"{key.path[-1]} is {_shown(at(values, key.path, key.default))}" for key in named)
    return Mistake(
        _origin(written[-1] if written else path, origins),
        _dotted(path),
        f"{rule} ({shown})" if shown else rule,
    )


def named_in(rule: str, section: KeyPath) -> list[Key]:
    """Return the keys of the section that a rule's sentence mentions."""
    inside = [key for key in keys().values() if key.path[: len(section)] == section and not key.is_section]
    names = {".".join(key.path[len(section) :]): key for key in inside}
    return [key for name, key in names.items() if re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", rule)]


def at(values: Any, path: KeyPath, default: Any = None) -> Any:
    """Return the value at a path of nested mappings, or ``default``."""
    for part in path:
        if not isinstance(values, Mapping) or part not in values:
            return default
        values = values[part]
    return values


def _key(path: KeyPath) -> Key | None:
    """Return the key that a path is, or is inside of."""
    names = _names(path)
    known = {**item_keys(), **keys()}
    starts = (names[:end] for end in range(len(names), 0, -1))
    return next((known[start] for start in starts if start in known), None)


def _names(path: KeyPath) -> tuple[str, ...]:
    """Return the path without list indexes."""
    return tuple(str(part) for part in path if not isinstance(part, int))


def _origin(path: KeyPath, origins: Origins) -> Origin:
    starts = (path[:end] for end in range(len(path), 0, -1))
    return next((origins[start] for start in starts if start in origins), Origin("defaults"))


def _dotted(path: KeyPath) -> str:
    return ".".join(str(part + 1 if isinstance(part, int) else part) for part in path)


def _shown(value: Any) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return str(value).lower()
        case str():
            return f"'{value}'" if len(value) <= 40 else f"'{value[:37]}...'"
        case Mapping():
            return "a section"
        case list() | tuple():
            return "a list"
        case _:
            return f"{value:.6g}" if isinstance(value, float) else str(value)
