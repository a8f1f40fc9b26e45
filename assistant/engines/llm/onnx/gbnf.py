"""Restricts a text to a grammar, token by token, for runtimes that don't support grammars.

Reads llama.cpp's GBNF, as far as non-recursive rules need it: quoted strings, classes of ASCII characters,
groups, alternatives and repetitions. A rule is copied wherever it is used, so the result is a single
automaton over bytes; a state is the set of positions where the text may be. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from assistant.core.errors import EngineFailed

_WORD = re.compile(
    r"""\s*(?:\#[^\n]*\n\s*)*(
        "(?:[^"\\]|\\.)*" | \[\^?(?:[^\]\\]|\\.)+\] | [A-Za-z0-9-]+ | ::= | \{\d+(?:,\d*)?\} | [()|?*+]
    )""",
    re.VERBOSE,
)
_MOST_STATES = 100_000
"""Rules that use each other could grow without limit; all skills together need a few thousand."""
_MOST_REPEATS = 1000

Places = frozenset[int]


@dataclass
class _Automaton:
    """Positions joined by byte transitions and empty ones."""

    by_byte: list[dict[int, int]] = field(default_factory=list)
    by_nothing: list[list[int]] = field(default_factory=list)

    def place(self) -> int:
        if len(self.by_byte) >= _MOST_STATES:
            raise ValueError
        self.by_byte.append({})
        self.by_nothing.append([])
        return len(self.by_byte) - 1

    def closure(self, places: Iterable[int]) -> Places:
        """Return these positions and all that are reachable by empty transitions."""
        found: set[int] = set()
        waiting = list(places)
        while waiting:
            place = waiting.pop()
            if place not in found:
                found.add(place)
                waiting += self.by_nothing[place]
        return frozenset(found)


_Part = Callable[[_Automaton, int], int]
"""Builds a piece of the automaton after a position, and returns its end position."""


class Gbnf:
    """The progress of one text through a grammar, from the rule ``root`` on. Raises EngineFailed if it is
    invalid.
    """

    def __init__(self, text: str) -> None:
        self._automaton = _Automaton()
        try:
            rules = _rules(_words(text))
            start = self._automaton.place()
            self._end = _named("root", rules, ())(self._automaton, start)
        except (ValueError, KeyError, IndexError, RecursionError) as error:
            raise EngineFailed(
                "The grammar for calling skills is invalid.", "Set llm.tools to off."
            ) from error
        self._places = self._automaton.closure([start])

    def allows(self, data: bytes) -> bool:
        """True if the text may continue with ``data``; empty data is no continuation."""
        return bool(data) and bool(self._after(data))

    def go_on(self, data: bytes) -> None:
        self._places = self._after(data)

    @property
    def may_end(self) -> bool:
        return self._end in self._places

    def _after(self, data: bytes) -> Places:
        places = self._places
        for byte in data:
            steps = (self._automaton.by_byte[place].get(byte) for place in places)
            places = self._automaton.closure(step for step in steps if step is not None)
            if not places:
                break
        return places


def _words(text: str) -> list[str]:
    found, at = [], 0
    text = f"{text.rstrip()}\n"
    while text[at:].strip():
        match = _WORD.match(text, at)
        if match is None:
            raise ValueError
        found.append(match[1])
        at = match.end()
    return found


def _rules(words: Sequence[str]) -> dict[str, list[str]]:
    """Return name -> its words."""
    starts = [at - 1 for at, word in enumerate(words) if word == "::="]
    ends = [*starts[1:], len(words)]
    return {words[start]: list(words[start + 2 : end]) for start, end in zip(starts, ends, strict=True)}


def _named(name: str, rules: dict[str, list[str]], inside: tuple[str, ...]) -> _Part:
    if name in inside:
        raise ValueError
    words = list(rules[name])
    part = _alternatives(words, rules, (*inside, name))
    if words:
        raise ValueError
    return part


def _alternatives(words: list[str], rules: dict[str, list[str]], inside: tuple[str, ...]) -> _Part:
    """Parse up to a closing bracket or the end, and consume those words."""
    choices: list[list[_Part]] = [[]]
    while words and words[0] != ")":
        word = words.pop(0)
        if word == "|":
            choices.append([])
        elif word == "(":
            choices[-1].append(_alternatives(words, rules, inside))
            if not words or words.pop(0) != ")":
                raise ValueError
        elif word[0] in "?*+{":
            choices[-1][-1] = _repeated(choices[-1][-1], *_times(word))
        elif word[0] == '"':
            choices[-1].append(_text(json.loads(word).encode()))
        elif word[0] == "[":
            choices[-1].append(_one_of(_class(word)))
        else:
            choices[-1].append(_named(word, rules, inside))

    def build(automaton: _Automaton, start: int) -> int:
        end = automaton.place()
        for parts in choices:
            place = automaton.place()
            automaton.by_nothing[start].append(place)
            for part in parts:
                place = part(automaton, place)
            automaton.by_nothing[place].append(end)
        return end

    return build


def _times(word: str) -> tuple[int, int | None]:
    """Return the minimum and maximum number of repetitions; None means no limit."""
    if word in "?*+":
        return {"?": (0, 1), "*": (0, None), "+": (1, None)}[word]
    least, comma, most = word[1:-1].partition(",")
    bounds = (int(least), int(most) if most else None if comma else int(least))
    if max(bounds[0], bounds[1] or 0) > _MOST_REPEATS:
        raise ValueError
    return bounds


def _repeated(part: _Part, least: int, most: int | None) -> _Part:
    def build(automaton: _Automaton, place: int) -> int:
        for _ in range(least):
            place = part(automaton, place)
        end = automaton.place()
        automaton.by_nothing[place].append(end)
        if most is None:
            automaton.by_nothing[part(automaton, place)].append(place)
        for _ in range((most or least) - least):
            place = part(automaton, place)
            automaton.by_nothing[place].append(end)
        return end

    return build


def _text(data: bytes) -> _Part:
    def build(automaton: _Automaton, place: int) -> int:
        for byte in data:
            place = _one_of([byte])(automaton, place)
        return place

    return build


def _one_of(allowed: Iterable[int]) -> _Part:
    wanted = tuple(allowed)

    def build(automaton: _Automaton, start: int) -> int:
        # A new position, because several parts may begin here.
        place, end = automaton.place(), automaton.place()
        automaton.by_nothing[start].append(place)
        automaton.by_byte[place] = dict.fromkeys(wanted, end)
        return end

    return build


def _class(word: str) -> list[int]:
    """Return the bytes of a class such as [a-z']; ASCII only, so a character is a byte."""
    content = word[1:-1]
    excluded = content.startswith("^")
    characters = [
        _character(each) for each in re.findall(r"\\.|.", content[1:] if excluded else content, re.DOTALL)
    ]
    if not all(character.isascii() for character in characters):
        raise ValueError
    found: set[int] = set()
    at = 0
    while at < len(characters):
        is_range = at + 2 < len(characters) and characters[at + 1] == "-"
        last = characters[at + 2] if is_range else characters[at]
        found.update(range(ord(characters[at]), ord(last) + 1))
        at += 3 if is_range else 1
    return [byte for byte in range(128) if byte not in found] if excluded else sorted(found)


def _character(written: str) -> str:
    """Return a character written as itself, or after a backslash."""
    if len(written) == 1:
        return written
    meant: str = written[1] if written[1] in '\\]"-[^' else json.loads(f'"{written}"')
    return meant
