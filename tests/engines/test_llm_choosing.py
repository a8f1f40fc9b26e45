"""How every language model engine chooses among tokens, with real, small models."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engines.conftest import FRANCE, Make, ask

pytestmark = pytest.mark.models


def test_a_seed_makes_replies_repeatable(make: Make) -> None:
    """By one that has read as much: what is read at once is summed up in another order than one by one."""

    def reply(seed: int) -> str:
        llm = make(temperature=2, min_p=0, seed=seed)
        said = ask(llm, FRANCE)
        llm.close()
        return said

    replies = {seed: reply(seed) for seed in (1, 2, 2**32 - 1)}
    assert {seed: reply(seed) for seed in replies} == replies
    assert len(set(replies.values())) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"top_k": 0, "temperature": 1},
        {"top_k": 1, "temperature": 1, "top_p": 0, "min_p": 1},
        {"repeat_penalty": 1},
        {"repeat_penalty": 1, "temperature": 1, "top_p": 1, "min_p": 0},
    ],
)
def test_every_way_of_choosing_works(make: Make, changes: dict[str, Any]) -> None:
    llm = make(**changes, max_tokens=5)
    assert ask(llm, FRANCE)
    llm.close()


def test_facts_are_told_without_chance(make: Make) -> None:
    replies = []
    for temperature, is_factual in ((0, False), (2, True)):
        llm = make(temperature=temperature, min_p=0, seed=1, max_tokens=8)
        llm.is_factual = is_factual
        replies.append(ask(llm, FRANCE))
        llm.close()
    assert replies[0] == replies[1]
