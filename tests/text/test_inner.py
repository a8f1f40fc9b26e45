"""What of a reply is for the person, however it comes in pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.text.inner import Outspoken, opened_thought, outspoken

REPLIES = [
    ("<think>\nThe user asks.\n</think>\n\nIt is 142 years old.", "It is 142 years old."),
    ("<think>never closed", ""),
    ("<thinking>Let me see.</thinking> It is 5.", "It is 5."),
    ("[THINK]Hm.[/THINK]Hello there!", "Hello there!"),
    (
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Hello!",
        "Hello!",
    ),
    ('Sure! execute_services(domain="light", service="turn_on") Done.', "Sure!  Done."),
    ('{"name": "set_timer", "arguments": {"minutes": 10}}', ""),
    ('<tool_call>\n{"name": "set_timer"}\n</tool_call>', ""),
    ('[TOOL_CALLS][{"name": "get_weather"}]', ""),
    ("It is 42.<|im_end|>\n<|im_start|>user\nWhat else?", "It is 42."),
    ("Assistant: It is 42.\nUser: thanks", "It is 42."),
    ("### Response: It is 42.", "It is 42."),
    ("It is 42.</s>", "It is 42."),
    ("5 < 6 and a_b is a name, [this] too.", "5 < 6 and a_b is a name, [this] too."),
    ("He said: User: hello", "He said: User: hello"),
    ("Call print(x) or foo_bar(1).", "Call print(x) or foo_bar(1)."),
    ("a\nUsers: many", "a\nUsers: many"),
]


@pytest.mark.parametrize(("reply", "said"), REPLIES)
def test_only_what_is_for_the_person_is_left(reply: str, said: str) -> None:
    assert outspoken(reply).strip() == said


@pytest.mark.parametrize(("reply", "said"), REPLIES)
def test_marks_may_be_split_over_pieces(reply: str, said: str) -> None:
    for length in (1, 2, 3, 7):
        taken = Outspoken()
        pieces = [taken.add(reply[at : at + length]) for at in range(0, len(reply), length)]
        assert ("".join(pieces) + taken.finish()).strip() == said


def test_thoughts_that_the_prompt_opened_end_with_their_mark() -> None:
    assert outspoken("The user wants the age.\n</think>\nIt is 142.") == "It is 142."


@given(st.text(alphabet="ab .,\n1!?'", max_size=80), st.integers(1, 9))
def test_plain_text_is_left_as_it_is(text: str, length: int) -> None:
    taken = Outspoken()
    pieces = [taken.add(text[at : at + length]) for at in range(0, len(text), length)]
    assert "".join(pieces) + taken.finish() == text


@given(st.text(alphabet='<>|/[]{}()"=_:#thinkTHINKuser \n', max_size=60), st.integers(1, 9))
def test_any_text_comes_to_an_end(text: str, length: int) -> None:
    taken = Outspoken()
    for at in range(0, len(text), length):
        taken.add(text[at : at + length])
    taken.finish()


def test_a_prompt_that_opens_thoughts_is_known() -> None:
    assert opened_thought("<|assistant|>\n<think>\n") == "</think>"
    assert opened_thought("<|START_THINKING|>") == "<|END_THINKING|>"
    assert opened_thought("<think>\n\n</think>\n\n") == ""
