"""Extensions: what other installed packages add to the assistant, found by their entry points.

The groups are ``shelf_assistant.engines``, ``.skills``, ``.languages``, ``.boards``, ``.services``,
``.audio`` and ``.commands``; CONTRIBUTING.md says what an entry point in each must refer to. A broken package
stops nothing: it is reported in one sentence with its name, in the log and in `assistant doctor`, and
everything else works without it.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, Literal, TypeAlias, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

Group: TypeAlias = Literal["engines", "skills", "languages", "boards", "services", "audio", "commands"]

OURS = "shelf-assistant"
"""The assistant's own distribution, which also adds its tools by entry points."""


@dataclass(frozen=True, slots=True)
class Extension(Generic[T]):
    """A loaded entry point of another package."""

    group: Group
    name: str
    package: str
    """The distribution that declares it, with its version; empty if unknown."""
    value: T | None
    """The object it refers to; None if it can't be used."""
    problem: str = ""
    """Why it can't be used, as one sentence with its name."""

    @property
    def is_ours(self) -> bool:
        return self.package.startswith(f"{OURS} ")

    def __str__(self) -> str:
        of = f" of {self.package}" if self.package else ""
        return f"the {_SINGULAR[self.group]} '{self.name}'{of}"

    def unusable(self, error: BaseException) -> str:
        """Return a sentence that says that it can't be used, and why."""
        return f"{self} cannot be used: {' '.join(str(error).split()) or type(error).__name__}"


def found(group: Group, kind: type[T]) -> Mapping[str, T]:
    """Return the objects of a group's extensions by name; problems with the others are logged, once."""
    found = look(group, kind)
    for each in found:
        if each.problem and each not in _told:
            _told.append(each)
            log.warning("extension=unusable problem=%r", each.problem)
    return {each.name: each.value for each in found if each.value is not None}


def look(group: Group, kind: type[T]) -> Sequence[Extension[T]]:
    """Load all extensions of a group, including broken ones; ``kind`` is the required type. Never raises."""
    return [_loaded(group, point, kind) for point in _points(group)]


def imported(path: str) -> Any:
    """Import a path such as "package.module:name". Raises ImportError, AttributeError."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def _loaded(group: Group, point: EntryPoint, kind: type[T]) -> Extension[T]:
    package = f"{point.dist.name} {point.dist.version}" if point.dist else ""
    missing: Extension[T] = Extension(group, point.name, package, None)
    try:
        value = point.load()
        if not isinstance(value, kind):
            raise TypeError(f"{point.value} is not a {kind.__name__}")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a foreign module may raise anything
        return replace(missing, problem=missing.unusable(error))
    return replace(missing, value=value)


@functools.cache
def _points(group: Group) -> Sequence[EntryPoint]:
    """Return the entry points of a group by name; reading the installed packages takes milliseconds."""
    return sorted(entry_points(group=f"shelf_assistant.{group}"), key=lambda point: point.name)


_told: list[Extension[Any]] = []

_SINGULAR: Mapping[Group, str] = {
    "engines": "engine",
    "skills": "skill",
    "languages": "language",
    "boards": "board",
    "services": "service",
    "audio": "sound backend",
    "commands": "command",
}
