"""When something is short, when it is there again, and that this does not go to and fro."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.board.shortage import GIVES_UP, Reading, Shortages, short_of
from assistant.settings.schema import SheddingSettings

LIMITS = SheddingSettings(memory_mb=80, stalled_percent=20, disk_mb=100, hot_c=80)
WELL = Reading(memory_mb=1000, stalled_percent=0, disk_mb=5000, hot_c=50)

readings = st.builds(
    Reading,
    memory_mb=st.none() | st.floats(0, 300),
    stalled_percent=st.none() | st.floats(0, 100),
    disk_mb=st.none() | st.floats(0, 300),
    hot_c=st.none() | st.floats(20, 110),
)


def changes(shortages: Shortages, reading: Reading, now_s: float) -> list[tuple[str, bool]]:
    return list(shortages.look(reading, LIMITS, now_s))


@pytest.mark.parametrize(
    ("reading", "short"),
    [
        (WELL, []),
        (Reading(), []),
        (replace(WELL, memory_mb=79), ["memory"]),
        (replace(WELL, stalled_percent=21), ["memory"]),
        (replace(WELL, disk_mb=0), ["disk"]),
        (replace(WELL, hot_c=81), ["heat"]),
        (Reading(memory_mb=1, disk_mb=1, hot_c=99), ["memory", "disk", "heat"]),
    ],
)
def test_each_value_has_its_bound(reading: Reading, short: list[str]) -> None:
    assert [name for name in GIVES_UP if short_of(reading, LIMITS, name)] == short
    shortages = Shortages()
    assert changes(shortages, reading, 0) == [(name, True) for name in short]
    assert list(shortages.gives_up) == short


def test_the_reason_is_told_with_its_value() -> None:
    assert short_of(replace(WELL, hot_c=84.4), LIMITS, "heat") == ("the CPU is at 84 °C",)


def test_a_bound_of_nothing_is_never_reached() -> None:
    never = SheddingSettings(memory_mb=0, stalled_percent=0, disk_mb=0, hot_c=0)
    worst = Reading(memory_mb=0, stalled_percent=100, disk_mb=0, hot_c=120)
    assert not list(Shortages().look(worst, never, 0))


def test_it_is_over_when_it_has_eased_and_stayed_so_for_a_minute() -> None:
    shortages = Shortages()
    assert changes(shortages, replace(WELL, hot_c=85), 0) == [("heat", True)]
    assert not changes(shortages, replace(WELL, hot_c=78), 10), "cooler, but not cool"
    assert not changes(shortages, replace(WELL, hot_c=70), 20)
    assert not changes(shortages, replace(WELL, hot_c=75), 50), "warm again: it counts anew"
    assert not changes(shortages, WELL, 60)
    assert not changes(shortages, WELL, 119)
    assert changes(shortages, WELL, 120) == [("heat", False)]
    assert not shortages.now


def test_what_only_giving_up_has_ended_is_taken_back_ever_later() -> None:
    """An oscillation: the shortage is there whenever nothing is given up."""
    shortages, began = Shortages(), []
    for now_s in range(0, 86_400, 5):
        reading = WELL if "memory" in shortages.now else replace(WELL, memory_mb=50)
        began += [now_s for _, begins in changes(shortages, reading, now_s) if begins]
    assert began[1] - began[0] < 100
    assert len(began) < 40, "to and fro all day long"


def test_a_shortage_of_another_day_is_a_first_one_again() -> None:
    shortages = Shortages()
    for day_s in (0, 86_400, 2 * 86_400):
        assert changes(shortages, replace(WELL, disk_mb=3), day_s) == [("disk", True)]
        assert not changes(shortages, WELL, day_s + 5)
        assert changes(shortages, WELL, day_s + 65) == [("disk", False)]


@given(st.lists(st.tuples(readings, st.floats(0, 1000))))
def test_whatever_happens_each_change_is_told_once_and_calm_restores_everything(
    steps: list[tuple[Reading, float]],
) -> None:
    shortages, told, now_s = Shortages(), set[str](), 0.0
    for reading, wait_s in [*steps, (WELL, 0.0), (WELL, 3600.0)]:
        now_s += wait_s
        for name, begins in changes(shortages, reading, now_s):
            assert begins == (name not in told)
            told ^= {name}
        assert told == shortages.now
        assert all(name in told for name in GIVES_UP if short_of(reading, LIMITS, name))
    assert not told
