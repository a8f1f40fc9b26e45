"""The contract of a knowledge topic: tables, and the questions they answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from assistant.text.pattern import Read


@dataclass(frozen=True, slots=True)
class Fact:
    """An answer from a source."""

    text: str
    source: str
    """The source's name, for when someone asks."""


Lookup: TypeAlias = Callable[..., Fact | None]
"""A method that sentences call by name. Its parameters are slots that the topic reads from its own tables,
so a sentence fits only if the tables have what it asks for. After None, the next sentence is tried.
"""


class Topic(Protocol):
    """A few tables and the questions they answer. Pure and fast: it may be asked about half a sentence."""

    @property
    def readers(self) -> Mapping[str, Read]:
        """Return the reader of each slot, which returns None for words that aren't in the tables."""

    def lookups(self) -> Iterable[Lookup]:
        """Return the methods that sentences call."""
