"""What may be only the beginning of something is waited for."""

from __future__ import annotations

import asyncio

from assistant.runtime.paths import shipped_folder
from tests.simulation import House, simulate

INTENTS = [shipped_folder("config") / "intents" / "en.yaml"]
MURMUR = "Make"
DOUBTFUL = {"endpoint": {"read_ahead_ms": 0}, "stt": {"guard": {"min_speech_ratio": 0.5}}}
"""With this, a murmur of 300 ms is not believed: there is as much of the pre-roll."""
QUESTION = "What is the capital of France?"
PART, WHOLE = "Set a timer for ten.", "Set a timer for ten minutes."


async def said_with_a_pause(house: House, begin: str, rest: str, pause_ms: int) -> None:
    house.pause(500)
    house.say(begin, 300)
    house.pause(pause_ms)
    house.say(rest, 1500)
    await asyncio.sleep(2)
    await house.voice_loop.idle(2)


def test_what_was_not_understood_may_be_a_beginning() -> None:
    async def story(house: House) -> None:
        await said_with_a_pause(house, MURMUR, QUESTION, 900)
        (report,) = house.reports
        assert (report.transcript, report.refused) == (QUESTION, None)

    simulate(story, words=[MURMUR, QUESTION], settings=DOUBTFUL)


def test_but_not_for_ever() -> None:
    async def story(house: House) -> None:
        await said_with_a_pause(house, MURMUR, QUESTION, 2000)
        assert [report.refused for report in house.reports] == ["little_speech", None]

    simulate(story, words=[MURMUR, QUESTION], settings=DOUBTFUL)


def test_a_command_that_lacks_something_may_go_on() -> None:
    async def story(house: House) -> None:
        await said_with_a_pause(house, PART, WHOLE, 900)
        assert [report.handled_by for report in house.reports] == ["set_timer"]
        house.say(PART)
        await asyncio.sleep(0.5)
        await house.voice_loop.idle(2)
        assert house.reports[-1].handled_by == "ask_duration"

    simulate(story, words=[PART, WHOLE], intents=INTENTS)
