"""Whose words they are: echoes however misheard, and never what a person says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.dialog.own_voice import is_own, likeness

SPOKEN = (
    "The Brooklyn Bridge was opened in eighteen eighty three, and it connects Manhattan and Brooklyn. "
    "You can stop there and walk across."
)
LETTERS = st.text("abcdefghij", min_size=1, max_size=40)


@pytest.mark.parametrize(
    "heard",
    [
        SPOKEN,
        "The Brooklyn Bridge was opened in 1883.",
        "and it connects Manhattan",
        "brooklyn bridge was open in eighteen",
        "It can next man hat and and Brook Lynn",
        "connects Manhattan",
        "Brooklyn.",
    ],
)
def test_an_echo_is_known_again_however_it_was_misheard(heard: str) -> None:
    assert is_own(heard, SPOKEN)


@pytest.mark.parametrize(
    "heard",
    [
        "And how long is it?",
        "No, I meant the Golden Gate Bridge.",
        "What is the weather like tomorrow?",
        "Turn on the light in the kitchen.",
        "Okay, thank you.",
        "Wait.",
        "",
        "...",
    ],
)
def test_what_a_person_says_is_not_the_assistants(heard: str) -> None:
    assert not is_own(heard, SPOKEN)


def test_a_word_inside_another_is_no_word_of_the_answer() -> None:
    assert not is_own("No.", "I know that.")
    assert not is_own("Man", SPOKEN)


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_can_be_compared(heard: str, spoken: str) -> None:
    is_own(heard, spoken)
    assert not is_own("", spoken)
    assert not is_own(heard, "")


@given(LETTERS, LETTERS, LETTERS)
def test_a_part_is_alike_wherever_it_stands(before: str, part: str, after: str) -> None:
    assert likeness(part, before + part + after) == 1


@given(LETTERS, LETTERS, st.integers(0, 39))
def test_one_letter_misheard_costs_one_letter(part: str, before: str, at: int) -> None:
    at %= len(part)
    misheard = part[:at] + "z" + part[at + 1 :]
    assert likeness(misheard, before + part) >= 1 - 1 / len(part) - 1e-9


@given(LETTERS, LETTERS)
def test_likeness_is_a_share(part: str, whole: str) -> None:
    assert 0 <= likeness(part, whole) <= 1
    assert likeness(part, "") == 0
