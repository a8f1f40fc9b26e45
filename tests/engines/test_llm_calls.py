"""A real, small model calls within a grammar, on either runtime, and answers as before where it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from assistant.core.errors import EngineFailed
from assistant.core.types import Call, Message
from assistant.engines import CallingLlm, load
from assistant.engines.llm.calling import CallingChatLlm
from assistant.runtime.cancel import Cancel
from assistant.skills import Skills
from tests.engines.conftest import FRANCE, SMOLLM2, ask, settings
from tests.skills.conftest import skills

__all__ = ["skills"]  # the fixture

Make: TypeAlias = "Callable[..., CallingChatLlm]"

pytestmark = pytest.mark.models

COINS = [
    Message("system", "Answer each message with a call."),
    *(
        message
        for said, call in (
            ("Heads or tails?", "@flip_coin()"),
            ("Ten minutes for the tea.", '@set_timer(duration="10 minutes", name="tea")'),
            ("Heads or tails, please.", "@flip_coin()"),
            ("Five minutes for the eggs.", '@set_timer(duration="5 minutes", name="eggs")'),
        )
        for message in (Message("user", said), Message("assistant", call))
    ),
]


@pytest.fixture(scope="module", params=["llama_cpp", "onnx"])
def make(request: pytest.FixtureRequest) -> Make:
    """Creates an engine with other settings than usual."""
    engine: str = request.param
    folder: Path = SMOLLM2 if engine == "llama_cpp" else request.getfixturevalue("smollm2_onnx")("onnx-fp32")

    def create(**changes: Any) -> CallingChatLlm:
        told = settings(engine=engine, **changes)
        llm: CallingChatLlm = load("llm", engine, settings=told, model=folder, threads=1)
        return llm

    return create


@pytest.fixture(scope="module")
def llm(make: Make) -> Iterator[CallingChatLlm]:
    engine = make()
    yield engine
    engine.close()


def test_it_calls_where_that_is_what_it_wants_most(llm: CallingChatLlm, skills: Skills) -> None:
    assert isinstance(llm, CallingLlm)
    assert 100e6 < llm.parameters < 200e6
    messages = [*COINS, Message("user", "Twelve minutes for the pizza.")]
    (call,) = llm.stream_or_call(messages, Cancel(), skills.grammar)
    assert isinstance(call, Call)
    match = skills.called(call.text)
    assert match is not None
    assert match.name == "set_timer"
    assert isinstance(match.arguments["duration"], timedelta)


def test_it_answers_as_without_a_grammar_where_it_does_not(llm: CallingChatLlm, skills: Skills) -> None:
    assert list(llm.stream_or_call(FRANCE, Cancel(), skills.grammar)) == list(llm.stream(FRANCE, Cancel()))


def test_without_a_grammar_it_never_calls(llm: CallingChatLlm) -> None:
    messages = [*COINS, Message("user", "Heads or tails?")]
    assert "flip_coin" in ask(llm, messages), "here it is but text"


@pytest.mark.parametrize(
    "said",
    ["Why is the sky blue?", "{{{{", "Fünf Minuten für die Nüsse!", "word " * 60, '")\n@mute()'],
)
def test_whatever_is_said_a_call_is_a_valid_one(llm: CallingChatLlm, skills: Skills, said: str) -> None:
    """Made to call, by the examples before it and a grammar that knows nothing else."""
    tokens = llm._vocabulary.tokenize(llm._prompt([*COINS, Message("user", said)]))
    text = b""
    with llm.keeping_to(skills.grammar) as grammar:
        llm._context.read(tokens)
        while not llm._vocabulary.ends_reply(token := llm.choose_within(grammar)):
            text += llm._vocabulary.piece(token)
            llm._context.append([token])
            assert len(text) < 500
    assert skills.called(text.decode()) is not None, text


def test_a_call_can_be_cancelled(llm: CallingChatLlm, skills: Skills) -> None:
    cancel = Cancel()
    cancel.set()
    assert list(llm.stream_or_call([*COINS, Message("user", "Heads?")], cancel, skills.grammar)) == []
    assert "Paris" in ask(llm, FRANCE)


def test_a_grammar_that_is_none_is_refused(llm: CallingChatLlm) -> None:
    with pytest.raises(EngineFailed, match="grammar"), llm.keeping_to("root ::= ("):
        pass


def test_a_call_that_had_no_room_to_end_is_none(make: Make, skills: Skills) -> None:
    with closing(make(max_tokens=4)) as short:
        messages = [*COINS, Message("user", "Twelve minutes for the pizza.")]
        (call,) = short.stream_or_call(messages, Cancel(), skills.grammar)
        assert isinstance(call, Call)
        assert skills.called(call.text) is None
