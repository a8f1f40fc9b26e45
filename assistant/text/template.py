"""Parses the text of a sentence template into a pattern.

The syntax is that of Home Assistant's intents, word by word:

    set           this word, or one that sounds like it
    [please]      optional
    (a|the)       one of these
    {duration}    a slot: words that its type can parse
    <the>         a rule: a named template
    ...           any words, at least one
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from assistant.text.pattern import EMPTY, Anything, InOrder, Literal, Node, OneOf, Read, Slot

T = TypeVar("T")


class TemplateError(ValueError):
    """The template has a mistake, which the text describes."""


MOST_LETTERS = 10_000
MOST_PIECES = 1000
"""Maximum number of words, slots and choices, including those of its rules; our largest has fewer than
200.
"""
MOST_DEPTH = 60
"""Maximum nesting of brackets and rules."""


_TOKEN = re.compile(
    r"\s*(?:(?P<word>[^\s\[\]()|{}<>]+)|(?P<slot>\{\w+\})|(?P<rule><\w+>)|(?P<mark>[\[\]()|]))"
)
_GLUED = re.compile(r"[^\s\[(|<{][\[(<{]|[\])>}][^\s\])|>}]")


def parse(
    template: str,
    *,
    slots: Mapping[str, Read],
    rules: Mapping[str, Node],
    sounds_like: Mapping[str, frozenset[str]],
    free: frozenset[str] = frozenset(),
) -> Node:
    """Parse a template.

    It may use ``slots`` and ``rules``; ``sounds_like`` provides alternative keys for a word; slots in
    ``free`` take as few words as possible, all others as many. A single word beside a free slot must be
    the word itself: nothing else in the sentence would show that it was misheard. Raises TemplateError.
    """
    if len(template) > MOST_LETTERS:
        raise TemplateError(f"it is longer than {MOST_LETTERS} characters")
    if glued := _GLUED.search(template):
        raise TemplateError(f"words are matched whole: put a space in '{glued.group()}'")
    tokens = list(_TOKEN.finditer(template))
    words = sum(bool(token["word"] and token["word"] != "...") for token in tokens)
    if words == 1 and any(token["slot"] and token["slot"][1:-1] in free for token in tokens):
        sounds_like = {}
    return _Parser(template, slots, rules, sounds_like, free).whole()


class _Parser:
    """Recursive descent over the template's tokens."""

    def __init__(
        self,
        template: str,
        slots: Mapping[str, Read],
        rules: Mapping[str, Node],
        sounds_like: Mapping[str, frozenset[str]],
        free: frozenset[str],
    ) -> None:
        self._tokens = list(_TOKEN.finditer(template))
        if "".join(token.group() for token in self._tokens).strip() != template.strip():
            raise TemplateError("a '{' or '<' has no name or isn't closed")
        self._tokens.reverse()
        self._slots, self._rules, self._sounds_like, self._free = slots, rules, sounds_like, free
        self._depth = 0

    def whole(self) -> Node:
        node = self._choice()
        if self._tokens:
            raise TemplateError(f"'{self._tokens[-1].group().strip()}' has no opening bracket")
        if node.size > MOST_PIECES:
            raise TemplateError(
                f"including its rules, it has {node.size} pieces, but at most {MOST_PIECES} are allowed"
            )
        if node.depth > MOST_DEPTH:
            raise TemplateError(f"its rules are nested more than {MOST_DEPTH} deep")
        return node

    def _choice(self) -> Node:
        options = [self._sequence()]
        while self._tokens and self._tokens[-1]["mark"] == "|":
            self._tokens.pop()
            options.append(self._sequence())
        return options[0] if len(options) == 1 else OneOf(tuple(options))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._tokens and self._tokens[-1]["mark"] not in {"|", ")", "]"}:
            parts.append(self._piece())
        if not parts:
            raise TemplateError("a word is missing")
        return parts[0] if len(parts) == 1 else InOrder(tuple(parts))

    def _piece(self) -> Node:
        token = self._tokens.pop()
        if token["word"] == "...":
            return Anything()
        if token["word"]:
            key = token["word"].lower().replace("'", "")
            return Literal(frozenset((key,)) | self._sounds_like.get(key, frozenset()))
        if token["slot"]:
            name = token["slot"][1:-1]
            return Slot(name, _named(self._slots, name, "slot"), longest_first=name not in self._free)
        if token["rule"]:
            return _named(self._rules, token["rule"][1:-1], "rule")
        opened, closing = token["mark"], {"[": "]", "(": ")"}[token["mark"]]
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise TemplateError(f"its brackets are nested more than {MOST_DEPTH} deep")
        inside = self._choice()
        self._depth -= 1
        if not self._tokens or self._tokens.pop()["mark"] != closing:
            raise TemplateError(f"'{opened}' isn't closed")
        return OneOf((inside, EMPTY)) if opened == "[" else inside


def _named(known: Mapping[str, T], name: str, kind: str) -> T:
    if name not in known:
        raise TemplateError(
            f"there is no {kind} named '{name}'; available: {', '.join(sorted(known)) or 'none'}"
        )
    return known[name]
