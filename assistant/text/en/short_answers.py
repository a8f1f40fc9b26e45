"""Finds where a sentence that answers a question can end early: "It is the Nile, which flows through Egypt".

What follows only adds detail, so the shorter sentence is just as true, and sooner said. Lists, conditions and
contrasts stay complete. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from assistant.text.en.questions import Kind

_ADDS = re.compile(
    r", (?=(?:which|who|whose|where|about|published|located|known|although|because|making|as)\b)| (?=\()"
)
_ADDS_TO_NAMES_AND_DATES = re.compile(r", (?=(?:an?|the|in|from|with)\b)")
_BEGINS_LATE = re.compile(
    r"(?:In|On|At|When|If|As|For|To|After|Before|During|Since|By|While|According|Yes|No|Well|From|Some|I)\b"
)
"""With these beginnings, the part before the comma is not yet the answer."""

_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|\w+ty|hundred|thousand"
    r"|million|billion|no|none|once|twice)\b"
)
_LEAST_WORDS = 3


def ends(sentence: str, kind: Kind) -> Iterator[int]:
    """Yield the lengths at which the sentence may end, without its period, shortest first."""
    if kind == "define" or _BEGINS_LATE.match(sentence):
        return
    patterns = [_ADDS, *([_ADDS_TO_NAMES_AND_DATES] if kind in ("who", "date") else [])]
    for end in sorted(found.start() for pattern in patterns for found in pattern.finditer(sentence)):
        begun = sentence[:end]
        if len(begun.split()) >= _LEAST_WORDS and (
            kind not in ("number", "date") or _NUMBER.search(begun.lower())
        ):
            yield end
