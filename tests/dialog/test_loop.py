"""The loop's behaviour in virtual time: time, order, interruption and faults."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from assistant.core import events as e
from assistant.core.errors import EngineFailed
from assistant.core.state import State
from tests.simulation import House, simulate

QUESTION = "What is the capital of France?"


def failing(times: int = 1) -> Callable[[], None]:
    """A fault that happens this often and then no more."""
    left = times

    def fault() -> None:
        nonlocal left
        if left:
            left -= 1
            raise EngineFailed("It broke.", "Try again.")

    return fault


def test_a_question_is_answered() -> None:
    async def story(house: House) -> None:
        report = await house.answered(QUESTION)
        assert report.transcript == QUESTION
        assert report.reply == "It is Paris. A lovely town."
        assert report.heard == report.reply
        assert report.handled_by == "llm"
        assert report.error is None
        assert house.speaker.written == ["It is Paris.", "A lovely town."]
        assert house.voice_loop.state is State.SLEEPING

    simulate(story)


def test_states_come_in_the_order_of_the_table() -> None:
    async def story(house: House) -> None:
        house.say(QUESTION)
        for state in (State.LISTENING, State.THINKING, State.SPEAKING, State.SLEEPING):
            await house.until(state)

    simulate(story, settings={"conversation": {"speculate": False}})


def test_the_answer_is_made_during_the_pause() -> None:
    """With speculation the words are known before the turn ends, and the first sound follows at once."""

    async def response_ms(house: House) -> int:
        report = await house.answered(QUESTION)
        return report.latency_ms()["response"]

    speculating = simulate(response_ms)
    waiting = simulate(response_ms, settings={"conversation": {"speculate": False}})
    assert speculating < waiting - 150


def test_the_latency_is_the_time_from_the_last_word_to_the_first_sound() -> None:
    """All durations are scripted, so the response time can be told to the frame."""

    async def story(house: House) -> dict[str, int]:
        return (await house.answered(QUESTION)).latency_ms()

    latency = simulate(story, settings={"conversation": {"speculate": False}})
    assert latency["endpoint"] == 600
    assert latency["stt"] == 200
    assert latency["llm_first_token"] == 200
    assert latency["response"] == pytest.approx(
        600 + 200 + 200 + 2 * 50 + latency["tts_first_audio"], abs=120
    )


def test_who_goes_on_is_heard_out() -> None:
    """A speculative answer to the first half is thrown away, and both halves are one utterance."""

    async def story(house: House) -> None:
        house.say("Set the table", 800)
        house.pause(400)
        house.say(QUESTION, 800)
        await asyncio.sleep(3)
        await house.voice_loop.idle(2)
        assert len(house.reports) == 1
        assert house.reports[0].transcript == QUESTION
        assert max(house.stt.heard) > 16 * 1900
        assert house.speaker.written == ["It is Paris.", "A lovely town."]

    simulate(story, words=["Set the table", QUESTION])


def test_work_that_was_thrown_away_is_counted() -> None:
    async def story(house: House) -> None:
        house.say("Set the table", 800)
        house.pause(400)
        house.say(QUESTION, 800)
        await asyncio.sleep(3)
        await house.voice_loop.idle(2)
        second = await house.answered(QUESTION)
        (first, _) = house.reports
        (attempt,) = first.discarded
        assert attempt.transcript == "Set the table"
        assert attempt.work_s["stt"] == pytest.approx(0.2)
        assert first.wasted_s == pytest.approx(sum(attempt.work_s.values()))
        assert first.work_s["tts"] == pytest.approx(len("It is Paris.A lovely town.") * 0.004)
        assert not second.discarded

    simulate(story, words=["Set the table", QUESTION])


def test_going_on_after_the_end_of_the_turn_takes_the_turn_back() -> None:
    async def story(house: House) -> None:
        house.say("Set the table", 800)
        house.pause(700)
        house.say(QUESTION, 800)
        await house.until(State.THINKING)
        await house.until(State.LISTENING)
        await house.voice_loop.idle(2)
        assert [report.transcript for report in house.reports] == [QUESTION]
        assert house.speaker.written == ["It is Paris.", "A lovely town."]

    simulate(story, words=["Set the table", QUESTION], settings={"conversation": {"speculate": False}})


def test_the_second_turn_knows_the_first() -> None:
    async def story(house: House) -> None:
        await house.answered(QUESTION)
        await house.answered("And of Spain?")
        texts = [message.content for message in house.llm.prompts[-1]]
        assert any(QUESTION in text for text in texts)
        assert any("It is Paris. A lovely town." in text for text in texts)

    simulate(story, words=[QUESTION, "And of Spain?"])


def test_noise_gets_no_answer() -> None:
    async def story(house: House) -> None:
        report = await house.answered("")
        assert report.refused
        assert house.llm.prompts == []
        assert house.speaker.written == []
        assert house.voice_loop.state is State.SLEEPING

    simulate(story, words=[""])


def test_talking_over_the_answer_stops_it_and_only_what_was_heard_is_remembered() -> None:
    async def story(house: House) -> None:
        house.say(QUESTION)
        await house.until(State.SPEAKING)
        await asyncio.sleep(1.5)
        house.say("Stop it.")
        await house.until(State.INTERRUPTED, within_s=0.5)
        await house.voice_loop.idle(2)
        first, second = house.reports
        assert first.interrupted
        assert first.heard
        assert len(first.heard) < len(first.reply)
        assert second.transcript == "Stop it."
        remembered = " ".join(message.content for message in house.llm.prompts[-1])
        assert "nineteen" not in remembered

    simulate(
        story,
        words=[QUESTION, "Stop it."],
        reply=lambda _: "one two three four five six seven eight nine ten. eleven twelve nineteen twenty.",
        settings={"conversation": {"interruption": "speech"}},
    )


def test_its_own_voice_does_not_interrupt_it_where_that_is_off() -> None:
    async def story(house: House) -> None:
        house.say(QUESTION)
        await house.until(State.SPEAKING)
        house.say("Stop it.")
        await house.until(State.SLEEPING)
        await house.voice_loop.idle(2)
        assert [report.interrupted for report in house.reports] == [False]

    simulate(story, words=[QUESTION, "Stop it."])


@pytest.mark.parametrize("state", [State.LISTENING, State.THINKING, State.SPEAKING])
def test_stop_ends_whatever_is_going_on(state: State) -> None:
    async def story(house: House) -> None:
        house.say(QUESTION)
        await house.until(state)
        house.voice_loop.post(e.Stopped())
        await house.until(State.SLEEPING, within_s=0.05)
        if state is not State.LISTENING:
            written = list(house.speaker.written)
            await house.voice_loop.idle(5)
            assert house.speaker.written == written

    simulate(story, settings={"conversation": {"speculate": False}})


@pytest.mark.parametrize("engine", ["stt", "llm", "tts"])
def test_a_failing_engine_is_apologised_for_and_the_next_turn_works(engine: str) -> None:
    async def story(house: House) -> None:
        setattr(house.faults, engine, failing(1))
        report = await house.answered(QUESTION)
        assert report.error == "engine-failed"
        assert report.handled_by == "apology"
        assert house.speaker.written == ["Sorry, something went wrong."]
        report = await house.answered(QUESTION)
        assert report.error is None
        assert report.handled_by == "llm"

    simulate(story)


def test_an_empty_answer_is_apologised_for() -> None:
    async def story(house: House) -> None:
        report = await house.answered(QUESTION)
        assert report.error == "engine-failed"
        assert house.speaker.written == ["Sorry, something went wrong."]

    simulate(story, reply=lambda _: "")


def test_a_voice_that_stays_broken_does_not_stop_the_loop() -> None:
    async def story(house: House) -> None:
        house.faults.tts = failing(2)
        report = await house.answered(QUESTION)
        assert report.error
        assert house.voice_loop.state is State.SLEEPING
        assert (await house.answered(QUESTION)).error is None

    simulate(story)


def test_a_defect_in_an_engine_does_not_stop_the_loop() -> None:
    def defect() -> None:
        house_faults[0].stt = lambda: None
        raise ZeroDivisionError

    house_faults = []

    async def story(house: House) -> None:
        house_faults.append(house.faults)
        house.faults.stt = defect
        await house.answered(QUESTION)
        assert house.voice_loop.state is State.SLEEPING
        assert (await house.answered(QUESTION)).error is None

    simulate(story)


def test_an_answer_that_never_comes_is_given_up() -> None:
    async def story(house: House) -> None:
        from assistant.runtime import clock  # noqa: PLC0415

        loop = asyncio.get_running_loop()

        def hang() -> None:
            house.faults.llm = lambda: None
            clock.occupy(loop, 100)

        house.faults.llm = hang
        report = await house.answered(QUESTION)
        assert report.error == "engine-timeout"
        assert house.speaker.written == ["Sorry, something went wrong."]

    simulate(story)


def test_mute_closes_the_microphone_and_unmute_opens_it() -> None:
    async def story(house: House) -> None:
        house.voice_loop.post(e.Muted())
        await house.until(State.MUTED)
        assert not house.microphone.is_open
        house.voice_loop.post(e.Unmuted())
        await house.until(State.SLEEPING)
        assert (await house.answered(QUESTION)).handled_by == "llm"

    simulate(story)


@pytest.mark.parametrize("state", [State.SLEEPING, State.LISTENING, State.THINKING, State.SPEAKING])
def test_a_pulled_microphone_is_found_again(state: State) -> None:
    async def story(house: House) -> None:
        if state is not State.SLEEPING:
            house.say(QUESTION)
            await house.until(state)
        house.microphone.broken = True
        await house.until(State.FAULTED)
        await asyncio.sleep(10)
        house.microphone.broken = False
        await house.until(State.SLEEPING)
        assert (await house.answered(QUESTION)).handled_by == "llm"

    simulate(story, settings={"conversation": {"speculate": False}})


def test_a_fault_never_unmutes() -> None:
    async def story(house: House) -> None:
        house.microphone.broken = True
        await house.until(State.FAULTED)
        house.voice_loop.post(e.Muted())
        await house.until(State.MUTED)
        house.microphone.broken = False
        await asyncio.sleep(120)
        assert house.voice_loop.state is State.MUTED
        assert not house.microphone.is_open

    simulate(story)


def test_the_follow_up_needs_no_wake_word_and_ends_by_itself() -> None:
    async def story(house: House) -> None:
        house.say(QUESTION)
        await house.until(State.SPEAKING)
        await house.until(State.LISTENING)
        await house.until(State.SLEEPING, within_s=4.1)

    simulate(story, settings={"conversation": {"follow_up_ms": 4000}})


def test_a_thousand_turns() -> None:
    async def story(house: House) -> None:
        for _ in range(1000):
            house.say(QUESTION, 600)
            await asyncio.sleep(0.3)
            await house.voice_loop.idle(0.1)
        assert len(house.reports) == 1000
        assert all(report.heard == "Yes." for report in house.reports)

    simulate(story, reply=lambda _: "Yes.")
