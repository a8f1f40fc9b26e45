"""English: read values from recognized words, and turn written text into spoken text.

``words``, ``numbers``, ``durations`` and ``moments`` read what was heard; ``wording`` says such values.
Written text becomes spoken text through lists of rules, applied in order: ``spell`` combines them and adds
its own for addresses, abbreviations and signs, ``times`` covers dates and clock times, ``quantities`` covers
money, units and other numbers; all use the number words from ``numbers``. Everything is pure.
"""

from __future__ import annotations

from assistant.text import Language
from assistant.text.en.spell import english

LANGUAGE = Language(
    spell=english,
    open_words=frozenset(
        [
            *("a", "an", "the", "my", "your", "our", "their", "and", "or", "but", "because", "if", "than"),
            *("plus", "minus", "times", "called", "named", "um", "uh", "er", "erm", "hmm"),
        ]
    ),
    open_unless_asked=frozenset(["to", "for", "from", "with", "at", "of", "into", "between", "by"]),
)
