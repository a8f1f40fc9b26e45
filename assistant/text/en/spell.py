"""Written English to spoken English: addresses, abbreviations and signs, plus times and quantities."""

from __future__ import annotations

import re

from assistant.text.en.numbers import cardinal, ordinal, year
from assistant.text.en.quantities import QUANTITY_RULES
from assistant.text.en.rules import any_of, ends_text, rules
from assistant.text.en.times import TIME_RULES


def english(text: str) -> str:
    """Spell out ``text``, one line without markup, as it is spoken."""
    text = _inches(text) if '"' in text else text
    for pattern, said in _RULES:
        text = pattern.sub(said, text)
    return text


# fmt: off
_TITLES = {
    "Dr": "Doctor", "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Prof": "Professor", "St": "Saint",
    "Mt": "Mount", "Gen": "General", "Capt": "Captain", "Sgt": "Sergeant", "Lt": "Lieutenant",
    "Rev": "Reverend", "Sen": "Senator", "Gov": "Governor",
}
_STREETS = {"St": "Street", "Ave": "Avenue", "Rd": "Road", "Blvd": "Boulevard", "Ln": "Lane", "Dr": "Drive"}
_ABBREVIATIONS = {
    "e.g.": "for example", "i.e.": "that is", "etc.": "et cetera", "E.g.": "For example", "I.e.": "That is",
    "ca.": "circa", "cf.": "compare", "al.": "others", "Ft.": "Fort",
    "approx.": "approximately", "a.k.a.": "also known as", "incl.": "including", "dept.": "department",
    "est.": "established", "Inc.": "Incorporated", "Ltd.": "Limited", "Corp.": "Corporation",
    "Jr.": "Junior", "Sr.": "Senior", "Ph.D.": "P-H-D",
    "Mon.": "Monday", "Tue.": "Tuesday", "Wed.": "Wednesday", "Thu.": "Thursday", "Fri.": "Friday",
}
_WORDS_WITH_SIGNS = {
    "b/c": "because", "b/w": "between", "n/a": "not applicable", "N/A": "not applicable", "c/o": "care of",
    "w/o": "without", "w/": "with", "and/or": "and or", "24/7": "twenty-four seven",
    "50/50": "fifty-fifty", "C++": "C plus plus", "C#": "C sharp", "F#": "F sharp",
    "PhD": "P-H-D",
}
_SIGNS = {
    "&": "and", "@": "at", "+": "plus", "=": "equals", "×": "times", "÷": "divided by", "±": "plus or minus",
    "≈": "about", "~": "about", "≤": "at most", "≥": "at least", "≠": "is not", "√": "square root of",
    "π": "pi", "∞": "infinity", "→": "to", "%": "percent", "‰": "per mille", "°": "degrees", "$": "dollars",
    "™": "trademark", "®": "registered trademark", "€": "euros", "£": "pounds",
    "§": "section", "©": "copyright", "µ": "micro",
}
_RULERS = (
    "Henry|Louis|Elizabeth|George|Edward|Charles|William|James|Richard|Philip|Frederick|Peter|Catherine"
    "|Alexander|Francis|Nicholas|Napoleon|John|Paul|Pius|Benedict|Leo|Ramesses|Ptolemy|Pope|King|Queen"
)
_ROMAN_DIGITS = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_NUMBERED = "Bowl|Chapter|Part|Volume|Book|Act|Scene|Article|Section|Appendix|Phase|Title|Figure|Table"
# fmt: on


def _abbreviation(match: re.Match[str]) -> str:
    return _ABBREVIATIONS[match.group()] + ("." if ends_text(match) else "")


def _street(match: re.Match[str]) -> str:
    return f"{match[1]} {_STREETS[match[2]]}{'.' if ends_text(match) else ''}"


def _letters(match: re.Match[str]) -> str:
    # Letters joined by hyphens are read as letters; "A" alone would be read as the article.
    return "-".join(match.group().replace(".", "")) + ("." if ends_text(match) else "")


def _address(match: re.Match[str]) -> str:
    """Say a web or email address: its name, and as much of the path as one can remember."""
    name, _, path = match["address"].partition("/")
    path = path.rstrip("/")
    whole = f"{name}/{path}" if re.fullmatch(r"[A-Za-z]+(?:[/.-][A-Za-z]+){0,2}", path) else name
    for sign, word in (("@", "at"), ("/", "slash"), (".", "dot"), ("-", "dash"), ("_", "underscore")):
        whole = whole.replace(sign, f" {word} ")
    return f" {whole}"


def _path(match: re.Match[str]) -> str:
    return match[1].replace("/", " slash ")


def _roman_value(numeral: str) -> int:
    values = [_ROMAN_DIGITS[digit] for digit in numeral]
    after = [*values[1:], 0]
    return sum(-value if value < next_one else value for value, next_one in zip(values, after, strict=True))


