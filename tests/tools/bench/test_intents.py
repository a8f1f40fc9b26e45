"""What counts as right of a spoken sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from assistant import skills as room
from assistant.dialog.report import Report
from assistant.skills import ListBook, SkillContext, Skills, TimerBook
from assistant.tools.bench.intents import judged
from assistant.tools.bench.lib.clips import Clip
from assistant.tools.bench.lib.rehearsal import Heard, Said
from assistant.tools.bench.lib.speech_end import Spoken
from tests.skills.conftest import ENGLISH


@pytest.fixture
def skills(tmp_path: Path) -> Iterator[Skills]:
    timers, lists = TimerBook(tmp_path / "timers.db"), ListBook(tmp_path / "lists.db")
    yield room.load([ENGLISH], SkillContext(timers, lists))
    timers.close()
    lists.close()


def said(text: str, *turns: tuple[str, str]) -> Said:
    """A sentence, and for each turn that came of it what was heard and who answered."""
    clip = Clip(text, np.zeros(16, np.int16), Spoken(0.0, 0.001), text)
    reports = [Report(number, heard, handled_by=who) for number, (heard, who) in enumerate(turns)]
    return Said(clip, 0.0, [Heard(report, 0.0, None) for report in reports])


@pytest.mark.parametrize(
    ("turns", "verdict"),
    [
        ([("Set a timer for 10 minutes called Pasta.", "set_timer")], None),
        ([("Set a timer for two minutes called pasta.", "set_timer")], "other values"),
        ([("Set an alarm for ten.", "set_alarm")], "another skill"),
        ([("Set a time of ten minutes.", "llm")], "no skill"),
        ([], "no skill"),
        ([("Set a timer.", "ask_duration"), ("10 minutes called pasta.", "llm")], "another skill"),
    ],
)
def test_a_command(skills: Skills, turns: list[tuple[str, str]], verdict: str | None) -> None:
    commands = judged(skills, [said("set a timer for ten minutes called pasta", *turns)])["commands"]
    assert commands["n"] == 1
    assert commands["right"] == (verdict is None)
    assert commands["right_skill"] == (verdict in (None, "other values"))
    assert [each["verdict"] for each in commands["wrong"]] == [verdict] * (verdict is not None)


def test_spelling_makes_no_difference(skills: Skills) -> None:
    sums = judged(skills, [said("What is twelve times seven?", ("What's 12 x 7?", "calculate"))])
    assert sums["commands"]["right"] == 1


@pytest.mark.parametrize(("who", "acted"), [("llm", 0), ("nobody", 0), ("tell_time", 1)])
def test_small_talk(skills: Skills, who: str, acted: int) -> None:
    talk = judged(skills, [said("What time is it in Tokyo?", ("What time is it in Tokyo?", who))])[
        "small_talk"
    ]
    assert (talk["n"], talk["acted_upon"]) == (1, acted)
