"""Which of several timers, alarms or reminders is meant: "the second", "the shortest", "pizza and egg".

``which`` asks "Which one?", so that the next words can answer it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from assistant.skills.contract import Outcome, Question
from assistant.skills.timer_book import Timer
from assistant.text.en.durations import duration
from assistant.text.en.numbers import ordinal_number
from assistant.text.en.words import keys, words

_FILLING = frozenset(
    [
        *(
            "the",
            "my",
            "our",
            "a",
            "an",
            "one",
            "ones",
            "timer",
            "timers",
            "alarm",
            "alarms",
            "reminder",
            "of",
        ),
        *(
            "reminders",
            "them",
            "these",
            "those",
            "this",
            "that",
            "called",
            "named",
            "for",
            "current",
            "running",
        ),
        *(
            "only",
            "two",
            "three",
            "please",
            "with",
            "to",
            "about",
            "cancel",
            "stop",
            "delete",
            "remove",
            "at",
            "on",
        ),
        *("it", "just", "i", "mean", "meant", "both", "all", "everything", "every", "each"),
    ]
)
_ALL = frozenset(("all", "both", "everything", "every", "each"))
_BY_TIME_LEFT = dict.fromkeys(("shortest", "soonest", "next", "earliest"), 0) | dict.fromkeys(
    ("longest", "last", "latest"), -1
)
_BY_AGE = {"newest": -1, "oldest": 0}


def picked(timers: Sequence[Timer], which: str) -> tuple[list[Timer], bool]:
    """Return those that these words mean, and True if they mean as many as there are ("both", "pizza and
    egg").
    """
    said = list(keys(words(which)))
    exact = [timer for timer in timers if timer.name and _plain(timer.name) == " ".join(said)]
    bare = [key for key in said if key not in _FILLING]
    if exact:
        return exact, False
    if not bare:
        return list(timers), not _ALL.isdisjoint(said)
    if "and" in bare and duration(bare) is None:
        return _several(timers, bare)
    if (chosen := _placed(timers, bare)) is not None:
        return chosen, False
    if (length := duration(_length(said))) is not None:
        return [timer for timer in timers if timer.duration == length], not _ALL.isdisjoint(said)
    named = [timer for timer in timers if _called(timer, bare)]
    return named, not _ALL.isdisjoint(said)


def _several(timers: Sequence[Timer], bare: Sequence[str]) -> tuple[list[Timer], bool]:
    at = bare.index("and")
    one, _ = picked(timers, " ".join(bare[:at]))
    other, _ = picked(timers, " ".join(bare[at + 1 :]))
    both = [*one, *(timer for timer in other if timer not in one)]
    return (both, True) if one and other else ([], False)


def _placed(timers: Sequence[Timer], bare: Sequence[str]) -> list[Timer] | None:
    """Pick by place: "second", "last", "shortest"; None for other words, empty for a place that doesn't
    exist.
    """
    if len(bare) == 1 and bare[0] in _BY_TIME_LEFT:
        return [timers[_BY_TIME_LEFT[bare[0]]]] if timers else []
    if len(bare) == 1 and bare[0] in _BY_AGE:
        return [sorted(timers, key=lambda timer: timer.id)[_BY_AGE[bare[0]]]] if timers else []
    place = ordinal_number(bare)
    return None if place is None else list(timers[place - 1 : place]) if place else []


def _length(said: Sequence[str]) -> list[str]:
    """Return the duration words of "the hour and a half timer"."""
    kept = [key for key in said if key not in {"timer", "the", "my", "timers", "of", "for", "called"}]
    while kept and kept[-1] in {"one", "ones"}:
        kept.pop()
    return kept


def _called(timer: Timer, bare: Sequence[str]) -> bool:
    """True if it has this name, singular or plural: "eggs" for "egg"."""
    name = [key for key in _plain(timer.name).split() if key not in _FILLING]
    return bool(name) and [_one(key) for key in name] == [_one(key) for key in bare]


def _plain(name: str) -> str:
    return " ".join(keys(words(name)))


def _one(key: str) -> str:
    for ending, single in (("ies", "y"), ("oes", "o"), ("ches", "ch"), ("s", "")):
        if key.endswith(ending) and len(key) > len(ending) + 1 and not key.endswith("ss"):
            return key.removesuffix(ending) + single
    return key


def which(told: str, timers: Sequence[Timer], command: str, describe: Callable[[Timer], str]) -> Outcome:
    """Ask which one; ``command`` has "..." where the answer belongs."""
    known = frozenset(key for timer in timers for key in keys(words(f"{timer.name} {describe(timer)}")))
    places = ("first", "second", "third", "fourth", "fifth", "and", *_BY_TIME_LEFT, *_BY_AGE)
    numbers = frozenset(key for timer in timers for key in _numbers(timer))
    question = Question((command,), known | numbers | _FILLING | frozenset(places))
    return Outcome(f"{told} Which one?", question=question)


def _numbers(timer: Timer) -> list[str]:
    """Return its duration or time in the digits that a recognizer may write."""
    seconds = int(timer.duration.total_seconds()) if timer.duration else 0
    parts = [seconds // 3600, seconds // 60 % 60, seconds // 60, seconds % 60]
    clock = []
    if timer.local:
        parts += [timer.local.hour, timer.local.hour % 12 or 12, timer.local.minute]
        clock = [f"{timer.local.hour % 12 or 12}:{timer.local.minute:02}"]
    units = (
        "half",
        "quarter",
        "hour",
        "hours",
        "minute",
        "minutes",
        "second",
        "seconds",
        "am",
        "pm",
        "oclock",
    )
    return [*map(str, parts), *clock, *units]
