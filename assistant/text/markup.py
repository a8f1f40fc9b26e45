"""Written text -> spoken text.

In any language, Markdown, emoji and layout are removed; where there are rules for it (``text.Language``),
numbers, money, times, units, addresses and abbreviations become words. Pure and deterministic. Pronunciation
is up to the voice.
"""

from __future__ import annotations

import html
import re
import unicodedata

from assistant.text import language as rules_of


def speakable(text: str, language: str = "en") -> str:
    """Return ``text`` on one line without anything unspeakable; empty if nothing is left.

    ``language`` is a code such as "en" or "de"; regions ("en-us") make no difference.
    """
    text = _PLAIN_SIGN.sub(lambda match: unicodedata.normalize("NFKC", match.group()), text)
    text = _in_one_line(_without_markup(_without_pictures(text)))
    if rules := rules_of(language):
        text = rules.spell(text)
    return " ".join(text.replace("_", " ").split()) if any(map(str.isalnum, text)) else ""


_PLAIN_SIGN = re.compile("[\u2160-\u217f\u2460-\u2473]")
"""Roman and circled numerals that are one character."""


def _without_pictures(text: str) -> str:
    """Remove emoji, emoticons and formatting characters."""
    return _EMOTICON.sub("", "".join(char for char in text if not _is_picture(char)))


_EMOTICON = re.compile(r"(?<!\S)(?:[:;=]['-]?[()DPpO|/\\]|<3)(?!\S)")
_PARTS_OF_EMOJI = "\N{VARIATION SELECTOR-16}\N{COMBINING ENCLOSING KEYCAP}\N{ZERO WIDTH JOINER}"


def _is_picture(char: str) -> bool:
    if char in _PARTS_OF_EMOJI or "\N{EMOJI MODIFIER FITZPATRICK TYPE-1-2}" <= char <= "\U0001f3ff":
        return True
    category = unicodedata.category(char)
    # Symbols below the arrows, and letter-like ones, are degree signs and the like.
    return category in ("Cs", "Co", "Cn") or (category == "So" and char > "\N{DOWNWARDS ARROW}")


def _without_markup(text: str) -> str:
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    return html.unescape(text).replace("`", "").replace("*", "")


_MARKUP = [
    (re.compile(pattern, re.MULTILINE | re.DOTALL), replacement)
    for pattern, replacement in (
        (r"[ \t]+", " "),
        (r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", "\n"),  # a code block
        (r"\$(?=[A-Za-z\\(])([^$\n]*[\\^_=][^$\n]*)(?<!\s)\$(?!\d)", r"\1"),  # $E = mc^2$
        (r"\\sqrt\{([^{}]*)\}", r"√\1"),
        (
            r"!?\[([^\[\]]*)\]\((?:[^()\s]|\([^()\s]*\))*(?:\s[^()]*)?\)",
            r"\1",
        ),  # [a link](where) and ![a picture](where)
        (r"!?\[([^\[\]]*)\]\[[^\[\]]*\]", r"\1"),  # [a link][1]
        (r"\[\^?\d+\]", ""),  # a footnote[1]
        (r"<(https?://[^<>\s]+|[^<>\s@]+@[^<>\s@]+)>", r"\1"),  # <an address>
        (r"</?[A-Za-z][^<>]{0,200}>", " "),  # <b>
        (r"^[ \t]*#{1,6}[ \t]+(.*?)[ \t#]*$", r"\1"),  # A heading
        (r"^[ \t]*(?:>[ \t]?)+", ""),  # > a quotation
        (r"^[ \t]*[-*_=](?:[ \t]*[-*_=]){2,}[ \t]*$", ""),  # a horizontal rule
        (r"^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t:|-]*)?$", ""),  # the line below a table's header
        (r"^[ \t]*\|(.*?)\|?[ \t]*$", r"\1"),  # | a row | of a table |
        (r"[ \t]*\|[ \t]*", ", "),  # its other bars
        (r"^[ \t]*[-*+•‣◦][ \t]+(?:\[[ xX]\][ \t]+)?", ""),  # - an item, - [x] a task
        (r"^[ \t]*(\d{1,3})[.)][ \t]+", r"\1, "),  # 1. a numbered item
        (r"~~", ""),
        (r"(?<=\d)[ \t]*\*\*[ \t]*(?=\d)", "^"),  # 2**3, then 2 * 3: not emphasis
        (r"(?<=\d)[ \t]*\*[ \t]*(?=\d)", " × "),
        (r"(?<!\w)_+|_+(?!\w)", ""),  # _emphasis_, but snake_case
        (r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}", r"\1/\2"),  # formulas, as far as people say them
        (r"\\(?:text|boxed|mathrm|mathbf)\{([^{}]*)\}", r"\1"),
        (r"\\(?:times|cdot)\b", "×"),
        (r"\\([A-Za-z]+)", r" \1 "),
        (r"\\[(\[\])]|\$\$|\\", ""),
    )
]


def _in_one_line(text: str) -> str:
    """Turn lines into sentences: each line except the last gets a period if it has no end mark."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if any(map(str.isalnum, line))]
    return " ".join([*(line if line[-1] in ".?!:;,…" else f"{line}." for line in lines[:-1]), *lines[-1:]])
