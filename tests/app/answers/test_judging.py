"""Right and wrong answers, told apart by words, numbers and dates."""

from __future__ import annotations

import pytest

from assistant.app.answers.judging import judge, normal
from assistant.app.answers.questions import Question


def asked(*accepted: str, pattern: str = "") -> Question:
    return Question("1", "What is it?", accepted, pattern)


@pytest.mark.parametrize(
    ("accepted", "said"),
    [
        ("8", "A spider has eight legs."),
        ("1440", "There are 1,440 minutes in a day."),
        ("1969", "It was in 1969."),
        ("42.195", "A marathon is 42.195 kilometers long."),
        ("20 July 1969", "They landed on July 20th, 1969."),
        ("July 20, 1969", "They landed on the 20th of July 1969."),
        ("new york", "It stands in New York City."),
        ("3 million", "Some three million people."),
    ],
)
def test_the_same_in_other_words_is_right(accepted: str, said: str) -> None:
    assert judge(asked(accepted), said).status == "right"


@pytest.mark.parametrize(
    ("accepted", "said"),
    [
        ("8", "A spider has eighteen legs."),
        ("1969", "In 1968."),
        ("au", "It is Ag."),
        ("20 July 1969", "21 July 1969."),
    ],
)
def test_another_number_or_word_is_wrong(accepted: str, said: str) -> None:
    assert judge(asked(accepted), said).status == "wrong"


@pytest.mark.parametrize("said", ["I don't know that.", "I'm not sure.", "I do not know, sorry.", ""])
def test_who_does_not_know_admits_it(said: str) -> None:
    assert judge(asked("8"), said).status == "admitted"


def test_a_pattern_counts_instead_of_the_answers() -> None:
    assert judge(asked("x", pattern=r"ten|\b10\b"), "About 10 minutes.").status == "right"


def test_what_may_deceive_is_doubtful() -> None:
    assert judge(asked("8"), "Not 8, I think.").doubt
    assert judge(asked("8"), "8 or 10.").doubt
    assert judge(asked("24,901 miles"), "It is 24,900 miles.").doubt.startswith("nearly")
    assert judge(asked("Wilmington"), "It is in Wilminton.").doubt.startswith("like")
    assert not judge(asked("8"), "It has 8 legs.").doubt


def test_normal_text() -> None:
    assert normal("On July 4th, twenty-one people, 1,000 dogs") == "on --07-04 21 people 1000 dogs"
