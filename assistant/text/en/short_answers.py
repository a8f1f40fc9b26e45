"""Where a sentence that answers a question may end early: "It is the Nile, which flows through Egypt".

What follows only adds detail, so the sentence is as true without it, and sooner said. Lists, conditions and
contrasts stay whole. Pure.
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
"""What comes before the comma then is not yet the answer."""

_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|\w+ty|hundred|thousand"
    r"|million|billion|no|none|once|twice)\b"
)
_LEAST_WORDS = 3


def ends(sentence: str, kind: Kind) -> Iterator[int]:
    """Lengths of the sentence so far, without its full stop, at which it may end; the shortest first."""
    if kind == "define" or _BEGINS_LATE.match(sentence):
        return
    patterns = [_ADDS, *([_ADDS_TO_NAMES_AND_DATES] if kind in ("who", "date") else [])]
    for end in sorted(found.start() for pattern in patterns for found in pattern.finditer(sentence)):
        begun = sentence[:end]
        if len(begun.split()) >= _LEAST_WORDS and (
            kind not in ("number", "date") or _NUMBER.search(begun.lower())
        ):
            yield end
