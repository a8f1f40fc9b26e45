"""A missing microphone is not a missing speaker, nor the other way round. Virtual time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from assistant.core import events as e
from assistant.core.errors import EngineTimeout, OrderRefused
from assistant.core.state import State
from tests.services.test_control_api import Desk, at_the_desk
from tests.simulation import House, simulate

QUESTION = "What is the capital of France?"
REPLY = "It is Paris. A lovely town."
RING = "Your pasta timer is done."


@pytest.mark.parametrize("away_s", [10, 3600])
def test_without_a_microphone_timers_ring(away_s: int) -> None:
    async def story(house: House) -> None:
        house.microphone.broken = True
        await house.until(State.FAULTED)
        await asyncio.sleep(away_s)
        house.timers.count_down("timer", timedelta(seconds=5), "pasta")
        await house.until(State.SPEAKING)
        await house.until(State.FAULTED)
        assert RING in house.speaker.written
        house.microphone.broken = False
        await house.until(State.SLEEPING)

    simulate(story)


def test_without_a_microphone_it_announces_and_answers_aloud() -> None:
    async def story(desk: Desk) -> None:
        house = desk.house
        house.microphone.broken = True
        await house.until(State.FAULTED)
        assert (await desk("say", text="Dinner is ready."))["said"]
        await house.until(State.FAULTED)
        assert (await desk("ask", text=QUESTION, speak=True))["reply"] == REPLY
        await house.until(State.FAULTED)
        assert [text for text in house.speaker.written if not text.startswith("(")] == [
            "Dinner is ready.",
            *("It is Paris.", "A lovely town."),
        ]
        assert set((await desk("status"))["missing"]) == {"microphone"}

    at_the_desk(story)


def test_nothing_makes_it_listen_without_a_microphone() -> None:
    async def story(desk: Desk) -> None:
        house = desk.house
        house.microphone.broken = True
        await house.until(State.FAULTED)
        await desk("say", text="one two three four five six seven eight.")
        with pytest.raises(OrderRefused, match="no microphone"):
            await desk("listen")
        desk.orders.press()
        house.voice_loop.post(e.Woken(by="button"))
        await house.until(State.FAULTED, within_s=1)
        await asyncio.sleep(30)
        assert house.voice_loop.state is State.FAULTED

    at_the_desk(story, settings={"conversation": {"follow_up_ms": 4000}})


@pytest.mark.parametrize("state", [State.THINKING, State.SPEAKING])
def test_an_answer_is_heard_to_its_end_though_the_microphone_is_pulled(state: State) -> None:
    async def story(house: House) -> None:
        house.say(QUESTION)
        await house.until(state)
        house.microphone.broken = True
        await house.until(State.FAULTED)
        assert (house.reports[-1].heard, house.reports[-1].interrupted) == (REPLY, False)

    simulate(story, settings={"conversation": {"speculate": False}})


def test_a_microphone_that_is_back_before_the_answer_is_over_was_never_missing() -> None:
    async def story(house: House) -> None:
        states: list[State] = []
        house.observers.append(lambda _, state: states.append(state))
        house.say(QUESTION)
        await house.until(State.SPEAKING)
        house.microphone.broken = True
        await asyncio.sleep(0.1)
        house.microphone.broken = False
        await house.until(State.SLEEPING)
        assert State.FAULTED not in states
        report = await house.answered(QUESTION)
        assert report.heard == report.reply

    simulate(story, reply=lambda _: f"{REPLY} {REPLY} {REPLY}".replace("Paris", "Paris in the north"))


def test_muted_in_the_middle_of_everything_it_stays_so() -> None:
    async def story(house: House) -> None:
        house.microphone.broken = house.speaker.broken = True
        await house.until(State.FAULTED)
        house.voice_loop.post(e.Muted())
        await house.until(State.MUTED)
        house.microphone.broken = house.speaker.broken = False
        house.timers.count_down("timer", timedelta(seconds=5), "pasta")
        await asyncio.sleep(60)
        assert RING in house.speaker.written
        assert house.voice_loop.state is State.MUTED
        assert not house.microphone.is_open
        assert "microphone" not in house.voice_loop.outages

    simulate(story)


def test_what_nobody_could_hear_is_said_once_when_the_speaker_is_back() -> None:
    async def story(desk: Desk) -> None:
        house = desk.house
        house.speaker.broken = True
        await asyncio.sleep(1)
        assert not (await desk("say", text="Dinner is ready."))["said"]
        house.timers.count_down("timer", timedelta(seconds=5), "pasta")
        await asyncio.sleep(20 * 60)
        assert house.voice_loop.state is State.SLEEPING
        assert house.speaker.written == []
        house.speaker.broken = False
        await asyncio.sleep(60)
        missed, dinner = house.speaker.written
        assert missed.startswith("You missed your pasta timer")
        assert dinner == "Dinner is ready."
        assert house.timers.all() == []

    at_the_desk(story)


def test_what_is_older_than_an_hour_is_not_said_any_more() -> None:
    async def story(desk: Desk) -> None:
        house = desk.house
        house.speaker.broken = True
        await asyncio.sleep(1)
        await desk("say", text="Dinner is ready.")
        house.timers.count_down("timer", timedelta(seconds=5), "pasta")
        await asyncio.sleep(3700)
        await desk("say", text="Breakfast is ready.")
        house.speaker.broken = False
        await asyncio.sleep(60)
        assert house.speaker.written == ["Breakfast is ready."]
        assert house.timers.all() == []

    at_the_desk(story)


def test_an_announcement_that_the_speaker_did_not_end_is_said_again() -> None:
    async def story(desk: Desk) -> None:
        house = desk.house
        await desk("say", text="one two three four five six seven eight nine ten.")
        await asyncio.sleep(0.5)
        house.speaker.broken = True
        await house.until(State.SLEEPING)
        house.speaker.broken = False
        house.speaker.written.clear()
        await asyncio.sleep(60)
        assert house.speaker.written == ["one two three four five six seven eight nine ten."]

    at_the_desk(story)


def test_a_timer_that_was_missed_and_is_stopped_in_its_middle_is_over() -> None:
    async def story(desk: Desk) -> None:
        house = desk.house
        house.speaker.broken = True
        house.timers.count_down("timer", timedelta(seconds=5), "pasta")
        await asyncio.sleep(60)
        house.speaker.broken = False
        await house.until(State.SPEAKING)
        await asyncio.sleep(0.5)
        await desk("stop")
        house.speaker.written.clear()
        await asyncio.sleep(60)
        assert house.speaker.written == []

    at_the_desk(story)


def test_an_engine_that_hangs_does_not_silence_the_timers() -> None:
    """What rings does so until the watchdog has restarted it."""

    async def story(house: House) -> None:
        house.timers.count_down("timer", timedelta(seconds=5), "pasta")
        house.voice_loop.post(e.Faulted(EngineTimeout("The llm engine hangs.", "Restart.")))
        await house.until(State.FAULTED)
        await house.until(State.SPEAKING)
        house.voice_loop.post(e.Faulted(EngineTimeout("The llm engine hangs.", "Restart.")))
        await house.until(State.FAULTED)
        assert RING in house.speaker.written
        assert not house.microphone.is_open

    simulate(story)


def test_without_a_speaker_it_goes_on_listening_and_answers_in_writing() -> None:
    async def story(house: House) -> None:
        house.speaker.broken = True
        for _ in range(2):
            report = await house.answered(QUESTION)
            assert house.voice_loop.state is State.SLEEPING
            assert (report.reply, report.in_writing) == ("It is Paris. A lovely town.", True)
        said = [message.content for message in house.conversation.messages_for("Why?")]
        assert sum("It is Paris. A lovely town." in text for text in said) == 2
        house.speaker.broken = False
        await asyncio.sleep(3)
        report = await house.answered(QUESTION)
        assert (report.heard, report.in_writing, report.error) == (report.reply, False, None)

    simulate(story)


def test_a_speaker_pulled_in_the_middle_of_an_answer_leaves_the_rest_in_writing() -> None:
    async def story(house: House) -> None:
        house.say(QUESTION)
        await house.until(State.SPEAKING)
        await asyncio.sleep(0.3)
        house.speaker.broken = True
        await house.until(State.SLEEPING)
        (report,) = house.reports
        assert report.reply == "It is Paris. A lovely town."
        assert report.in_writing
        assert report.error == "audio-lost"

    simulate(story)


def test_a_ring_that_the_speaker_did_not_end_is_heard_soon_after_its_return() -> None:
    async def story(house: House) -> None:
        house.timers.count_down("timer", timedelta(seconds=5), "pasta")
        await house.until(State.SPEAKING)
        await asyncio.sleep(0.3)
        house.speaker.broken = True
        await house.until(State.SLEEPING)
        house.speaker.broken = False
        house.speaker.written.clear()
        await house.until(State.SPEAKING, within_s=3.5)
        await house.until(State.SLEEPING)
        assert house.speaker.written == [RING]

    simulate(story)
