"""Each case comes out as expected."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from assistant import skills as room
from assistant.skills import ListBook, SkillContext, TimerBook
from assistant.tools.bench.corpus import CONVERSATION
from tests.cases.judge import CASES, Case, complaints
from tests.skills.conftest import ENGLISH


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_case_comes_out_as_expected(case: Case) -> None:
    assert complaints(case) == []


def test_the_judge_can_say_no() -> None:
    wrong = {"id": "x", "kind": "x", "input": "set a timer for ten minutes", "expected": "", "book": []}
    assert complaints(wrong)
    assert complaints({**wrong, "input": "It is 5.", "spoken": "It is six."})
    assert complaints({**wrong, "settings": "llm: {max_tokens: many}"})
    assert complaints({**wrong, "template": ""})


def test_what_is_no_command_calls_no_skill(tmp_path: Path) -> None:
    lines = (Path(__file__).parent / "no_commands.txt").read_text("utf-8").splitlines()
    timers, lists = TimerBook(tmp_path / "timers.db"), ListBook(tmp_path / "lists.db")
    with closing(timers), closing(lists):
        skills = room.load([ENGLISH], SkillContext(timers, lists))
        called = {text: match.name for text in (*lines, *CONVERSATION) if (match := skills.match(text))}
    assert called == {}
    assert len({*lines, *CONVERSATION}) >= 300
