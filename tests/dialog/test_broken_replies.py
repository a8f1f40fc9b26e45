"""A reply that breaks off in the middle: what was whole is said, and that there is no more of it."""

from __future__ import annotations

from assistant.core.errors import EngineFailed
from assistant.engines.scripted import no_fault
from tests.simulation import House, simulate

FRANCE = "What is the capital of France?"
APOLOGY = "Sorry, something went wrong."


def breaking_off(house: House, after: int) -> None:
    """The model fails when it has written so many words."""
    left = after + 1

    def fail() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise EngineFailed("The server is gone.", "Look for it.")

    house.faults.llm = fail


def test_a_person_who_hears_no_end_of_it_is_told() -> None:
    async def story(house: House) -> None:
        breaking_off(house, after=5)
        report = await house.answered(FRANCE)
        assert report.reply == f"It is Paris. {APOLOGY}"
        assert (report.handled_by, report.error) == ("llm", "engine-failed")
        assert report.heard == report.reply
        house.faults.llm = no_fault
        await house.answered(FRANCE)
        assert len(house.llm.prompts[-1]) == 2, "what broke off is not remembered"

    simulate(story, reply=lambda _: "It is Paris. A lovely town by the river Seine. Go there. Soon.")


def test_one_that_never_began_is_only_apologised_for() -> None:
    async def story(house: House) -> None:
        breaking_off(house, after=-1)
        report = await house.answered(FRANCE)
        assert (report.reply, report.handled_by) == (APOLOGY, "apology")

    simulate(story)
