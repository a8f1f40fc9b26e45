"""What the model is given: everything in order, within the budget, and rarely rewritten."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.types import Message
from assistant.dialog.conversation import CUT, Conversation, heard_part, opening

PROMPTS = Path(__file__).parents[2] / "config" / "prompts"

words = st.text(st.sampled_from("ab ,.é"), min_size=1, max_size=60).filter(str.strip)
turns = st.lists(st.tuples(words, words), max_size=30)


def count(messages: Sequence[Message]) -> int:
    """A token is a letter, and each message has three around it."""
    return sum(len(message.content) + 3 for message in messages)


def talk(budget_tokens: int = 10_000, prompt: str = "Be brief.") -> Conversation:
    return Conversation(prompt, count_tokens=count, budget_tokens=budget_tokens)


def said(messages: Sequence[Message]) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in messages]


def test_a_prompt_is_the_rules_then_what_was_said_then_the_question() -> None:
    conversation = talk()
    conversation.add("Where is Paris?", "In France.")
    assert said(conversation.messages_for("And Rome?")) == [
        ("system", "Be brief."),
        ("user", "Where is Paris?"),
        ("assistant", "In France."),
        ("user", "And Rome?"),
    ]


def test_asking_changes_nothing() -> None:
    conversation = talk()
    conversation.messages_for("What if?", "It is noon.")
    assert said(conversation.messages_for("Really?")) == [("system", "Be brief."), ("user", "Really?")]


def test_forgetting_begins_anew() -> None:
    conversation = talk()
    conversation.add("Where is Paris?", "In France.", "It is noon.")
    conversation.forget()
    assert said(conversation.messages_for("Hello", "It is noon."))[1:] == [("user", "(It is noon.) Hello")]


@pytest.mark.parametrize("heard", ["", "  \n"])
def test_a_turn_that_nobody_heard_did_not_happen(heard: str) -> None:
    conversation = talk()
    conversation.add("Tell me a story", heard)
    assert len(conversation.messages_for("Hello")) == 2


def test_facts_stand_beside_the_question_and_only_when_they_changed() -> None:
    conversation = talk()
    conversation.add("Hello", "Hi.", "It is noon.")
    conversation.add("What time is it?", "Noon.", "It is noon.")
    messages = conversation.messages_for("And now?", "It is one.")
    assert [content for role, content in said(messages) if role == "user"] == [
        "(It is noon.) Hello",
        "What time is it?",
        "(It is one.) And now?",
    ]
    assert said(messages)[0] == ("system", "Be brief.")


def test_facts_are_told_again_when_the_turn_that_told_them_is_gone() -> None:
    conversation = talk(budget_tokens=100)
    conversation.add("a" * 20, "b" * 20, "Noon.")
    conversation.add("c" * 20, "d" * 20, "Noon.")
    assert "(Noon.)" not in conversation.messages_for("Now?", "Noon.")[-1].content
    conversation.add("e" * 20, "f" * 20, "Noon.")
    assert conversation.messages_for("Now?", "Noon.")[-1].content == "(Noon.) Now?"


@given(turns, st.integers(0, 400), words)
def test_history_keeps_to_its_budget_and_is_the_newest_turns(
    history: list[tuple[str, str]], budget_tokens: int, question: str
) -> None:
    conversation = talk(budget_tokens)
    for asked, answered in history:
        conversation.add(asked, answered)
        kept = conversation.messages_for(question)[1:-1]
        assert count(kept) <= budget_tokens
    kept = conversation.messages_for(question)[1:-1]
    everything = [
        message
        for asked, answered in history
        for message in (Message("user", asked), Message("assistant", answered))
    ]
    assert kept == everything[len(everything) - len(kept) :]
    assert len(kept) % 2 == 0


@given(turns, st.integers(150, 600))
def test_each_prompt_begins_with_the_one_before_unless_turns_were_dropped(
    history: list[tuple[str, str]], budget_tokens: int
) -> None:
    conversation = talk(budget_tokens)
    for number, (asked, answered) in enumerate(history):
        facts = f"It is {number // 3}."
        prompt = conversation.messages_for(asked, facts)
        conversation.add(asked, answered, facts)
        following = conversation.messages_for("Next?", facts)
        if len(following) == len(prompt) + 2:
            assert following[:-1] == [*prompt, Message("assistant", answered)]
        else:
            # Dropping makes room for a while: half of the budget, or all but the newest turn.
            assert count(following[1:-1]) <= budget_tokens / 2 or len(following) <= 4


def test_turns_are_dropped_rarely() -> None:
    conversation = talk(budget_tokens=460)
    rewritten = 0
    for number in range(100):
        prompt = conversation.messages_for(f"question {number:02}")
        conversation.add(f"question {number:02}", f"answer {number:04}")
        rewritten += conversation.messages_for("x")[: len(prompt)] != prompt
    assert rewritten <= 10


def test_a_turn_longer_than_the_budget_is_not_kept() -> None:
    conversation = talk(budget_tokens=50)
    conversation.add("short", "answer")
    conversation.add("long" * 20, "answer")
    assert len(conversation.messages_for("x")) == 2


def test_a_prompt_may_show_how_to_answer() -> None:
    text = "Be brief.\nBe kind.\n\n> Hello\nHi.\n\nNever lie.\n\n>Bye\nSee you,\nfriend.\n"
    assert said(opening(text)) == [
        ("system", "Be brief.\nBe kind.\n\nNever lie."),
        ("user", "Hello"),
        ("assistant", "Hi."),
        ("user", "Bye"),
        ("assistant", "See you,\nfriend."),
    ]


@pytest.mark.parametrize("text", ["", "Only rules.", "> a question without an answer", ">", "a > b\nc"])
def test_a_prompt_without_examples_is_all_rules(text: str) -> None:
    assert said(opening(text)) == [("system", text)]


def test_examples_are_not_history() -> None:
    conversation = talk(budget_tokens=0, prompt="Be brief.\n\n> Hello\nHi.")
    conversation.add("question", "answer")
    conversation.forget()
    assert [content for _, content in said(conversation.messages_for("x"))] == [
        "Be brief.",
        "Hello",
        "Hi.",
        "x",
    ]


@pytest.mark.parametrize("file", sorted(PROMPTS.iterdir()), ids=lambda file: file.stem)
def test_the_prompts_that_ship_have_rules_and_speakable_examples(file: Path) -> None:
    rules, *examples = opening(file.read_text(encoding="utf-8"))
    assert len(rules.content) > 50
    assert len(examples) >= 4
    for message in examples:
        assert not set(message.content) & set("*#`_<>[]|\n")


@pytest.mark.parametrize(
    ("fraction", "heard"),
    [
        (0.0, ""),
        (0.04, ""),
        (0.1, "The" + CUT),
        (0.5, "The capital of" + CUT),
        (0.9, "The capital of France, is" + CUT),
        (0.97, "The capital of France, is Paris."),
        (1.0, "The capital of France, is Paris."),
        (1.1, "The capital of France, is Paris."),
    ],
)
def test_what_was_heard_is_whole_words(fraction: float, heard: str) -> None:
    assert heard_part("The capital of France, is Paris.", fraction) == heard


def test_no_comma_stands_before_the_dash() -> None:
    assert heard_part("First, we go.", 0.65) == "First, we" + CUT
    assert heard_part("First, we go.", 0.4) == "First" + CUT


@given(words, st.floats(0, 1), st.floats(0, 1))
def test_more_sound_is_never_less_heard(text: str, one: float, other: float) -> None:
    less, more = (heard_part(text, fraction) for fraction in sorted((one, other)))
    normal = [" ".join(part.rstrip(CUT).split()) for part in (less, more, text)]
    assert normal[1].startswith(normal[0])
    assert normal[2].startswith(normal[1])
    assert heard_part(text, 1.0) == text
