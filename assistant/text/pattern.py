"""Patterns of words, and how the words of a transcript match them.

Words are compared, never letters, so nothing has to be escaped and nothing matches inside a
word. A slot takes part in the search: it may be as long as its type can read, and if the rest
does not fit, the next length is tried. Pure; knows nothing of skills.

The library for this syntax, hassil, knows slots of any text and checks what they mean only
afterwards. With our sentences that took "buy milk tomorrow" for the thing and "9" for the time,
and up to 72 ms where this takes 1; with two slots side by side it gives up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from assistant.text.en.words import Word

Read: TypeAlias = Callable[[Sequence[Word]], object]
"""What a slot's words mean; None if they mean nothing to its type."""


class Filled(NamedTuple):
    """A slot with its value."""

    name: str
    value: object
    end: int
    """Position of the word after it."""


Found: TypeAlias = tuple[Filled, ...]
"""Slots that were filled, in the order of the sentence."""


class Said:
    """The words of a transcript. What each type makes of a stretch of them is worked out once."""

    def __init__(self, words: Sequence[Word]) -> None:
        self.words = tuple(words)
        self._values: dict[tuple[Read, int, int], object] = {}

    def value(self, read: Read, start: int, end: int) -> object:
        """What ``read`` makes of the words from ``start`` to before ``end``."""
        place = (read, start, end)
        if place not in self._values:
            self._values[place] = read(self.words[start:end])
        return self._values[place]


class Node(Protocol):
    """A piece of a sentence."""

    def ends(self, said: Said, start: int, found: Found) -> Iterator[tuple[int, Found]]:
        """Every position up to which the words from ``start`` on fit, with the slots filled so far."""

    def first(self) -> frozenset[str]:
        """Keys of the words it may begin with; ``ANY`` for a slot, ``NONE`` when it may be empty."""

    def fills(self) -> frozenset[str]:
        """Slots that are filled whichever way it matches."""


ANY = "*"
NONE = ""


@dataclass(frozen=True, slots=True)
class Literal:
    """A word, or one that sounds like it."""

    keys: frozenset[str]

    def ends(self, said: Said, start: int, found: Found) -> Iterator[tuple[int, Found]]:
        if start < len(said.words) and said.words[start].key in self.keys:
            yield start + 1, found

    def first(self) -> frozenset[str]:
        return self.keys

    def fills(self) -> frozenset[str]:
        return frozenset()


@dataclass(frozen=True, slots=True)
class Slot:
    """Words that a type can read."""

    name: str
    read: Read
    longest_first: bool = True

    def ends(self, said: Said, start: int, found: Found) -> Iterator[tuple[int, Found]]:
        lengths = range(start + 1, len(said.words) + 1)
        for end in reversed(lengths) if self.longest_first else lengths:
            value = said.value(self.read, start, end)
            if value is not None:
                yield end, (*found, Filled(self.name, value, end))

    def first(self) -> frozenset[str]:
        return frozenset((ANY,))

    def fills(self) -> frozenset[str]:
        return frozenset((self.name,))


@dataclass(frozen=True, slots=True)
class Anything:
    """Any words, but not none."""

    def ends(self, said: Said, start: int, found: Found) -> Iterator[tuple[int, Found]]:
        return ((end, found) for end in range(start + 1, len(said.words) + 1))

    def first(self) -> frozenset[str]:
        return frozenset((ANY,))

    def fills(self) -> frozenset[str]:
        return frozenset()


@dataclass(frozen=True, slots=True)
class InOrder:
    """One piece after the other."""

    parts: tuple[Node, ...]

    def ends(self, said: Said, start: int, found: Found) -> Iterator[tuple[int, Found]]:
        return _in_order(self.parts, said, start, found)

    def first(self) -> frozenset[str]:
        keys = frozenset((NONE,))
        for part in self.parts:
            if NONE not in keys:
                break
            keys = (keys - {NONE}) | part.first()
        return keys

    def fills(self) -> frozenset[str]:
        return frozenset().union(*(part.fills() for part in self.parts))


def _in_order(parts: Sequence[Node], said: Said, start: int, found: Found) -> Iterator[tuple[int, Found]]:
    if not parts:
        yield start, found
        return
    for end, more in parts[0].ends(said, start, found):
        yield from _in_order(parts[1:], said, end, more)


@dataclass(frozen=True, slots=True)
class OneOf:
    """Any of several pieces."""

    options: tuple[Node, ...]

    def ends(self, said: Said, start: int, found: Found) -> Iterator[tuple[int, Found]]:
        for option in self.options:
            yield from option.ends(said, start, found)

    def first(self) -> frozenset[str]:
        return frozenset().union(*(option.first() for option in self.options))

    def fills(self) -> frozenset[str]:
        return frozenset.intersection(*(option.fills() for option in self.options))


EMPTY = InOrder(())


def match(node: Node, said: Said, start: int = 0) -> Found | None:
    """The slots of the first way in which all words from ``start`` on fit, or None."""
    for end, found in node.ends(said, start, ()):
        if end == len(said.words):
            return found
    return None
