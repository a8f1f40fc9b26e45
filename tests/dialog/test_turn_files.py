"""How many files of the dialog one has to read to understand a turn."""

from __future__ import annotations

import sys

from tests import turn_files
from tests.simulation import House, simulate

MOST = 18


def test_one_turn_runs_the_code_of_few_files() -> None:
    async def story(house: House) -> None:
        turn_files.count(on=True)
        await house.answered("What is the capital of France?")
        turn_files.count(on=False)

    before = sys.getprofile()
    turn_files.files.clear()
    sys.setprofile(turn_files.note)
    try:
        simulate(story)
    finally:
        sys.setprofile(before)
    dialog = [file for file in turn_files.product_files() if file.startswith("dialog/")]
    assert {"dialog/loop.py", "dialog/turn.py"} <= set(dialog)
    assert len(dialog) <= MOST, sorted(dialog)
