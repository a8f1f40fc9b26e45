"""What people ask the tables, asked in Berlin on December 1, 2026 at five in the afternoon."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from assistant.skills import Skills
from assistant.tools.bench.corpus import COMMANDS, CONVERSATION
from tests.conftest import CHECKOUT
from tests.knowledge.conftest import Ask

SET = CHECKOUT / "models" / "sentences" / "tables.jsonl"
QUESTIONS = [json.loads(line) for line in SET.read_text(encoding="utf-8").splitlines()]
MAY_BE_MISSED = 0.02


def test_the_tables_answer_what_is_theirs(load: Callable[..., Skills], tables_folder: Path) -> None:
    """Some of it skills know too, such as when Christmas is."""
    assert len(QUESTIONS) >= 200
    skills = load(tables_folder, "DE", "Berlin")

    def answer(question: str) -> str:
        match = skills.match(question)
        return match.run().speech if match and match.only_answers else ""

    wrong = {
        each["question"]: said
        for each in QUESTIONS
        if not re.search(each["pattern"], said := answer(each["question"]), re.IGNORECASE)
    }
    assert len(wrong) <= MAY_BE_MISSED * len(QUESTIONS), wrong


def test_small_talk_and_commands_are_not_theirs(ask: Ask) -> None:
    answered = {text: answer for text in CONVERSATION if (answer := ask(text))}
    answered |= {text: answer for text, _, _ in COMMANDS if (answer := ask(text))}
    assert not answered


@pytest.mark.parametrize(
    "question",
    [
        "when did krakow become the capital of poland",
        "what was the first capital of the united states",
        "what is the largest city in france",
        "how many people lived in germany in 1950",
        "what is the population of berlin in 1900",
        "who is the president of france",
        "what is up",
        "what is it",
        "what is the capital of my heart",
        "he took the bus",
        "my son ate his dinner",
        "what is the time",
        "is easter a good time for a holiday",
        "what is wrong with you",
        "what is my name",
    ],
)
def test_half_a_match_is_none(ask: Ask, question: str) -> None:
    assert not ask(question)


def test_no_table_tells_a_dose(ask: Ask) -> None:
    assert "pharmacist" in ask("how much ibuprofen can I give my child")


def test_what_pets_may_eat_is_never_left_to_a_model(ask: Ask) -> None:
    assert ask("can cats eat marzipan") == "I don't know whether cats may eat marzipan. Ask a vet first."
