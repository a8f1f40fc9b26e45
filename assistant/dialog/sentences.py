"""Splits a reply that arrives in pieces into clauses and sentences, each as soon as it is certain.

The first few words are spoken where people draw breath, the first clause at its comma, so that speech starts
early; after that whole sentences are spoken, because they sound best. Code is not read out. Pure: how the
text is split into pieces makes no difference to the result, and nothing is lost but white space, code and its
fences. ``text.markup`` handles pronunciation.
"""

from __future__ import annotations

import re

from assistant.core.types import Beginning, Sentence
from assistant.text.inner import Outspoken

FIRST_WORDS = 3
FIRST_WORDS_CHARS = 12
"""Minimum length of the first words spoken alone: less isn't a phrase, and voices mangle it."""

FIRST_CLAUSE_CHARS = 10
FIRST_CLAUSE_WORDS = 2
"""Minimum length of a first clause ("I am sorry,"): about 0.7 s of speech, in which the rest is made."""

FIRST_BREATH_CHARS = 48
"""A first clause without any mark ends before the next conjunction from here on."""

LONGEST_CHARS = 220
"""A sentence without a mark is cut after this at the latest: about 15 s of speech."""


class Sentences:
    """Processes one reply."""

    def __init__(
        self, instead_of_code: str = "The code is left out.", *, begin_with: Beginning = "clause"
    ) -> None:
        """Set what is said in place of a code block, ``instead_of_code``; empty for nothing.

        ``begin_with`` says what is spoken first. After words comes a clause, after a clause come sentences.
        """
        self._reply = Outspoken()
        self._prose = _Prose(instead_of_code)
        self._text = ""
        self.written = ""
        """What of the reply is for the person, as it was written."""
        self._haste = {"words": 2, "clause": 1, "sentence": 0}[begin_with]

    def add(self, piece: str) -> list[Sentence]:
        """Add the next piece of the reply; returns what can be spoken now, in order."""
        self._text += self._read(self._reply.add(piece))
        return self._take(is_over=False)

    def finish(self) -> list[Sentence]:
        """Return the rest, since the reply is complete."""
        self._text += self._read(self._reply.finish()) + self._prose.finish()
        return self._take(is_over=True)

    def _read(self, outspoken: str) -> str:
        self.written += outspoken
        return self._prose.add(outspoken)

    def _take(self, *, is_over: bool) -> list[Sentence]:
        taken: list[Sentence] = []
        while True:
            self._text = self._text.lstrip()
            end = _end_of_clause(self._text, self._haste)
            if end is None and is_over:
                end = len(self._text)
            if not end:
                return taken
            text, rest = self._text[:end], self._text[end:]
            taken.append(Sentence(text.rstrip(), goes_on=text[-1].isalnum() and rest[:1].isspace()))
            self._text = rest
            if self._haste and any(map(str.isalnum, text)):
                self._haste -= 1


def whole(text: str) -> list[Sentence]:
    """Split a complete text into sentences."""
    sentences = Sentences(begin_with="sentence")
    return [*sentences.add(text), *sentences.finish()]


class _Prose:
    """What is not between code fences (three backticks or tildes)."""

    def __init__(self, instead_of_code: str) -> None:
        self._instead = f"\n{instead_of_code}\n"
        self._in_code = False
        self._marks = ""

    def add(self, piece: str) -> str:
        prose = []
        for char in piece:
            if char in "`~":
                prose += [self.finish() if self._marks and self._marks[0] != char else ""]
                self._marks += char
                continue
            prose += [self.finish(), "" if self._in_code else char]
        return "".join(prose)

    def finish(self) -> str:
        """The marks so far were all of this run: a fence, or part of the prose."""
        marks, self._marks = self._marks, ""
        if len(marks) >= 3:
            self._in_code = not self._in_code
            return self._instead if self._in_code else ""
        return "" if self._in_code else marks


