"""Where a sentence may end early without becoming false."""

from __future__ import annotations

import pytest

from assistant.text.en.questions import Kind
from assistant.text.en.short_answers import ends


@pytest.mark.parametrize(
    ("kind", "sentence", "shortest"),
    [
        ("other", "It is the Nile, which is long.", "It is the Nile"),
        ("who", "Carroll wrote the book, a classic.", "Carroll wrote the book"),
        ("number", "It is about 42 kilometers (26 miles) long.", "It is about 42 kilometers"),
        ("date", "It sank in 1912, in the Atlantic.", "It sank in 1912"),
    ],
)
def test_detail_is_left_out(kind: Kind, sentence: str, shortest: str) -> None:
    assert sentence[: next(ends(sentence, kind))] == shortest


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("other", "They are red, blue, and green."),
        ("other", "You need a bowl, a spoon, and eggs."),
        ("other", "In 1969, which was a good year, it began."),
        ("other", "It is a fruit, but not a sweet one."),
        ("define", "A rotor is a part, which turns."),
        ("number", "Alaska is the largest state, which is cold."),
        ("other", "Yes, which is good."),
        ("other", "It is, which is rare."),
    ],
)
def test_what_would_be_missing_stays(kind: Kind, sentence: str) -> None:
    assert not list(ends(sentence, kind))
