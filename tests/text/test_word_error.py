"""Two spellings of the same words are equal; anything else counts as people would count it."""

from __future__ import annotations

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.text.word_error import normalize_words, word_error_rate, word_errors

_WORDS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Brew a 12-ounce double-shot coffee.", "brew a twelve ounce double shot coffee"),
        ("Set a timer for 10 minutes!", "set a timer for ten minutes"),
        ("1, 2, 3.", "one two three"),
        ("at 2:30", "at two thirty"),
        ("The 21st, the 12th and the 30th", "the twenty first the twelfth and the thirtieth"),
        ("It was 1984.", "it was nineteen eighty four"),
        ("in 2005", "in two thousand five"),
        ("105 people", "one hundred five people"),
        ("1,250", "one thousand two hundred fifty"),
        ("It's 3.14, isn't it?", "it's three point one four isn't it"),
        ("$5 or 20%", "five dollars or twenty percent"),
        ("What\N{RIGHT SINGLE QUOTATION MARK}s up, Mr. Fox?", "what's up mister fox"),
        ("O'Neill's 'quoted' word", "o'neill's quoted word"),
        ("Größe: élan", "größe élan"),
        ("Ok, 70° & sunny", "okay seventy degrees and sunny"),
    ],
)
def test_spelling_is_no_mistake(written: str, said: str) -> None:
    assert normalize_words(written) == said.split()
    assert word_error_rate(said, written) == 0.0


@pytest.mark.parametrize(
    ("reference", "hypothesis", "rate"),
    [
        ("turn on the lamp", "turn off the lamp", 1 / 4),
        ("turn on the lamp", "turn the lamp", 1 / 4),
        ("stop", "stop it now", 2.0),
        ("cream and sugar", "cream sugar", 1 / 3),
        ("what's up", "what is up", 1.0),
        ("yes", "", 1.0),
        ("one hundred and five", "105", 0.0),
        ("", "", 0.0),
        ("...", "you", 1.0),
    ],
)
def test_errors_are_counted_per_word_said(reference: str, hypothesis: str, rate: float) -> None:
    assert word_error_rate(reference, hypothesis) == pytest.approx(rate)


@given(_WORDS.filter(bool), _WORDS)
def test_errors_agree_with_another_implementation(reference: list[str], hypothesis: list[str]) -> None:
    theirs = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    assert word_errors(reference, hypothesis) == theirs.substitutions + theirs.insertions + theirs.deletions


@given(st.text())
def test_any_text_normalizes_to_itself(text: str) -> None:
    words = normalize_words(text)
    assert normalize_words(" ".join(words)) == words


@given(st.integers(min_value=0, max_value=10**12 - 1))
def test_every_number_is_spelled_in_letters(number: int) -> None:
    assert all(word.isalpha() for word in normalize_words(f"{number:,}"))
