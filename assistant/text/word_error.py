"""Word error rate of a transcript against what was said.

Spelling differences don't count: case, punctuation and the way numbers are written are normalized first.
Pure; knows only English numbers.
"""

from __future__ import annotations

import re

# fmt: off
_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
# fmt: on
_SCALES = ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
_NUMBER_WORDS = frozenset([*_ONES, *_TENS, *(name for _, name in _SCALES)])
_IRREGULAR_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_CURRENCIES = {"$": "dollars", "£": "pounds", "€": "euros"}
_SAME_WORD = {
    "ok": "okay",
    "mr": "mister",
    "mrs": "missus",
    "dr": "doctor",
    "&": "and",
    "%": "percent",
    "°": "degrees",
}

_TOKEN = re.compile(
    r"(?P<currency>[$£€])?(?P<number>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.(?P<decimals>[0-9]+))?"
    r"(?P<ordinal>(?:st|nd|rd|th)\b)?"
    r"|(?P<word>[^\W\d_]+(?:'[^\W\d_]+)*|[&%°])"
)


def normalize_words(text: str) -> list[str]:
    """Split ``text`` into words in a form that makes two transcripts comparable.

    Lowercase without punctuation. A contraction stays one word. ``12-ounce`` becomes ``twelve`` ``ounce``,
    ``2:30`` ``two`` ``thirty``, ``21st`` ``twenty`` ``first``, ``$5`` ``five`` ``dollars``.
    """
    words: list[str] = []
    curly_apostrophe = "\N{RIGHT SINGLE QUOTATION MARK}"
    for match in _TOKEN.finditer(text.lower().replace(curly_apostrophe, "'")):
        if match["number"]:
            words += _number(match)
        else:
            words.append(_SAME_WORD.get(match["word"], match["word"]))
    return [word for i, word in enumerate(words) if not _is_inside_number(words, i)]


def word_errors(reference: list[str], hypothesis: list[str]) -> int:
    """Return the least number of insertions, deletions and substitutions between the two lists."""
    row = list(range(len(hypothesis) + 1))
    for i, said in enumerate(reference, start=1):
        diagonal, row[0] = row[0], i
        for j, heard in enumerate(hypothesis, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (said != heard))
    return row[-1]


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Word errors divided by the number of reference words; above 1.0 if many words were added.

    Against an empty reference it is 0.0 if the hypothesis is empty too, otherwise 1.0.
    """
    said = normalize_words(reference)
    errors = word_errors(said, normalize_words(hypothesis))
    return errors / len(said) if said else float(errors > 0)


def _number(match: re.Match[str]) -> list[str]:
    digits = match["number"].replace(",", "")
    is_year = len(match["number"]) == 4 and "11" <= digits[:2] <= "19" and digits[2] != "0"
    words = _spell(int(digits[:2])) + _spell(int(digits[2:])) if is_year else _spell_long(digits)
    if match["decimals"]:
        words += ["point", *(_ONES[int(digit)] for digit in match["decimals"])]
    if match["ordinal"]:
        words[-1] = _ordinal(words[-1])
    return [*words, _CURRENCIES[match["currency"]]] if match["currency"] else words


def _spell_long(digits: str) -> list[str]:
    # Beyond a billion it is a telephone number or the like, which is read digit by digit.
    return _spell(int(digits)) if len(digits) <= 12 else [_ONES[int(digit)] for digit in digits]


def _spell(number: int) -> list[str]:
    for scale, name in _SCALES:
        if number >= scale:
            count, rest = divmod(number, scale)
            return [*_spell(count), name, *(_spell(rest) if rest else [])]
    if number < 20:
        return [_ONES[number]]
    tens, ones = divmod(number, 10)
    return [_TENS[tens], *([_ONES[ones]] if ones else [])]


def _ordinal(word: str) -> str:
    if word in _IRREGULAR_ORDINALS:
        return _IRREGULAR_ORDINALS[word]
    return word[:-1] + "ieth" if word.endswith("y") else word + "th"


def _is_inside_number(words: list[str], i: int) -> bool:
    # "one hundred and five" is spoken and "105" is written; the difference is not an error.
    if words[i] != "and" or not 0 < i < len(words) - 1:
        return False
    return words[i - 1] in ("hundred", "thousand") and words[i + 1] in _NUMBER_WORDS
