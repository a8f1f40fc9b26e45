"""Converts the words of a slot to a value, according to the parameter's type.

str               the words as they were said
Name, Task        the same, except for words that could be read as a time, a day or a duration
int, float        a number, in digits or in words
timedelta         a duration, "an hour and a half"
tuple[str, ...]   several things, "milk, eggs and bread"
Literal["a"]      one of these words
a class           the result of its ``from_keys`` for the keys of the words, or of its ``from_words`` for the
                  words themselves; None rejects them. With a ``GRAMMAR`` (GBNF) of phrases that it never
                  rejects, a model can call the skill too
X | None          same as X
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from typing import Any, Literal, Union, cast, get_args, get_origin

from assistant.text.en.dates import MONTHS_WORD, WEEKDAYS, day, repeating
from assistant.text.en.durations import duration
from assistant.text.en.moments import Days, PlainMoment
from assistant.text.en.numbers import counts, number, whole
from assistant.text.en.words import Word, keys, said
from assistant.text.pattern import Read

_MAX_TEXT_WORDS = 30
"""A longer name or note is conversation, not dictation."""


_ARTICLES = frozenset(("a", "an", "the", "my", "our", "your", "this", "that"))
"""Alone they name nothing: "set the the alarm"."""


_OF_TIME = frozenset(
    [
        *WEEKDAYS,
        *(f"{name}s" for name in WEEKDAYS),
        *MONTHS_WORD,
        *(
            "every",
            "each",
            "daily",
            "weekly",
            "monthly",
            "weekday",
            "weekdays",
            "weekend",
            "weekends",
            "today",
        ),
        *("tonight", "tomorrow", "overmorrow", "hour", "hours", "minute", "minutes", "days", "week", "weeks"),
        *(
            "oclock",
            "am",
            "pm",
            "noon",
            "midnight",
            "except",
            "another",
            "timer",
            "timers",
            "alarm",
            "alarms",
        ),
        *("reminder", "reminders"),
    ]
)
"""Words that never occur in a timer's name: a sentence with one there means something else."""

_MAX_NAME_WORDS = 6


class Name(str):
    """A short name in a sentence: "pasta". It contains no time word, and doesn't begin with a number."""

    __slots__ = ()
    FREE = True

    @classmethod
    def from_words(cls, words: Sequence[Word]) -> Name | None:
        found = list(keys(words))
        bare = found[1:] if found[0] in _ARTICLES else found
        if not 0 < len(bare) <= _MAX_NAME_WORDS or counts(bare[0]) or not _OF_TIME.isdisjoint(bare):
            return None
        return None if day(found) or repeating(found) else cls(said(words))


NO_NAME = Name()


class Task(str):
    """What to be reminded of. It doesn't end in a day or time, which would belong to the time slot."""

    __slots__ = ()
    FREE = True
    _LONGEST_END = 9

    @classmethod
    def from_words(cls, words: Sequence[Word]) -> Task | None:
        found = list(keys(words))
        ends = (found[at:] for at in range(max(0, len(found) - cls._LONGEST_END), len(found)))
        if unread_repetition(found) or any(Days.from_keys(end) or PlainMoment.from_keys(end) for end in ends):
            return None
        return cls(text) if (text := _text(words)) else None


def unread_repetition(keys: Sequence[str]) -> bool:
    """True for a repetition that isn't supported: "every other day", "monthly"."""
    every = [place for place, key in enumerate(keys) if key in {"every", "each"}]
    after = [keys[place + 1] for place in every if place + 1 < len(keys)]
    return bool({"weekly", "biweekly", "monthly", "yearly", "hourly", "annually"} & set(keys)) or any(
        key in {"other", "second", "third", "few", "couple", "month", "year", "hour", "minute", "half"}
        or counts(key)
        for key in after
    )


@cache
def reader(annotation: object) -> Read | None:
    """Return the function that parses a slot of this type, or None if it isn't a slot type."""
    annotation = without_none(annotation)
    if annotation in _BY_TYPE:
        return _BY_TYPE[annotation]
    if get_origin(annotation) is Literal:
        choices = {str(choice).lower(): choice for choice in get_args(annotation)}
        return lambda words: choices.get(" ".join(keys(words)))
    if from_words := getattr(annotation, "from_words", None):
        return cast("Read", from_words)
    from_keys = getattr(annotation, "from_keys", None)
    if from_keys is None:
        return None
    return lambda words: from_keys(list(keys(words)))


def is_free_text(annotation: object) -> bool:
    """True if any words fit: such a slot takes as few as possible, and may continue after a pause."""
    annotation = without_none(annotation)
    return annotation is str or getattr(annotation, "FREE", False) is True


def without_none(annotation: Any) -> Any:
    """Return ``X`` for ``X | None``."""
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
    """Split at commas and "and", except for pairs that are one thing ("mac and cheese")."""
    if len(words) > _MAX_TEXT_WORDS:
        return None
    things: list[list[Word]] = [[]]
    for place, word in enumerate(words):
        if word.key == "and" and not _is_pair(words, place):
            things.append([])
            continue
        things[-1].append(word)
        if word.pause:
            things.append([])
    return tuple(said(thing) for thing in things if thing) or None


_PAIRS = frozenset(
    tuple(pair.split())
    for pair in (
        *(
            "half half",
            "mac cheese",
            "macaroni cheese",
            "m ms",
            "m m",
            "salt vinegar",
            "pork beans",
            "h m",
            "a w",
        ),
        *(
            "franks beans",
            "fish chips",
            "ham cheese",
            "black decker",
            "head shoulders",
            "surf turf",
            "gin tonic",
        ),
        *(
            "rum coke",
            "cookies cream",
            "biscuits gravy",
            "oil vinegar",
            "sweet sour",
            "arm hammer",
            "bubble squeak",
        ),
    )
)
"""Pairs of words around an "and" that doesn't separate things."""


def _is_pair(words: Sequence[Word], place: int) -> bool:
    around = words[place - 1 : place + 2 : 2] if place else ()
    return len(around) == 2 and not around[0].pause and (around[0].key, around[1].key) in _PAIRS


_BY_TYPE: dict[object, Read] = {
    str: _text,
    int: lambda words: whole(list(keys(words))),
    float: _float,
    timedelta: lambda words: duration(list(keys(words))),
    tuple[str, ...]: _several,
}
