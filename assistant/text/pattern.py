"""Patterns of words, matched against the words of a transcript.

Words are compared, never letters, so nothing needs escaping and nothing matches inside a word. A slot takes
part in the search: it may be as long as its type can parse, and if the rest doesn't match, the next length is
tried. Pure; independent of skills.

A pattern becomes an automaton. No piece of it is tried twice at the same word, so the work grows with the
length of the pattern times that of the sentence (with a slot, times its square), whatever the pattern.

The library for this syntax, hassil, treats slots as any text and checks their meaning only afterwards. With
our sentences, it took "buy milk tomorrow" for the thing and "9" for the time, and up to 72 ms where this
takes 1; it doesn't support two adjacent slots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from assistant.text.en.words import Word

Read: TypeAlias = Callable[[Sequence[Word]], object]
"""Parses a slot's words; returns None if they don't suit its type."""


class Filled(NamedTuple):
    """A slot with its value."""

    name: str
    value: object
    end: int
    """Position of the word after it."""


Found: TypeAlias = tuple[Filled, ...]
"""Filled slots, in the order of the sentence."""


class Said:
    """The words of a transcript. Each type's value for a range of words is computed once."""

    def __init__(self, words: Sequence[Word]) -> None:
        self.words = tuple(words)
        self._values: dict[tuple[Read, int, int], object] = {}

    def value(self, read: Read, start: int, end: int) -> object:
        """Return the result of ``read`` for the words from ``start`` to before ``end``."""
        place = (read, start, end)
        if place not in self._values:
            self._values[place] = read(self.words[start:end])
        return self._values[place]


class Node(Protocol):
    """A piece of a sentence."""

    @property
    def size(self) -> int:
        """Number of words, slots and choices, including those of the rules it uses."""

    @property
    def depth(self) -> int:
        """Nesting depth of its pieces."""

    def build(self, automaton: Automaton, then: int) -> int:
        """Insert it before the step ``then``; returns its first step."""

    def first(self) -> frozenset[str]:
        """Keys of the words it may begin with; ``ANY`` for a slot, ``NONE`` if it may be empty."""

    def fills(self) -> frozenset[str]:
        """Slots that are filled however it matches."""


ANY = "*"
NONE = ""


@dataclass(frozen=True, slots=True)
class Literal:
    """A word, or one that sounds like it."""

    keys: frozenset[str]
    size: int = 1
    depth: int = 1

    def build(self, automaton: Automaton, then: int) -> int:
        return automaton.add(self, then)

    def first(self) -> frozenset[str]:
        return self.keys

    def fills(self) -> frozenset[str]:
        return frozenset()


@dataclass(frozen=True, slots=True)
class Slot:
    """Words that a type can parse."""

    name: str
    read: Read
    longest_first: bool = True
    size: int = 1
    depth: int = 1

    def build(self, automaton: Automaton, then: int) -> int:
        return automaton.add(self, then)

    def values(self, said: Said, start: int) -> Iterator[Filled]:
        """Yield its possible values from ``start`` on, best first."""
        lengths = range(start + 1, len(said.words) + 1)
        for end in reversed(lengths) if self.longest_first else lengths:
            value = said.value(self.read, start, end)
            if value is not None:
                yield Filled(self.name, value, end)

    def first(self) -> frozenset[str]:
        return frozenset((ANY,))

    def fills(self) -> frozenset[str]:
        return frozenset((self.name,))


@dataclass(frozen=True, slots=True)
class Anything:
    """Any words, at least one."""

    size: int = 1
    depth: int = 1

    def build(self, automaton: Automaton, then: int) -> int:
        return automaton.add(self, then)

    def first(self) -> frozenset[str]:
        return frozenset((ANY,))

    def fills(self) -> frozenset[str]:
        return frozenset()


@dataclass(frozen=True, slots=True)
class InOrder:
    """One piece after another."""

    parts: tuple[Node, ...]

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    @property
    def depth(self) -> int:
        return 1 + max((part.depth for part in self.parts), default=0)

    def build(self, automaton: Automaton, then: int) -> int:
        for part in reversed(self.parts):
            then = part.build(automaton, then)
        return then

    def first(self) -> frozenset[str]:
        keys = frozenset((NONE,))
        for part in self.parts:
            if NONE not in keys:
                break
            keys = (keys - {NONE}) | part.first()
        return keys

    def fills(self) -> frozenset[str]:
        return frozenset().union(*(part.fills() for part in self.parts))


@dataclass(frozen=True, slots=True)
class OneOf:
    """Any of several pieces."""

    options: tuple[Node, ...]

    @property
    def size(self) -> int:
        return 1 + sum(option.size for option in self.options)

    @property
    def depth(self) -> int:
        return 1 + max((option.depth for option in self.options), default=0)

    def build(self, automaton: Automaton, then: int) -> int:
        return automaton.add(tuple(option.build(automaton, then) for option in self.options), then)

    def first(self) -> frozenset[str]:
        return frozenset().union(*(option.first() for option in self.options))

    def fills(self) -> frozenset[str]:
        return frozenset.intersection(*(option.fills() for option in self.options))


EMPTY = InOrder(())

_END = -1
"""The step after the last."""

Step: TypeAlias = "tuple[Literal | Slot | Anything | tuple[int, ...], int]"
"""A piece and the step after it; for a choice, the first steps of its options."""

Links: TypeAlias = "tuple[Filled, Links] | None"
"""Filled slots, last one first."""


class Automaton:
    """The steps of a pattern."""

    def __init__(self, node: Node) -> None:
        self._steps: list[Step] = []
        self._begin = node.build(self, _END)

    def add(self, what: Literal | Slot | Anything | tuple[int, ...], then: int) -> int:
        """Add a step; returns its number."""
        self._steps.append((what, then))
        return len(self._steps) - 1

    def ends(self, said: Said, start: int) -> Iterator[tuple[int, Found]]:
        """Yield every position up to which the words from ``start`` on match, with the slots filled so far.

        If several ways lead to one position, the first one counts, because options and lengths are ordered.
        """
        words, length = said.words, len(said.words)
        tried: set[tuple[int, int]] = set()
        waiting: list[Iterator[tuple[int, int, Links]]] = [iter(((self._begin, start, None),))]
        while waiting:
            place = next(waiting[-1], None)
            if place is None:
                waiting.pop()
                continue
            number, position, filled = place
            while (number, position) not in tried:
                tried.add((number, position))
                if number == _END:
                    yield position, _in_order(filled)
                    break
                what, then = self._steps[number]
                if isinstance(what, Literal):
                    if position < length and words[position].key in what.keys:
                        number, position = then, position + 1
                        continue
                else:
                    waiting.append(_ways(what, then, said, position, filled))
                break

    def match(self, said: Said, start: int = 0) -> Found | None:
        """Return the slots of the first way in which all words from ``start`` on match, or None."""
        for end, found in self.ends(said, start):
            if end == len(said.words):
                return found
        return None


def _ways(
    what: Slot | Anything | tuple[int, ...], then: int, said: Said, position: int, filled: Links
) -> Iterator[tuple[int, int, Links]]:
    """Yield the possible continuations, best first."""
    if isinstance(what, Slot):
        return ((then, value.end, (value, filled)) for value in what.values(said, position))
    if isinstance(what, Anything):
        return ((then, end, filled) for end in range(position + 1, len(said.words) + 1))
    return ((option, position, filled) for option in what)


def _in_order(filled: Links) -> Found:
    found = []
    while filled is not None:
        value, filled = filled
        found.append(value)
    return tuple(reversed(found))
