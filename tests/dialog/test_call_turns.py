"""The model calls a skill: when it acts, what is said, and what becomes of a call that is none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from assistant.core.types import Message
from assistant.dialog.pipeline import Adopt
from assistant.runtime.cancel import Cancel
from assistant.runtime.paths import shipped_folder
from assistant.skills import Outcome
from tests.simulation import House, simulate

INTENTS = [shipped_folder("config") / "intents" / "en.yaml"]
EGGS = "The eggs want seven minutes."
LATE = "Are we running late?"
FRANCE = "What is the capital of France?"
CALLS = {
    EGGS: '@set_timer(duration="7 minutes", name="eggs")',
    LATE: "@tell_time()",
    FRANCE: "It is Paris.",
}
SLOW = {"endpoint": {"complete_ms": 900, "unclear_ms": 900, "read_ahead_ms": 0}}


def called(messages: Sequence[Message]) -> str:
    return CALLS[messages[-1].content]


def allow(house: House) -> None:
    house.voice_loop.post(Adopt(replace(house.voice_loop.pipeline, may_call=True), {}))


def with_calls(story: Callable[[House], object], **more: object) -> None:
    async def main(house: House) -> None:
        allow(house)
        await story(house)  # type: ignore[misc]

    simulate(main, words=[EGGS, LATE, FRANCE], reply=called, intents=INTENTS, **more)  # type: ignore[arg-type]


def test_what_the_model_calls_is_done_and_said_in_the_skills_own_words() -> None:
    async def story(house: House) -> None:
        report = await house.answered(EGGS)
        assert (report.handled_by, report.error) == ("set_timer", None)
        assert report.reply == "Seven minutes, eggs, starting now."
        assert [timer.name for timer in house.timers.all("timer")] == ["eggs"]
        assert (await house.answered(FRANCE)).handled_by == "llm"
        assert house.reports[-1].reply == "It is Paris."

    with_calls(story)


def test_it_acts_only_when_the_person_has_finished() -> None:
    async def story(house: House) -> None:
        house.say(EGGS, 1000)
        house.pause(700)  # long enough for the model to have called
        house.say(FRANCE, 1000)
        await asyncio.sleep(1.6)
        assert house.llm.prompts, "it was asked during the pause"
        assert house.timers.all("timer") == []
        await asyncio.sleep(4)
        await house.voice_loop.idle(2)
        assert house.timers.all("timer") == []
        assert [report.handled_by for report in house.reports] == ["llm"]

    with_calls(story, settings=SLOW)


def test_what_only_answers_is_ready_when_the_turn_ends() -> None:
    async def story(house: House) -> None:
        report = await house.answered(LATE)
        assert report.handled_by == "tell_time"
        latency = report.latency_ms()
        assert latency["response"] - latency["endpoint"] <= 20

    with_calls(story, settings=SLOW)


def test_a_call_that_is_none_is_apologised_for() -> None:
    async def story(house: House) -> None:
        report = await house.answered(EGGS)
        assert (report.handled_by, report.error) == ("apology", "engine-failed")
        assert house.timers.all("timer") == []

    before, CALLS[EGGS] = CALLS[EGGS], '@set_timer(duration="7 min'
    try:
        with_calls(story)
    finally:
        CALLS[EGGS] = before


def test_where_the_model_may_not_call_it_does_not() -> None:
    async def story(house: House) -> None:
        await house.answered(EGGS)
        assert house.reports[-1].handled_by == "llm"
        assert house.timers.all("timer") == []

    simulate(story, words=[EGGS], reply=called, intents=INTENTS)


def test_what_the_agent_does_the_model_does_not_do_again() -> None:
    class Butler:
        name = "butler"

        def ask(self, text: str, cancel: Cancel) -> Outcome | None:
            return Outcome("I time your eggs.") if text == EGGS else None

    async def story(house: House) -> None:
        house.voice_loop.post(Adopt(replace(house.voice_loop.pipeline, may_call=True, agent=Butler()), {}))
        report = await house.answered(EGGS)
        assert (report.handled_by, report.reply) == ("butler", "I time your eggs.")
        assert house.timers.all("timer") == []
        assert (await house.answered(LATE)).handled_by == "tell_time"

    simulate(story, words=[EGGS, LATE], reply=called, intents=INTENTS)
