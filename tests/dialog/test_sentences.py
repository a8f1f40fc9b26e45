"""How a reply is cut: where people would pause, and never otherwise."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from assistant.core.types import Beginning, Sentence
from assistant.dialog.sentences import FIRST_CLAUSE_CHARS, LONGEST_CHARS, Sentences


def cut(*pieces: str, begin_with: Beginning = "clause") -> list[str]:
    return [clause.text for clause in taken(Sentences(begin_with=begin_with), pieces)]


def taken(sentences: Sentences, pieces: Iterable[str]) -> list[Sentence]:
    return [*(clause for piece in pieces for clause in sentences.add(piece)), *sentences.finish()]


def after_first(reply: str) -> list[str]:
    """How ``reply`` is cut when a first clause has been spoken already."""
    return cut("Yes.\n", reply)[1:]


@pytest.mark.parametrize(
    "sentence",
    [
        "Dr. Smith and Mrs. Jones met J. R. Tolkien.",
        "It costs 3.5 dollars, not 1,234.56.",
        "Take some fruit, e.g. apples or pears.",
        "The train leaves at 10:30 a.m. from platform 5.",
        "See https://example.com/a.b?c=d for more.",
        "Look at example.com today.",
        "Well... maybe not.",
        "Hmm… let me think.",
        "He lives in the U.S. and likes it.",
        "J.R.R. Tolkien wrote it.",
        "It happened on Jan. 5 in the year 400.",
        "That is No. 7 on the list.",
        "Apples, pears, etc. are fruit.",
        "Python 3.11.2 is out.",
        '"Really?" she asked.',
        "Is it (really!) that easy?",
        "Wait...what?",
        "Team A. has Mr. Lee.",
    ],
)
def test_one_sentence_stays_whole(sentence: str) -> None:
    assert after_first(sentence) == [sentence]


@pytest.mark.parametrize(
    ("reply", "sentences"),
    [
        ("It rains. Take a coat.", ["It rains.", "Take a coat."]),
        ("Is it? Yes! Good.", ["Is it?", "Yes!", "Good."]),
        ("He lives in the U.S. He likes it.", ["He lives in the U.S.", "He likes it."]),
        ("It is 5. That is all.", ["It is 5.", "That is all."]),
        ('He said "no." Then he left.', ['He said "no."', "Then he left."]),
        ("It is done.) Next one.", ["It is done.)", "Next one."]),
        ("That is **all.** Thank you.", ["That is **all.**", "Thank you."]),
        ("We met at 5 p.m. It rained.", ["We met at 5 p.m.", "It rained."]),
        ("Red, green, etc. Then blue.", ["Red, green, etc.", "Then blue."]),
        ("The answer is no. It is not.", ["The answer is no.", "It is not."]),
        ("So do I. You too.", ["So do I.", "You too."]),
        ("Well... Let me see.", ["Well...", "Let me see."]),
        ("Buy:\n- milk\n- eggs\n\nThat is all.", ["Buy:", "- milk", "- eggs", "That is all."]),
        ("1. Open it.\n2. Close it.", ["1. Open it.", "2. Close it."]),
        ("你好。再见。", ["你好。", "再见。"]),
    ],
)
def test_sentences_end_where_they_end(reply: str, sentences: list[str]) -> None:
    assert after_first(reply) == sentences


@pytest.mark.parametrize(
    ("reply", "clauses"),
    [
        (
            "The sun is shining today, so take a hat, and water.",
            ["The sun is shining today,", "so take a hat, and water."],
        ),
        ("Sure, here is the long answer: it depends.", ["Sure, here is the long answer:", "it depends."]),
        ("It is cold outside — wear a coat.", ["It is cold outside —", "wear a coat."]),
        ("It is cold outside - wear a coat.", ["It is cold outside -", "wear a coat."]),
        ("Yes, of course.", ["Yes, of course."]),
        ("At 10:30 sharp it will start.", ["At 10:30 sharp it will start."]),
        ("There are 1,234 people here.", ["There are 1,234 people here."]),
        ("The three (red, green, blue) are fine.", ["The three (red, green, blue) are fine."]),
        (
            "The tallest mountain in the world is Mount Everest which is in Nepal.",
            ["The tallest mountain in the world is Mount Everest", "which is in Nepal."],
        ),
        ("🙂 \nThe sun is shining today, so go.", ["🙂", "The sun is shining today,", "so go."]),
    ],
)
def test_the_first_clause_goes_out_early(reply: str, clauses: list[str]) -> None:
    assert cut(reply) == clauses


def test_clauses_come_as_soon_as_they_are_sure() -> None:
    sentences = Sentences()
    came = [(token, sentences.add(token)) for token in ("It", " is", " half", " past", " ten", ".", " Time")]
    assert came[-2:] == [(".", []), (" Time", [Sentence("It is half past ten.")])]
    assert sentences.finish() == [Sentence("Time")]


@pytest.mark.parametrize(
    ("reply", "pieces"),
    [
        ("The Brooklyn Bridge is 140 years old.", ["The Brooklyn Bridge+", "is 140 years old."]),
        ("The capital of France is Paris.", ["The capital of France+", "is Paris."]),
        ("It is half past ten.", ["It is half past ten."]),
        ("I was created by a team in Ulm.", ["I was created+", "by a team in Ulm."]),
        (
            "There are many lakes in the north, and few in the south.",
            ["There are many lakes+", "in the north,", "and few in the south."],
        ),
        ("You can turn it on at any time.", ["You can turn it on at any time."]),
        ("Paris", ["Paris"]),
        ("Buy bread and\n milk", ["Buy bread and", "milk"]),
        ("The old red \n house is here.", ["The old red", "house is here."]),
        (
            "1. Open the window in the hall.\n2. Close it.",
            ["1. Open the window+", "in the hall.", "2. Close it."],
        ),
    ],
)
def test_the_first_words_go_out_where_people_draw_breath(reply: str, pieces: list[str]) -> None:
    for size in (1, 4, len(reply)):
        came = taken(Sentences(begin_with="words"), [reply[i : i + size] for i in range(0, len(reply), size)])
        assert [f"{piece.text}+" if piece.goes_on else piece.text for piece in came] == pieces


@pytest.mark.parametrize(
    ("reply", "clauses"),
    [
        ("Try this:\n```python\nprint(1.5)\n```\nDone.", ["Try this:", "No code.", "Done."]),
        ("```\nx = 1", ["No code."]),
        ("Use `x = 1` here.", ["Use `x = 1` here."]),
        ("````md\nx\n````\nEnd.", ["No code.", "End."]),
    ],
)
def test_code_blocks_are_not_read_out(reply: str, clauses: list[str]) -> None:
    for size in (1, 2, 3, len(reply)):
        sentences = Sentences(instead_of_code="No code.")
        pieces = [reply[i : i + size] for i in range(0, len(reply), size)]
        assert [clause.text for clause in taken(sentences, pieces)] == clauses


def test_endless_text_is_cut_at_a_sensible_place() -> None:
    clauses = after_first("one thing and another thing " * 60)
    assert all(clause.startswith(("one", "and", "another", "thing")) for clause in clauses)
    assert all(20 < len(clause) <= LONGEST_CHARS for clause in clauses[:-1])
    assert max(map(len, after_first("x" * 5000))) <= LONGEST_CHARS + FIRST_CLAUSE_CHARS


def test_whole_sentences_only_if_so_wished() -> None:
    sentences = Sentences(begin_with="sentence")
    reply = "In the beginning of the year, it is cold. Then it is warm, at last."
    assert [clause.text for clause in taken(sentences, [reply])] == [
        "In the beginning of the year, it is cold.",
        "Then it is warm, at last.",
    ]


# fmt: off
_WORDS = st.sampled_from([
    "Dr", "e.g", "3", "5", ".", ",", " ", " ", " ", "\n", "...", "…", "!", "?", '"', ")", "(", "- ", "—",
    "and", "which", "is", "house", "in", "word", "Word", "U.S", "a", "I", "http://x.y", ":", ";", "`", "```",
    "no", "Jan", "é", "**", "😀",
])
# fmt: on
BEGINNINGS: tuple[Beginning, ...] = ("words", "clause", "sentence")
_REPLIES = st.one_of(st.lists(_WORDS, max_size=150).map("".join), st.text(max_size=400))


@given(_REPLIES, st.data())
@example("a" * 219 + " - b", None)
def test_how_the_reply_came_in_pieces_makes_no_difference(reply: str, data: st.DataObject | None) -> None:
    whole = taken(Sentences(begin_with="words"), [reply])
    assert taken(Sentences(begin_with="words"), reply) == whole
    if data is not None:
        at = data.draw(st.integers(0, len(reply)))
        assert taken(Sentences(begin_with="words"), [reply[:at], reply[at:]]) == whole


@given(_REPLIES.filter(lambda reply: "```" not in reply))
def test_nothing_is_lost_but_white_space(reply: str) -> None:
    for begin_with in BEGINNINGS:
        assert "".join("".join(cut(reply, begin_with=begin_with)).split()) == "".join(reply.split())


@given(_REPLIES)
def test_no_clause_is_empty_or_padded(reply: str) -> None:
    for begin_with in BEGINNINGS:
        assert all(clause and clause == clause.strip() for clause in cut(reply, begin_with=begin_with))
