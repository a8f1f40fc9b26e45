"""Some hundreds of turns with every kind of fault: what ``assistant bench soak`` does for ten thousand."""

from __future__ import annotations

import asyncio

import pytest

from assistant.dialog.report import Report
from assistant.settings.schema import Settings
from assistant.tools.bench import soak
from assistant.tools.bench.soak.faults import FAULTS
from assistant.tools.bench.soak.home import Home


def test_whatever_goes_wrong_it_answers_sleeps_and_loses_no_timer() -> None:
    result = soak.run(Settings(), turns=300, seed=2, progress=lambda _: None)
    document = result.document
    assert document["wrong"] == []
    assert document["turns"] >= 300
    assert document["faults"].keys() == FAULTS.keys()
    assert document["timers"]["set"] > 10
    assert document["answered"] > 200
    assert document["memory_growth_mb"]["python"] < 5


def test_the_same_seed_is_the_same_run() -> None:
    one, other = (soak.run(Settings(), turns=20, seed=3, progress=lambda _: None).document for _ in range(2))
    for document in (one, other):
        del document["memory_growth_mb"]
    assert one == other


@pytest.mark.parametrize(("was_hanging", "wrong"), [(True, 0), (False, 1)])
def test_without_a_fault_of_its_own_only_what_hung_before_is_a_reason(was_hanging: bool, wrong: int) -> None:
    async def judged() -> soak.Tally:
        home, tally = Home(), soak.Tally()
        home.reports.append(Report(1, "What time is it?", handled_by="apology", error="engine-timeout"))
        soak._judge(home, tally, "turn 7", "tell_time", is_faulty=False, was_hanging=was_hanging)
        return tally

    tally = asyncio.run(judged())
    assert len(tally.wrong) == wrong
    assert sum(tally.reasons.values()) == 1 - wrong
