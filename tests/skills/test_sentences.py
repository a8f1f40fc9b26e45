"""Every command is understood, slot by slot, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from assistant.skills import Skills
from assistant.skills.builtin.calculation import Calculation
from assistant.skills.builtin.control import Level
from assistant.skills.builtin.units import Measure, Unit
from assistant.text.en.moments import Moment
from assistant.tools.bench.corpus import COMMANDS, CONVERSATION, NOW


def plain(name: str, arguments: dict[str, object]) -> dict[str, object]:
    """Slot values in the spelling of the table."""
    values: dict[str, object] = {}
    for slot, value in arguments.items():
        match value:
            case timedelta():
                values[slot] = value.total_seconds()
            case Moment():
                local = value.after(NOW, likely_morning=name == "wake_me")
                values[slot] = f"{local:%Y-%m-%d %H:%M}"
                if value.every:
                    values["every"] = "".join(str(day) for day in sorted(value.every))
            case Calculation():
                values[slot] = str(value.value)
            case Measure():
                values[slot] = f"{value.amount} {value.unit.name}"
            case Unit():
                values[slot] = value.name
            case Level():
                values[slot] = value.value
            case _:
                values[slot] = value
    return values


@pytest.mark.parametrize(("text", "skill", "slots"), COMMANDS, ids=[command[0] for command in COMMANDS])
def test_command_is_understood(skills: Skills, text: str, skill: str, slots: dict[str, object]) -> None:
    match = skills.match(text)
    assert match is not None
    assert (match.name, plain(match.name, dict(match.arguments))) == (skill, slots)


@pytest.mark.parametrize(
    "spell",
    [str.lower, str.upper, lambda text: f"Hey, could you please {text}", lambda text: f"{text} Thank you."],
)
def test_case_and_politeness_do_not_matter(skills: Skills, spell: Callable[[str], str]) -> None:
    for text, skill, _ in COMMANDS:
        match = skills.match(spell(text))
        assert match is not None, text
        assert match.name == skill, text


@pytest.mark.parametrize("text", CONVERSATION)
def test_conversation_is_left_to_the_model(skills: Skills, text: str) -> None:
    match = skills.match(text)
    assert match is None, match.name


def test_the_table_is_large_enough() -> None:
    assert len({text for text, _, _ in COMMANDS}) >= 150
    assert len(set(CONVERSATION)) >= 100


def test_half_a_sentence_is_not_yet_a_command(skills: Skills) -> None:
    for text in (
        "set a timer for ten minutes and",
        "remind me to",
        "add milk to the",
        "what is twelve times",
        "set the volume to",
        "wake me up at half past",
        "how many feet are in",
        "set an alarm for tomorrow at",
    ):
        match = skills.match(text)
        assert match is None or match.name.startswith("ask_"), text
