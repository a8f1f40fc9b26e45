"""Decides whether an answer is right, by the words, numbers and dates accepted for its question.

"1,969", "nineteen sixty-nine" and "1969" are the same number, "July 20th, 1969" and "20 July 1969" the same
date. An answer is doubtful if a person should check it, because the words alone may be misleading.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from assistant.app.answers.questions import Question
from assistant.text.en import numbers
from assistant.text.en.words import words

Status: TypeAlias = Literal["right", "wrong", "admitted"]

_ADMITS = re.compile(
    r"\bi (?:do not|don't|cannot|can't|can not) (?:know|have|say|tell|see|answer)"
    r"|\bi(?:'m| am) (?:not sure|unable|sorry)"
    r"|ask somebody who knows|\bi can't\b|this may be an emergency"
)
_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september", "october"),
    *("november", "december"),
)
_MONTH = "|".join(f"{name[:3]}[a-z]*" for name in _MONTHS)
_DAY_FIRST = re.compile(rf"\b(\d{{1,2}}) (?:of )?({_MONTH})\b(?: (\d{{4}}))?")
_MONTH_FIRST = re.compile(rf"\b({_MONTH}) (\d{{1,2}})\b(?: (\d{{4}}))?")
_ORDINAL = re.compile(r"(?<=\d) ?(?:st|nd|rd|th)\b")
_LONGEST_NUMBER = 8
_NEAR = 0.02
"""Relative tolerance for numbers: rounding, or an older census."""
_ALIKE = 0.8


@dataclass(frozen=True, slots=True)
class Verdict:
    status: Status
    doubt: str = ""
    """Why a person should check it; usually empty."""


def judge(question: Question, answer: str) -> Verdict:
    """Decide whether ``answer`` is right, wrong, or admits not knowing."""
    said = normal(answer)
    accepted = _accepted(question, answer, said)
    if accepted is not None:
        return Verdict("right", _doubt_right(answer, said, accepted))
    if not answer.strip() or _ADMITS.search(answer.lower().replace("’", "'")):
        return Verdict("admitted")
    return Verdict("wrong", _doubt_wrong(question, said))


def normal(text: str) -> str:
    """Normalize the text: words between single spaces, numbers in digits, dates as year-month-day."""
    joined = _plain(text)
    joined = _DAY_FIRST.sub(lambda found: _date(found[3], found[2], found[1]), joined)
    return _MONTH_FIRST.sub(lambda found: _date(found[3], found[1], found[2]), joined)


def _plain(text: str) -> str:
    """Normalize the text, with dates as they are said."""
    keys = [word.key for part in re.findall(r".{1,300}(?:\s|$)", text, re.DOTALL) for word in words(part)]
    plain: list[str] = []
    at = 0
    while at < len(keys):
        value, length = _number_at(keys, at)
        plain.append(value)
        at += length
    return _ORDINAL.sub("", " ".join(plain))


def _accepted(question: Question, answer: str, said: str) -> str | None:
    """Return the accepted answer that this one contains."""
    if question.pattern:
        texts = (answer.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"), said)
        found = any(re.search(question.pattern, text, re.IGNORECASE) for text in texts)
        return question.pattern if found else None
    texts = (said, _plain(answer))  # a date is one number, and has a year
    return next(
        (each for each in question.accepted for text in texts if f" {normal(each)} " in f" {text} "), None
    )


def _number_at(keys: Sequence[str], at: int) -> tuple[str, int]:
    """Return the number that begins there in digits, or the word; and how many words that takes."""
    if not keys[at][0].isdigit() and not numbers.may_be_number(keys[at]):
        return keys[at], 1
    if keys[at] not in {"a", "an", "the", "and", "point", "oh", "o", "/"}:
        for length in range(min(_LONGEST_NUMBER, len(keys) - at), 0, -1):
            if keys[at + length - 1] not in {"a", "an", "the", "and"}:
                value = numbers.number(keys[at : at + length])
                if value is not None:
                    return (str(int(value)) if value.denominator == 1 else f"{float(value):g}"), length
    return keys[at], 1


def _date(year: str | None, month: str, day: str) -> str:
    number = next((at for at, name in enumerate(_MONTHS, 1) if name.startswith(month[:3])), 0)
    return f"{year or '-'}-{number:02d}-{int(day):02d}"


def _doubt_right(answer: str, said: str, accepted: str) -> str:
    if re.search(r"\b(?:not|never|neither|isn't|wasn't|don't|instead)\b", answer.lower()):
        return "it denies something"
    wanted = set(re.findall(r"\d+", normal(accepted)))
    others = set(re.findall(r"\d+", said)) - wanted
    return "it has other numbers besides the right one" if wanted and others else ""


def _doubt_wrong(question: Question, said: str) -> str:
    found = [float(each) for each in re.findall(r"\d+(?:\.\d+)?", said)]
    heard = said.split()
    for each in question.accepted:
        wanted = normal(each)
        for number in re.findall(r"\d+(?:\.\d+)?", wanted):
            if any(abs(other - float(number)) <= _NEAR * float(number) for other in found):
                return f"nearly {each}"
        parts = [word for word in wanted.split() if len(word) > 2 and not word.isdigit()]
        if any(difflib.get_close_matches(word, heard, 1, _ALIKE) for word in parts):
            return f"like {each}"
    return ""
