"""Rules: each is a pattern and what is said in place of its matches."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

Saying = str | Callable[[re.Match[str]], str]
Rule = tuple[re.Pattern[str], Saying]


def rules(*pairs: tuple[str, Saying]) -> list[Rule]:
    """Compile pairs of a pattern and its replacement."""
    return [(re.compile(pattern), said) for pattern, said in pairs]


def any_of(words: Iterable[str]) -> str:
    """Return a pattern that matches any of ``words``, longest first."""
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))


def ends_text(match: re.Match[str]) -> bool:
    """True if ``match`` ends the text with a period, which then also ends the sentence."""
    return match.group().endswith(".") and match.end() == len(match.string)