def _inches(text: str) -> str:
    """12" -> 12 inch, but for the marks that close a quotation."""
    parts, is_quoted = text.split('"'), False
    said = parts[0]
    for part in parts[1:]:
        if not is_quoted and said[-1:].isdigit() and not said.endswith(("'",)) and "'" not in said[-5:]:
            said += f" inch{part}"
            continue
        is_quoted = not is_quoted
        said += f'"{part}'
    return said


def _roman(match: re.Match[str]) -> str:
    number = _roman_value(match["numeral"])
    return f"{match[1]} the {ordinal(number)}" if match["ruler"] else f"{match[1]} {cardinal(number)}"


def _roman_year(match: re.Match[str]) -> str:
    return year(_roman_value(match.group()))


def _numbered(match: re.Match[str]) -> str:
    return f"{match[1]} {cardinal(_roman_value(match['any']))}"


_URL = (
    r"(?:https?://|\b(?=www\.|[\w.-]{1,253}\.(?:com|org|net|io|dev|edu|gov)/))"
    r"(?:www\.)?(?P<address>[\w.@-]*\w(?:/(?:[\w./-]*[\w/])?)?)(?:[?#:][^\s,;!]*\w)?/?"
)
_NUMERAL = r"(?P<numeral>(?=[IVX]{2})X{0,3}(?:IX|IV|V?I{0,3}))\b"
_BELOW_1000 = r"(?:C[MD]|D?C{0,3})(?:X[CL]|L?X{0,3})(?:I[XV]|V?I{0,3})"
_PLACES = {
    "p": "page",
    "pp": "pages",
    "vol": "volume",
    "fig": "figure",
    "ch": "chapter",
    "sec": "section",
    "ed": "edition",
}

_RULES = [
    *rules(
        (r"[‘’]", "'"),
        (r"[₀-₉]", lambda match: str("₀₁₂₃₄₅₆₇₈₉".index(match.group()))),
        (_URL, _address),
        (r"\b(?P<address>[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+)", _address),
        (r"(?<=[a-z]{2})\.(?=[A-Z][a-z])", ". "),
        (r"(?<=[a-z0-9])\.(?=[a-z]{2,}\b)", " dot "),
        (r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b(?=\d*[a-f])[0-9a-f]{32,}\b", ""),
        (rf"\b({any_of(_PLACES)})\. ?(?=\d)", lambda match: f"{_PLACES[match[1]]} "),
        (rf"(?<![\w/])(?:{any_of(_WORDS_WITH_SIGNS)})(?!\w)", lambda match: _WORDS_WITH_SIGNS[match.group()]),
        (rf"\b(?:{any_of(_ABBREVIATIONS)})(?!\w)", _abbreviation),
        (rf"([A-Z][a-z]+|\d(?:st|nd|rd|th)) ({any_of(_STREETS)})\b\.?(?! [A-Z][a-z])", _street),
        (rf"\b({any_of(_TITLES)})\b\.?(?= [A-Z])", lambda match: _TITLES[match[1]]),
        (r"\b[Nn]os?\. ?(?=\d)|#(?=\d)", "number "),
        (r"#(?=[A-Za-z])", "hashtag "),
        (r"\bvs\b\.?", "versus"),
        (r"\b(degrees?) C\b", r"\1 Celsius"),
        (r"\b(degrees?) F\b", r"\1 Fahrenheit"),
    ),
    *TIME_RULES,
    *rules(
        (r"\b(?:[A-Z]\.){2,}", _letters),
        (r"\b([A-Z])\.(?= [A-Z])", r"\1"),
        (rf"\b((?P<ruler>{_RULERS})|[A-Z][a-z]+) {_NUMERAL}", _roman),
        (rf"\b({_NUMBERED}) (?P<any>(?=[IVXLCDM])M{{0,3}}{_BELOW_1000})\b", _numbered),
        (rf"\b(?=[MDCLXVI]{{4}})M{{1,2}}{_BELOW_1000}\b", _roman_year),
        (r"\b([AaPp])\. ?[Mm]\.", lambda match: f"{match[1].upper()}-M{'.' if ends_text(match) else ''}"),
    ),
    *QUANTITY_RULES,
    *rules(
        (r"(?<=\w) ?< ?(?=\w)", " less than "),
        (r"(?<=\w) ?> ?(?=\w)", " more than "),
        (r"(?<![\w-])< ?(?=\d)", "less than "),
        (r"(?<![\w=-])> ?(?=\d)", "more than "),
        (r"(?<![\w/])~?((?:/\w[\w-]*)+)/?", _path),
        (r"/(?=(?:second|minute|hour|day|night|week|month|year|person)\b)", " per "),
        (r"(?<=[a-z])/(?=[a-z])", " or "),
        (r"(?<=day)[-–](?=[A-Z][a-z]+day\b)", " to "),
        (rf"[{re.escape(''.join(_SIGNS))}]", lambda match: f" {_SIGNS[match.group()]} "),
        (r"[<>/\\^#|]+", " "),
        (r" +(?=[.,;:?!)])", ""),
    ),
]
