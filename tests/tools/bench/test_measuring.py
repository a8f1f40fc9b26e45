"""Percentiles, tables, and contenders that take turns."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.tools.bench.lib.measuring import Result, in_turn, median, percentile, ratio, spread_ms, table

_FINITE = st.floats(0, 1e6, allow_nan=False)


def test_a_percentile_lies_between_its_neighbours() -> None:
    assert percentile([10, 20, 30, 40, 50], 95) == pytest.approx(48)
    assert percentile([5], 95) == 5
    assert median([1, 3]) == 2


def test_of_nothing_nothing_is_said() -> None:
    assert median([]) is None
    assert spread_ms([]) == {"p50_ms": None, "p95_ms": None, "n": 0}
    assert ratio(None, 2) is None
    assert ratio(1, 0) is None


@given(st.lists(_FINITE, min_size=1))
def test_percentiles_are_in_order_and_within_the_values(values: list[float]) -> None:
    spread = spread_ms(iter(values))
    assert min(values) - 0.1 <= spread["p50_ms"] <= spread["p95_ms"] <= max(values) + 0.1
    assert spread["n"] == len(values)


def test_contenders_take_turns_and_the_order_turns_round() -> None:
    order: list[str] = []

    def contender(name: str) -> int:
        order.append(name)
        return len(order)

    results = in_turn([lambda: contender("a"), lambda: contender("b")], rounds=3)
    assert "".join(order) == "abbaab"
    assert results == [[1, 4, 5], [2, 3, 6]]


def test_a_table_lines_up() -> None:
    assert table(["stage", "ms"], [["response", 612.34], ["stt", None], ["n", 7]]).splitlines() == [
        "stage        ms",
        "--------  -----",
        "response  612.3",
        "stt           -",
        "n             7",
    ]


def test_the_document_is_one_line() -> None:
    line = Result("", {"text": "one\ntwo", "value": 1.5}).json_line()
    assert "\n" not in line
    assert json.loads(line) == {"text": "one\ntwo", "value": 1.5}
