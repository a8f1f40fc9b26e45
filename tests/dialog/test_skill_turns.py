"""What a skill may do before it is sure that it was meant."""

from __future__ import annotations

import asyncio

from assistant.runtime.paths import shipped_folder
from tests.simulation import House, simulate

QUESTION = "What is the capital of France?"
INTENTS = [shipped_folder("config") / "intents" / "en.yaml"]


def test_an_answer_that_changes_nothing_is_ready_when_the_turn_ends() -> None:
    async def story(house: House) -> None:
        report = await house.answered("What time is it?")
        assert report.handled_by == "tell_time"
        latency = report.latency_ms()
        assert latency["response"] - latency["endpoint"] <= 20
        report = await house.answered("Set a timer for 5 minutes.")
        assert report.handled_by == "set_timer"
        latency = report.latency_ms()
        assert latency["response"] - latency["endpoint"] > 20

    simulate(
        story,
        words=["What time is it?", "Set a timer for 5 minutes."],
        intents=INTENTS,
        # The scripted recogniser needs 200 ms.
        settings={"endpoint": {"complete_ms": 500, "read_ahead_ms": 0}},
    )


def test_a_command_without_words_ends_after_its_turn() -> None:
    """Its outcome is known during the pause; the person may go on, and then it was not meant."""

    async def story(house: House) -> None:
        house.say("Stop.", 600)
        house.pause(240)
        house.say(QUESTION, 900)
        await asyncio.sleep(3)
        await house.voice_loop.idle(2)
        assert [report.handled_by for report in house.reports] == ["llm"]

    simulate(story, words=["Stop.", QUESTION], intents=INTENTS)


def test_what_the_model_said_is_no_phrase_when_it_is_repeated() -> None:
    """Phrases are kept on disk, and what somebody was told by the model is private."""

    async def story(house: House) -> None:
        await house.answered("What time is it?")
        assert len(house.tts.phrases) == 1
        answer = await house.answered(QUESTION)
        again = await house.answered("Repeat that.")
        assert (again.handled_by, again.reply) == ("repeat", answer.reply)
        assert len(house.tts.phrases) == 1

    simulate(story, words=["What time is it?", QUESTION, "Repeat that."], intents=INTENTS)


def test_what_it_asks_is_answered_by_the_next_words() -> None:
    async def story(house: House) -> None:
        asked = await house.answered("Set a timer.")
        assert asked.handled_by == "ask_duration"
        answer = await house.answered("Half an hour.")
        assert (answer.handled_by, answer.reply) == ("set_timer", "Thirty minutes, starting now.")

    simulate(story, words=["Set a timer.", "Half an hour."], intents=INTENTS)
