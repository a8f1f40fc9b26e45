"""What a topic of knowledge is: tables, and the questions that they answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from assistant.text.pattern import Read


@dataclass(frozen=True, slots=True)
class Fact:
    """What a source says."""

    text: str
    source: str
    """Who says it, as it is named when somebody asks."""


Lookup: TypeAlias = Callable[..., Fact | None]
"""A method that sentences call by its name. Its parameters are slots that the topic reads from its own
tables, so a sentence fits only where they have what it asks for. None: the next sentence is tried."""


class Topic(Protocol):
    """A few tables and the questions that they answer. Pure and fast: it may be asked half a sentence."""

    @property
    def readers(self) -> Mapping[str, Read]:
        """What the words of each slot mean; None where the tables do not have it."""

    def lookups(self) -> Iterable[Lookup]:
        """The methods that sentences call."""
