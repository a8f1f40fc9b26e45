"""Grammars: what they let through, what they refuse, and that llama.cpp takes them for the same."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.errors import EngineFailed
from assistant.engines.llm.llama_cpp.engine import keeping_to
from assistant.engines.llm.onnx.gbnf import Gbnf
from assistant.skills import Skills
from tests.engines.test_llama_cpp_engine import create
from tests.skills.conftest import skills

__all__ = ["skills"]  # the fixture

TEA = """\
# A comment.
root ::= "@tea(" (size ", ")? minutes ")" | "@stop()"
size ::= [1-9] [0-9]{0,1} " cups"
minutes ::= [1-9]+ ("." [05])* [^0-9a-z"\\]-] {2}
"""


def takes(grammar: str, text: str) -> bool:
    """Whether it is a whole text of the grammar, whatever pieces it comes in."""
    whole = Gbnf(grammar)
    allowed = whole.allows(text.encode())
    by_bytes = Gbnf(grammar)
    for byte in text.encode():
        if not by_bytes.allows(bytes([byte])):
            assert not allowed
            return False
        by_bytes.go_on(bytes([byte]))
    assert allowed
    whole.go_on(text.encode())
    assert whole.may_end is by_bytes.may_end
    return whole.may_end


@pytest.mark.parametrize("text", ["@stop()", "@tea(3!!)", "@tea(12 cups, 33.5.0AZ)", "@tea(1 cups, 9  )"])
def test_what_it_lets_through(text: str) -> None:
    assert takes(TEA, text)


@pytest.mark.parametrize(
    "text",
    ["@", "@stop", "@stop())", "@tea(0!!)", "@tea(123 cups, 3!!)", "@tea(3.1!!)", '@tea(3"!)', "@tea(3!é)"],
)
def test_what_it_does_not(text: str) -> None:
    assert not takes(TEA, text)


def test_letters_beyond_ascii_are_their_bytes() -> None:
    assert takes('root ::= "Käse " ("☕" | "🫖")', "Käse 🫖")
    assert not takes('root ::= "Käse"', "Kase")


@pytest.mark.parametrize(
    "text",
    [
        *("", "root ::= (", "root ::= )", "root ::= nowhere", 'leaf ::= "a"', "root ::= *", "root ::= [a-é]"),
        *('root ::= "a" root', 'root ::= leaf\nleaf ::= "(" leaf ")"', 'root ::= "a"{99999}', 'root ::= "a'),
        'root ::= a{900}\na ::= b{900}\nb ::= "c"',
    ],
)
def test_what_is_no_grammar_is_refused(text: str) -> None:
    with pytest.raises(EngineFailed, match="grammar"):
        Gbnf(text)


@given(st.text(max_size=60))
def test_any_text_is_a_grammar_or_refused(text: str) -> None:
    try:
        Gbnf(f"root ::= {text}").allows(b"a")
    except EngineFailed as refused:
        assert "grammar" in refused.problem  # noqa: PT017 - most are fine


def written(grammar: str, seed: int) -> str:
    """A text of the grammar, letter by letter by chance."""
    draw = random.Random(seed)  # noqa: S311 - nothing is secret
    text, walk = "", Gbnf(grammar)
    while True:
        letters = [chr(byte) for byte in range(128) if walk.allows(bytes([byte]))]
        if walk.may_end and (not letters or draw.random() < 0.2):
            return text
        letter = draw.choice(letters)
        walk.go_on(letter.encode())
        text += letter


def test_whatever_the_grammar_of_the_skills_lets_through_is_a_call(skills: Skills) -> None:
    for seed in range(60):
        text = written(skills.grammar, seed)
        # A duration of "999 hours" is one, and a city that nobody knows is none: only the form is judged.
        assert text.startswith("@")
        assert text.endswith(")")
        assert takes(skills.grammar, text)


@pytest.mark.models
def test_llama_cpp_allows_the_same_tokens(skills: Skills) -> None:
    llm = create()
    vocabulary = llm._vocabulary
    draw = random.Random(0)  # noqa: S311
    every = list(range(vocabulary.size))
    for seed in range(4):
        text = written(skills.grammar, seed)
        ours = Gbnf(skills.grammar)
        with keeping_to(skills.grammar, vocabulary) as theirs:
            for token in vocabulary.tokenize(text):
                looked_at = [each for each in draw.sample(every, 400) if not _allows(ours, vocabulary, each)]
                assert theirs.first_allowed([*looked_at, token]) == token, "what ours refuses, theirs does"
                ours.go_on(vocabulary.piece(token))
            assert ours.may_end
    llm.close()


def _allows(walk: Gbnf, vocabulary: object, token: int) -> bool:
    piece = vocabulary.piece(token)  # type: ignore[attr-defined]
    return walk.allows(piece)
