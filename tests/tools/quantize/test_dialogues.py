"""Texts to measure and calibrate on: how they are read, and that those which ship are sound."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.errors import SettingsError
from assistant.runtime import paths
from assistant.tools.quantize.dialogues import Exchange, parse, read

SHIPPED = paths.shipped_folder("models") / "calibration"


def test_conversations_and_prose_are_told_apart() -> None:
    first = "# a remark\n\n> One?\nFirst.\n> Two?\nSecond,\nlonger.\n"
    texts = parse(f"{first}---\nJust prose.\n\n# kept\n---\n> Three?\n3.\n")
    assert texts.conversations == (
        (Exchange("One?", "First."), Exchange("Two?", "Second, longer.")),
        (Exchange("Three?", "3."),),
    )
    assert texts.prose == ("Just prose.\n\n# kept",)


def test_a_question_without_an_answer_is_left_out() -> None:
    assert parse("> One?\n> Two?\nSecond.\n> Three?").conversations == ((Exchange("Two?", "Second."),),)


@given(st.text(alphabet=st.sampled_from("> a-#\n\r\x00é"), max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    texts = parse(text)
    assert all(one.question and one.answer for conversation in texts.conversations for one in conversation)
    assert all(texts.prose)
    assert all(texts.conversations)


@pytest.mark.parametrize("content", [b"", b"# only a remark\n---\n", b"> Hello?\n", b"\xff\xfe"])
def test_a_file_with_nothing_to_read_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "text"
    file.write_bytes(content)
    with pytest.raises(SettingsError):
        read(file)


def test_what_ships_is_held_out() -> None:
    calibration, validation = read(SHIPPED / "calibration.txt"), read(SHIPPED / "validation.txt")
    asked = {one.question for conversation in calibration.conversations for one in conversation}
    held_out = [one.question for conversation in validation.conversations for one in conversation]
    assert len(held_out) >= 40
    assert not asked & set(held_out)
    assert calibration.prose
    assert not validation.prose
