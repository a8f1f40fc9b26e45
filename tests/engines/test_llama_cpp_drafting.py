"""Guessing ahead: the words stay the same, and the memory holds what was chosen and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.types import Message
from assistant.engines.llm.llama_cpp.engine import LlamaCppLlm
from assistant.engines.llm.tokens import what_followed
from assistant.runtime.cancel import Cancel
from tests.engines.conftest import FRANCE, SYSTEM, ask
from tests.engines.test_llama_cpp_engine import create, needs_model

LIST = "milk, eggs, bread, butter, cheese, apples, pears, plums, rice, beans, salt and pepper"
REPEAT = [SYSTEM, Message("user", f"Repeat this list word for word: {LIST}. And now once more: {LIST}.")]


class Counted:
    """How often a model evaluates something, and how many tokens that were guessed held."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, llm: LlamaCppLlm) -> None:
        self.steps = 0
        context: Any = llm._context
        for name in ("_check", "_decode"):
            monkeypatch.setattr(context, name, self._counted(getattr(context, name)))

    def _counted(self, method: Any) -> Any:
        def counted(*arguments: Any) -> Any:
            self.steps += 1
            return method(*arguments)

        return counted


@needs_model
@pytest.mark.parametrize("changes", [{}, {"temperature": 1.0, "seed": 3}])
def test_the_words_are_the_same(changes: dict[str, Any]) -> None:
    plain, drafting = create(**changes), create(**changes, draft_tokens=4)
    for messages in (FRANCE, REPEAT):
        assert ask(drafting, messages) == ask(plain, messages)
    plain.close()
    drafting.close()


@needs_model
def test_what_repeats_takes_fewer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    llm = create(draft_tokens=4, repeat_penalty=1.0)
    counted = Counted(monkeypatch, llm)
    assert "butter, cheese, apples" in ask(llm, REPEAT)
    assert counted.steps < 0.6 * llm.usage.tokens_generated
    llm.close()


@needs_model
def test_guesses_are_no_part_of_what_is_held() -> None:
    llm = create(draft_tokens=4, repeat_penalty=1.0)
    context: Any = llm._context
    tokens = llm._vocabulary.tokenize(f"{LIST}. {LIST}")
    context.read(tokens[:-6])
    context.append([tokens[-6]])
    assert context._ahead == tokens[-5:-1][: len(context._ahead)] != []
    assert list(context.held) == tokens[:-5]
    state = context.state()
    assert context._ahead == []
    assert context.restore(state, tokens[:-5])
    context.append([tokens[-5]])
    context.append([7])  # Not what was guessed.
    assert list(context.held) == [*tokens[:-4], 7]
    chosen = context.choose()
    context._forget()
    context.read([*tokens[:-4], 7])
    context.begin_reply()
    assert context.choose() == chosen
    llm.close()


@needs_model
def test_an_interruption_within_a_guess_leaves_whole_tokens() -> None:
    llm = create(draft_tokens=4, repeat_penalty=1.0)
    for pieces in (1, 8):
        cancel = Cancel()
        for count, _ in enumerate(llm.stream(REPEAT, cancel)):
            if count == pieces:
                cancel.set()
        assert "butter" in ask(llm, REPEAT)
    llm.close()


@needs_model
def test_it_stops_where_the_context_is_full() -> None:
    llm = create(draft_tokens=16, repeat_penalty=1.0, context_tokens=256, max_tokens=200, history_tokens=10)
    ask(llm, REPEAT)
    assert len(llm._context.held) <= 256
    llm.close()


@given(st.lists(st.integers(0, 3), max_size=30), st.integers(1, 4), st.integers(0, 5))
def test_what_followed_did(tokens: list[int], alike: int, most: int) -> None:
    found = what_followed(tokens, alike, most)
    assert len(found) <= most
    last = tokens[-alike:]
    starts = [at for at in range(len(tokens) - alike) if tokens[at : at + alike] == last]
    if not starts or len(last) < alike:
        assert found == []
    else:
        after = starts[-1] + alike
        assert found == tokens[after : after + most]
