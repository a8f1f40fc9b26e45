"""The truest model that answers in time is chosen."""

from __future__ import annotations

import pytest

from assistant.app.answers.choosing import Figures, best


def figures(model: str, right: int, false: int, first_ms: int = 500, tokens_per_s: float = 20.0) -> Figures:
    return Figures(model, right, false, 40, first_ms, tokens_per_s, 1000)


@pytest.mark.parametrize(
    ("measured", "wanted"),
    [
        ([figures("small", 10, 1), figures("large", 20, 2)], "large"),
        ([figures("honest", 15, 0), figures("bold", 20, 9)], "honest"),
        ([figures("fast", 10, 1, 300), figures("equal", 10, 1, 600)], "fast"),
        ([figures("small", 10, 1), figures("late", 30, 0, first_ms=4000)], "small"),
        ([figures("small", 10, 1), figures("slow", 30, 0, tokens_per_s=3.0)], "small"),
        ([figures("late", 10, 1, 9000), figures("less late", 5, 1, 4000)], "less late"),
    ],
)
def test_the_best(measured: list[Figures], wanted: str) -> None:
    assert best(measured).model == wanted