# Where a clause may end: a mark with the quotes, brackets and markdown that close after it.
_CLOSERS = r"""["'’”»)\]}*_]*"""
_CANDIDATE = re.compile(
    rf"""(?P<line> \n )
       | (?P<wide_stop> [。\N{{FULLWIDTH EXCLAMATION MARK}}\N{{FULLWIDTH QUESTION MARK}}] ) {_CLOSERS}
       | (?P<stop> [.!?…]+ ) (?P<closers> {_CLOSERS} )
       | (?P<comma> [,;:] ) {_CLOSERS}
       | (?P<dash> — | [^\S\n] [-–] (?=[^\S\n]) )
       | (?P<gap> [^\S\n]+ )
    """,
    re.VERBOSE,
)

_LOOK_AHEAD_CHARS = 16
"""A candidate is decided by at most this much text after it, or waits for more."""

# fmt: off
_NEVER_LAST = frozenset({
    "dr", "mr", "mrs", "ms", "prof", "mt", "gen", "sen", "rep", "gov", "capt", "sgt", "lt", "col", "rev",
    "vs", "e.g", "i.e", "eg", "ie", "cf", "approx", "ca",
})
"""Abbreviations that a name or an explanation follows."""

_BEFORE_NUMBERS = frozenset({
    "no", "nos", "vol", "fig", "ch", "p", "pp",
    "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec",
})
"""Abbreviations before a number; otherwise words, or the end of a sentence."""

_SOMETIMES_LAST = frozenset({"etc", "inc", "ltd", "corp", "co", "jr", "sr", "st", "ave", "rd", "blvd", "al"})

_UNITS = frozenset({"ft", "in", "oz", "lb", "lbs", "yd", "mi", "hr", "hrs", "min", "sec"})
"""Abbreviated behind a number, with more to follow ("5 ft. 3 in. high")."""

_CONJUNCTIONS = (
    "and", "or", "but", "because", "so", "which", "who", "that", "where", "when", "while", "if", "although",
)
# fmt: on
_INITIALS = re.compile(r"(?!(?:U\.S|U\.K|U\.N|E\.U|D\.C|A\.D|B\.C|A\.M|P\.M)$)(?:[A-Z]\.)+[A-Z]")  # J.R.R
_DOTTED = re.compile(r"(?:[A-Za-z]{1,2}\.)+[A-Za-z]{1,2}")  # U.S, p.m, Ph.D


_VERBS = (
    *("is", "are", "was", "were", "has", "have", "had", "does", "did", "will", "would", "can", "could"),
    *("should", "must", "may", "might", "means", "refers", "consists", "contains", "includes", "began"),
)
_PREPOSITIONS = (
    *("in", "on", "at", "by", "for", "from", "with", "without", "about", "into", "between", "through"),
    *("during", "under", "over", "after", "before", "near", "against", "since", "until"),
)
_BREATHS = frozenset([*_CONJUNCTIONS, *_VERBS, *_PREPOSITIONS])
"""Words before which a phrase may end, so that a short breath sounds natural there."""

_CLINGING = frozenset(
    [
        *("i", "you", "he", "she", "it", "we", "they", "this", "these", "those", "there", "what", "here"),
        *("a", "an", "the", "my", "your", "his", "her", "its", "our", "their", "some", "no", "not", "as"),
        *("to", "of", "be", "been", "being", "also", "only", "very", "more", "most", "than", "let", "up"),
    ]
)
"""Words after which nobody draws breath."""


def _end_of_clause(text: str, haste: int) -> int | None:
    """Return where the first clause of ``text`` ends; None until that is certain."""
    for candidate in _CANDIDATE.finditer(text):
        if candidate.start() >= LONGEST_CHARS:
            break
        verdict = _ends_here(candidate, text, haste)
        if verdict is None:
            return None
        if verdict:
            return candidate.start() if candidate["gap"] else candidate.end()
    return _forced_end(text[:LONGEST_CHARS]) if len(text) >= LONGEST_CHARS + _LOOK_AHEAD_CHARS else None


