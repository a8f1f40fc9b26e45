"""Which models are told of the skills."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from assistant.app import build as app
from assistant.core.types import Call, Message
from assistant.engines import Llm
from assistant.runtime.cancel import Cancel
from assistant.settings.schema import Settings
from assistant.skills import Skills
from tests.skills.conftest import skills

__all__ = ["skills"]  # the fixture


class Plain:
    """A model that knows no grammar."""

    context_tokens = 4000

    def warm_up(self) -> None: ...

    def close(self) -> None: ...

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content.split()) for message in messages)

    def prime(self, messages: Sequence[Message], cache: Path | None = None) -> None: ...

    def read_ahead(self, messages: Sequence[Message], cancel: Cancel) -> None: ...

    def stream(self, messages: Sequence[Message], cancel: Cancel) -> Iterator[str]:
        yield ""


class Calling(Plain):
    def __init__(self, parameters: int) -> None:
        self.parameters = parameters

    def stream_or_call(
        self, messages: Sequence[Message], cancel: Cancel, grammar: str
    ) -> Iterator[str | Call]:
        yield ""


def settings(tools: str) -> Settings:
    return Settings.model_validate({"llm": {"tools": tools}})


@pytest.mark.parametrize(
    ("tools", "llm", "offered"),
    [
        ("auto", Calling(630_167_424), False),
        ("auto", Calling(1_543_714_304), False),
        ("auto", Calling(3_000_000_000), True),
        ("on", Calling(134_515_008), True),
        ("off", Calling(7_000_000_000), False),
        ("on", Plain(), False),
    ],
)
def test_small_models_and_those_without_grammar_are_not(
    tools: str, llm: Llm, offered: bool, skills: Skills
) -> None:
    assert app.offers_calls(settings(tools), llm, skills) is offered


def test_the_prompt_tells_of_them_before_anything_that_changes(skills: Skills) -> None:
    llm = Plain()
    first, *examples, question = app.new_conversation(settings("on"), llm, skills).messages_for("Hello")
    assert "@set_timer(" in first.content
    assert any(each.content.startswith("@") for each in examples)
    assert question.content == "Hello"
    assert not examples[-1].content.startswith("@"), "the last example is an answer in words"
    without = app.new_conversation(settings("off"), llm).messages_for("Hello")
    assert not any("@" in each.content for each in without)
