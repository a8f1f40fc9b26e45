"""What the model's memory holds, and what it need not read again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from assistant.core.types import Message
from assistant.dialog.conversation import Conversation
from assistant.engines.llm.tokens import common_length, longest_match
from tests.engines.conftest import SYSTEM, ask
from tests.engines.test_llama_cpp_engine import create, needs_model


@needs_model
def test_when_old_turns_are_dropped_the_others_are_not_read_again() -> None:
    llm = create()
    talk = Conversation(SYSTEM.content, count_tokens=llm.count_tokens, budget_tokens=10_000)
    questions = [f"Tell me about the number {number}, please." for number in range(6)]
    for question in questions:
        talk.add(question, ask(llm, talk.messages_for(question)))
    everything = talk.messages_for("And of Italy, what is the capital?")
    shorter = [everything[0], *everything[5:]]
    answer = ask(llm, shorter)
    assert llm.usage.tokens_evaluated < 40
    assert llm.usage.tokens_prompt > 150
    assert answer
    # What is held is what was asked for: the next question goes on from there.
    ask(llm, [*shorter, Message("assistant", answer), Message("user", "And of Spain?")])
    assert llm.usage.tokens_evaluated < 30
    llm.close()


@given(st.lists(st.integers(0, 3), max_size=30), st.lists(st.integers(0, 3), max_size=10), st.integers(0, 30))
def test_the_longest_match_is_one(held: list[int], wanted: list[int], begin: int) -> None:
    start, length = longest_match(held, begin, wanted)
    assert held[start : start + length] == wanted[:length]
    assert all(common_length(held[at:], wanted) <= length for at in range(begin + 1, len(held)))
    assert length == 0 or start > begin
