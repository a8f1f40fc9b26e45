"""Somebody else in the house is asked before the model: when, and whose answer is said."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from assistant.dialog.pipeline import Adopt
from assistant.runtime.cancel import Cancel
from assistant.runtime.paths import shipped_folder
from assistant.skills import Outcome
from tests.simulation import House, simulate

INTENTS = [shipped_folder("config") / "intents" / "en.yaml"]
LAMP = "Turn on the lamp."
FRANCE = "What is the capital of France?"
TIME = "What time is it?"
SOURCE = "How do you know that?"
OF_MODEL, OF_BUTLER = "From my language model, which can be wrong.", "I have that from Butler."


class Butler:
    """Knows the lamp and nothing else."""

    name = "butler"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def ask(self, text: str, cancel: Cancel) -> Outcome | None:
        self.asked.append(text)
        return Outcome("The lamp is on.") if text == LAMP else None


def hire(house: House) -> Butler:
    butler = Butler()
    house.voice_loop.post(Adopt(replace(house.voice_loop.pipeline, agent=butler), {}))
    return butler


def test_the_agent_answers_what_it_knows_the_model_the_rest_and_skills_come_first() -> None:
    async def story(house: House) -> None:
        butler = hire(house)
        assert (await house.answered(LAMP)).handled_by == "butler"
        assert house.reports[-1].reply == "The lamp is on."
        assert (await house.answered(FRANCE)).handled_by == "llm"
        assert house.reports[-1].reply == "It is Paris. A lovely town."
        assert (await house.answered(TIME)).handled_by == "tell_time"
        assert butler.asked == [LAMP, FRANCE]
        (messages,) = house.llm.prompts[-1:]
        assert LAMP not in [message.content for message in messages], "the model never heard of the lamp"

    simulate(story, words=[LAMP, FRANCE, TIME], intents=INTENTS)


def test_the_agent_is_asked_only_when_the_person_has_finished() -> None:
    async def story(house: House) -> None:
        butler = hire(house)
        house.say(LAMP, 600)
        house.pause(240)
        house.say(FRANCE, 900)
        await asyncio.sleep(3)
        await house.voice_loop.idle(2)
        assert butler.asked == [FRANCE]
        assert len(house.llm.prompts) >= 1

    simulate(story, words=[LAMP, FRANCE], settings={"endpoint": {"complete_ms": 500, "read_ahead_ms": 0}})


def test_a_model_that_fails_while_the_agent_answers_is_nobodys_business() -> None:
    async def story(house: House) -> None:
        def fail() -> None:
            raise ZeroDivisionError

        hire(house)
        house.faults.llm = fail
        report = await house.answered(LAMP)
        assert (report.handled_by, report.error) == ("butler", None)

    simulate(story, words=[LAMP], intents=INTENTS)


def test_who_answered_is_the_source_and_not_who_only_worked_ahead() -> None:
    async def story(house: House) -> None:
        hire(house)
        for question, source in ((LAMP, OF_BUTLER), (FRANCE, OF_MODEL), (LAMP, OF_BUTLER)):
            await house.answered(question)
            assert (await house.answered(SOURCE)).reply == source
        assert len(house.llm.prompts) == 3, "the model prepared an answer each time"

    simulate(story, words=[LAMP, FRANCE, SOURCE], intents=INTENTS)


def test_an_answer_that_was_given_up_before_it_was_said_is_no_source() -> None:
    async def story(house: House) -> None:
        assert (await house.answered(TIME)).handled_by == "tell_time"
        house.say(FRANCE, 600)
        house.pause(600)
        house.say(SOURCE, 900)
        await asyncio.sleep(3)
        await house.voice_loop.idle(2)
        assert house.llm.prompts, "the model had begun to answer"
        assert house.reports[-1].reply == "I worked it out myself."
        assert (await house.answered(FRANCE)).handled_by == "llm"
        assert (await house.answered(SOURCE)).reply == OF_MODEL

    settings = {"endpoint": {"complete_ms": 900, "unclear_ms": 1000, "read_ahead_ms": 0}}
    simulate(story, words=[TIME, FRANCE, SOURCE], intents=INTENTS, settings=settings)
