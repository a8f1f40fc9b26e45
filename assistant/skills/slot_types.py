"""How the words of a slot become a value: the parameter's type decides.

str               the words as they were said
int, float        a number, in digits or in words
timedelta         a duration, "an hour and a half"
tuple[str, ...]   several things, "milk, eggs and bread"
Literal["a"]      one of these words
a class           whatever its ``from_keys`` makes of the keys of the words; None refuses. With a
                  ``GRAMMAR`` (GBNF) of phrases that it never refuses, a model may call the skill too
X | None          as X
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

from assistant.text.en.durations import duration
from assistant.text.en.numbers import number, whole
from assistant.text.en.words import Word, keys, said
from assistant.text.pattern import Read

_MAX_TEXT_WORDS = 30
"""A longer name or note is somebody talking, not dictating."""


_ARTICLES = frozenset(("a", "an", "the", "my", "our", "your", "this", "that"))
"""Alone they name nothing: "set the the alarm"."""


@cache
def reader(annotation: object) -> Read | None:
    """The function that reads a slot of this type, or None when it is no slot type."""
    annotation = without_none(annotation)
    if annotation in _BY_TYPE:
        return _BY_TYPE[annotation]
    if get_origin(annotation) is Literal:
        choices = {str(choice).lower(): choice for choice in get_args(annotation)}
        return lambda words: choices.get(" ".join(keys(words)))
    from_keys = getattr(annotation, "from_keys", None)
    if from_keys is None:
        return None
    return lambda words: from_keys(list(keys(words)))


def is_free_text(annotation: object) -> bool:
    """Any words will do: such a slot takes as few as it can, and may go on after a pause."""
    return without_none(annotation) is str


def without_none(annotation: Any) -> Any:
    """``X`` of ``X | None``."""
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [option for option in get_args(annotation) if option is not type(None)]
        return inner[0] if len(inner) == 1 else annotation
    return annotation


def _text(words: Sequence[Word]) -> str | None:
    if len(words) > _MAX_TEXT_WORDS or all(word.key in _ARTICLES for word in words):
        return None
    return said(words)


def _float(words: Sequence[Word]) -> float | None:
    value = number(list(keys(words)))
    return None if value is None else float(value)


def _several(words: Sequence[Word]) -> tuple[str, ...] | None:
    """Things, divided by commas and by "and"."""
    if len(words) > _MAX_TEXT_WORDS:
        return None
    things: list[list[Word]] = [[]]
    for word in words:
        if word.key == "and":
            things.append([])
            continue
        things[-1].append(word)
        if word.pause:
            things.append([])
    return tuple(said(thing) for thing in things if thing) or None


_BY_TYPE: dict[object, Read] = {
    str: _text,
    int: lambda words: whole(list(keys(words))),
    float: _float,
    timedelta: lambda words: duration(list(keys(words))),
    tuple[str, ...]: _several,
}