def _ends_here(  # noqa: PLR0911 - a list of cases
    candidate: re.Match[str], text: str, haste: int
) -> bool | None:
    """True if the clause ends at ``candidate``; None if that depends on what follows."""
    if candidate["line"]:
        return True
    if candidate["gap"]:
        return _is_breath(candidate, text, haste) if haste else False
    if candidate.end() == len(text):
        return None
    if candidate["wide_stop"]:
        return True
    if candidate["stop"]:
        return _is_last(candidate, text)
    if candidate["dash"] and text[: candidate.start()].rstrip()[-1:].isdigit():
        follows = text[candidate.end() :].lstrip()[:1]
        if not follows:
            return None
        if follows.isdigit():
            return False  # a minus
    return (
        haste > 0
        and _is_clause(text[: candidate.end()])
        and (candidate["dash"] is not None or text[candidate.end()].isspace())
    )


def _is_clause(text: str) -> bool:
    """True if it is long enough to be spoken alone, and not inside a bracket."""
    return (
        len(text) >= FIRST_CLAUSE_CHARS
        and len(text.split()) >= FIRST_CLAUSE_WORDS
        and text.count("(") <= text.count(")")
        and text.count("[") <= text.count("]")
    )


def _is_breath(gap: re.Match[str], text: str, haste: int) -> bool | None:
    before = text[: gap.start()].split()
    if haste > 1:
        phrase_ends = len(before) >= FIRST_WORDS and gap.start() >= FIRST_WORDS_CHARS
        last = before[-1].lower() if before else ""
        if not phrase_ends or not last.isalpha() or last in _CLINGING or last in _BREATHS:
            return False
        words = _BREATHS
    elif gap.start() >= FIRST_BREATH_CHARS:
        words = frozenset(_CONJUNCTIONS)
    else:
        return False
    word = re.match(r"\w*", text[gap.end() :])
    assert word is not None  # noqa: S101  # the pattern matches anything
    if gap.end() + word.end() == len(text):
        return None if any(each.startswith(word.group().lower()) for each in words) else False
    return word.group().lower() in words


def _is_last(stop: re.Match[str], text: str) -> bool | None:  # noqa: PLR0911 - a list of cases
    """True if a sentence ends at this period, ellipsis, question or exclamation mark."""
    if not text[stop.end()].isspace():
        return False
    follows = text[stop.end() :].lstrip()
    before = text[: stop.start()]
    word = (before.split() or [""])[-1].lstrip("([\"'“*_")
    if stop["stop"] == ".":
        is_list_number = word.isdigit() and before == word
        is_initial = (len(word) == 1 and word.isalpha() and word != "I") or _INITIALS.fullmatch(word)
        if is_list_number or is_initial or word.lower() in _NEVER_LAST:
            return False
        before_it = (before.split() or [""])[-2:-1]
        if word.lower() in _UNITS and before_it and before_it[0][-1:].isdigit():
            return follows[0].isupper() if follows else None
        if word in {"St", "Ft"} and not (before_it and before_it[0][:1].isupper()):
            return not follows[0].isupper() if follows else None  # Saint Mary, Fort Worth
        if word.lower() in _BEFORE_NUMBERS:
            return not follows[0].isdigit() if follows else None
        is_plain = not stop["closers"] and word.lower() not in _SOMETIMES_LAST and not _DOTTED.fullmatch(word)
    else:
        is_plain = not stop["closers"] and stop["stop"][0] in "!?"
    if is_plain:
        return True
    # A quotation, an ellipsis or an abbreviation may be inside a sentence, which continues in lowercase.
    return not follows[0].islower() if follows else None


def _forced_end(text: str) -> int:
    """Return where to cut ``text``, which has no end: at a mark, a conjunction, a space, or after all of
    it.
    """
    conjunctions = "|".join(_CONJUNCTIONS)
    for place in (r"[,;:—]\s+", rf"\s+(?=(?:{conjunctions})\s)", r"\s+"):
        ends = [match.end() for match in re.finditer(place, text) if match.end() > len(text) // 3]
        if ends:
            return ends[-1]
    return len(text)
