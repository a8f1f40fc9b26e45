"""What a rule is: a pattern, and what is said instead of what it matches."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

Saying = str | Callable[[re.Match[str]], str]
Rule = tuple[re.Pattern[str], Saying]


def rules(*pairs: tuple[str, Saying]) -> list[Rule]:
    """Compile (pattern, what is said) pairs."""
    return [(re.compile(pattern), said) for pattern, said in pairs]


def any_of(words: Iterable[str]) -> str:
    """A pattern that matches one of ``words``, the longest that fits."""
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))


def ends_text(match: re.Match[str]) -> bool:
    """Whether ``match`` ends the text with a full stop, which then is the sentence's too."""
    return match.group().endswith(".") and match.end() == len(match.string)
