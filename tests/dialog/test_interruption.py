"""Interrupted answers in virtual time: what was said stops them, what was not said only holds them up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from assistant.core import events as e
from assistant.core.state import State
from assistant.core.types import Message
from tests.conftest import CHECKOUT
from tests.simulation import House, simulate

QUESTION = "What is the capital of France?"
OTHER = "And of Spain?"
NOISE = ""
REPLY = "It is Paris, a large town on the river Seine. It has bridges. And a very tall tower made of iron."
LATE = {"conversation": {"interruption": "speech", "repair_ms": 0}}
INTENTS = [CHECKOUT / "config" / "intents" / "en.yaml"]
TIMER = "Set a timer for 5 minutes."
SETTINGS = {"conversation": {"interruption": "speech"}}


def reply(_: Sequence[Message]) -> str:
    return REPLY


async def interrupted(house: House, by: str, after_s: float = 1.5, duration_ms: int = 1200) -> None:
    """Ask, and say something else into the answer."""
    house.say(QUESTION)
    await house.until(State.SPEAKING)
    await asyncio.sleep(after_s)
    house.say(by, duration_ms)
    await house.until(State.INTERRUPTED, within_s=0.5)


def test_noise_holds_the_answer_up_and_it_goes_on_where_it_stopped() -> None:
    async def story(house: House) -> float:
        undisturbed = await house.answered(QUESTION)
        heard_s = house.speaker.heard_s
        assert undisturbed.resumed == 0
        await interrupted(house, NOISE)
        before_s = house.speaker.heard_s
        await asyncio.sleep(1.0)
        assert house.speaker.heard_s == pytest.approx(before_s, abs=0.1), "it is silent meanwhile"
        await house.until(State.SPEAKING)
        await house.voice_loop.idle(2)
        refused, answer = house.reports[1:]
        assert refused.refused
        assert answer.resumed == 1
        assert answer.heard == answer.reply == undisturbed.reply
        assert house.voice_loop.state is State.SLEEPING
        return house.speaker.heard_s - 2 * heard_s

    difference_s = simulate(story, words=[QUESTION, NOISE], reply=reply, settings=SETTINGS)
    assert difference_s == pytest.approx(0, abs=0.05), "nothing is left out and nothing is said twice"


def test_a_speaker_that_is_pulled_while_an_answer_is_held_is_found_again() -> None:
    async def story(house: House) -> None:
        await interrupted(house, NOISE)
        house.speaker.broken = True
        await asyncio.sleep(3)
        assert house.voice_loop.state is not State.SPEAKING
        house.speaker.broken = False
        await house.until(State.SLEEPING, within_s=60)
        assert (await house.answered(QUESTION)).heard == REPLY

    simulate(story, words=[QUESTION, NOISE, QUESTION], reply=reply, settings=SETTINGS)


def test_a_cough_too_short_to_be_words_holds_it_up_without_being_transcribed() -> None:
    async def story(house: House) -> None:
        await interrupted(house, NOISE, duration_ms=120)
        await house.until(State.SPEAKING, within_s=1)
        await house.voice_loop.idle(2)
        assert len(house.stt.heard) == 1
        (answer,) = house.reports
        assert (answer.resumed, answer.heard) == (1, answer.reply)

    simulate(story, words=[QUESTION, NOISE], reply=reply, settings=SETTINGS)


def test_words_end_it_and_the_next_answer_knows_how_far_it_was_heard() -> None:
    async def story(house: House) -> None:
        await interrupted(house, OTHER)
        await house.voice_loop.idle(2)
        first, second = house.reports
        assert first.interrupted
        assert (first.number, second.number) == (1, 2)
        assert 0 < len(first.heard) < len(REPLY)
        assert second.transcript == OTHER
        remembered = [message.content for message in house.llm.prompts[-1]]
        assert first.heard in remembered
        assert "iron" not in " ".join(remembered)

    simulate(story, words=[QUESTION, OTHER], reply=reply, settings=SETTINGS)


def test_a_model_that_is_still_writing_is_stopped_before_the_next_prompt() -> None:
    async def story(house: House) -> None:
        await interrupted(house, OTHER, after_s=0.1)
        await house.voice_loop.idle(2)
        assert [report.transcript for report in house.reports] == [QUESTION, OTHER]
        assert house.reports[1].heard

    long_reply = " ".join(["It is Paris."] + ["And so on and on."] * 40)
    simulate(story, words=[QUESTION, OTHER], reply=lambda _: long_reply, settings=LATE)


def test_its_own_words_are_no_interruption() -> None:
    own = "Paris, a large town on the River Sane."

    async def story(house: House) -> None:
        await interrupted(house, own, after_s=2.6)
        await house.voice_loop.idle(2)
        overheard, answer = house.reports
        assert (overheard.refused, overheard.handled_by) == ("own_voice", "nobody")
        assert (answer.resumed, answer.heard) == (1, REPLY)
        assert len(house.llm.prompts) == 1

    simulate(story, words=[QUESTION, own], reply=reply, settings=SETTINGS)


def test_a_word_that_the_answer_has_not_come_to_is_the_persons_own() -> None:
    async def story(house: House) -> None:
        await interrupted(house, "museums", after_s=0.3)
        await house.voice_loop.idle(2)
        assert "museums" in house.reports[-1].transcript
        assert house.reports[-1].refused is None

    simulate(
        story,
        words=[QUESTION, "museums"],
        reply=lambda _: "It is Paris, a lovely town of bridges, of gardens, and of museums.",
        settings=SETTINGS,
    )


def test_the_end_of_an_answer_is_not_taken_for_the_next_question() -> None:
    """With follow-up listening the microphone is open while the room still rings."""
    own = "and a very tall tower made of iron"

    async def story(house: House) -> None:
        house.say(QUESTION)
        await house.until(State.SPEAKING)
        await house.until(State.LISTENING)
        house.say(own)
        await house.voice_loop.idle(2)
        assert house.reports[-1].refused == "own_voice"
        assert len(house.llm.prompts) == 1
        await asyncio.sleep(5)
        house.say(own)
        await house.voice_loop.idle(2)
        assert house.reports[-1].refused is None, "later on somebody may well say so"

    settings = {"conversation": {"interruption": "speech", "follow_up_ms": 20_000}}
    simulate(story, words=[QUESTION, own], reply=reply, settings=settings)


@pytest.mark.parametrize("event", [e.Stopped(), e.Muted()])
def test_an_answer_that_is_held_can_be_ended(event: e.Event) -> None:
    async def story(house: House) -> None:
        await interrupted(house, NOISE, duration_ms=3000)
        heard_s = house.speaker.heard_s
        house.voice_loop.post(event)
        await asyncio.sleep(10)
        assert house.speaker.heard_s == pytest.approx(heard_s, abs=0.1)
        assert house.reports[0].interrupted

    simulate(story, words=[QUESTION, NOISE], reply=reply, settings=SETTINGS)


def test_an_answer_that_is_held_is_over_when_the_microphone_is_lost() -> None:
    async def story(house: House) -> None:
        await interrupted(house, NOISE, duration_ms=1000)
        house.microphone.broken = True
        await house.until(State.FAULTED)
        house.microphone.broken = False
        await house.voice_loop.idle(3)
        assert house.reports[0].interrupted
        assert (await house.answered(QUESTION)).heard == REPLY

    simulate(story, words=[QUESTION, NOISE], reply=reply, settings=SETTINGS)


def test_what_is_announced_goes_on_too() -> None:
    async def story(house: House) -> None:
        house.voice_loop.post(e.Announced("Your timer for ten minutes is over."))
        await house.until(State.SPEAKING)
        await asyncio.sleep(0.5)
        house.say(NOISE)
        await house.until(State.INTERRUPTED, within_s=0.5)
        await house.voice_loop.idle(2)
        assert house.reports[-1].resumed == 1

    simulate(story, words=[QUESTION, NOISE], settings=SETTINGS)


def test_a_skill_may_be_asked_with_a_word_of_the_answer() -> None:
    """Who says "stop" means it, though the answer held the word as well."""

    async def story(house: House) -> None:
        await interrupted(house, "stop")
        await house.voice_loop.idle(2)
        assert house.reports[-1].handled_by == "stop"

    simulate(
        story,
        words=[QUESTION, "stop"],
        reply=lambda _: "You may always say stop to stop me now, or at any other time.",
        settings=SETTINGS,
        intents=INTENTS,
    )


REST = "and how many people live there"


def test_who_goes_on_before_a_second_was_heard_was_not_finished() -> None:
    async def story(house: House) -> None:
        await interrupted(house, REST, after_s=0.3)
        await house.voice_loop.idle(2)
        (report,) = house.reports
        assert report.goes_on
        assert report.transcript == f"{QUESTION} {REST}"
        assert [attempt.transcript for attempt in report.discarded] == [QUESTION]
        assert report.heard == REPLY
        # The answer that came too early is not part of the conversation.
        await house.answered(OTHER)
        said = [message.content.strip() for message in house.llm.prompts[-1] if message.role != "system"]
        assert said == [f"{QUESTION} {REST}", REPLY, OTHER]

    simulate(story, words=[QUESTION, REST, OTHER], reply=reply, settings=SETTINGS)


def test_who_goes_on_with_a_pause_was_not_finished_either() -> None:
    async def story(house: House) -> None:
        await interrupted(house, REST, after_s=0.3, duration_ms=700)
        house.pause(350)
        house.say(OTHER, 900)
        await house.voice_loop.idle(2)
        (report,) = house.reports
        assert report.transcript.startswith(QUESTION)
        assert OTHER in report.transcript

    simulate(story, words=[QUESTION, REST, OTHER], reply=reply, settings=SETTINGS)


def test_noise_in_the_first_second_only_holds_the_answer_up() -> None:
    async def story(house: House) -> None:
        await interrupted(house, NOISE, after_s=0.3)
        await house.until(State.SPEAKING)
        await house.voice_loop.idle(2)
        answer = house.reports[-1]
        assert (answer.resumed, answer.heard, answer.transcript) == (1, answer.reply, QUESTION)

    simulate(story, words=[QUESTION, NOISE], reply=reply, settings=SETTINGS)


@pytest.mark.parametrize(("after_s", "goes_on"), [(0.6, True), (1.6, False)])
def test_who_was_not_understood_in_the_first_second_may_still_go_on(after_s: float, goes_on: bool) -> None:
    async def story(house: House) -> None:
        await interrupted(house, NOISE, after_s=0.6)
        await house.until(State.SPEAKING)
        await asyncio.sleep(after_s)
        house.say(REST, 1200)
        await house.voice_loop.idle(2)
        assert house.reports[-1].transcript == (f"{QUESTION} {REST}" if goes_on else REST)

    simulate(story, words=[QUESTION, NOISE, REST], reply=reply, settings=SETTINGS)


def test_a_command_in_the_first_second_is_one() -> None:
    async def story(house: House) -> None:
        await interrupted(house, "Stop.", after_s=0.3, duration_ms=600)
        await house.voice_loop.idle(2)
        assert [report.handled_by for report in house.reports] == ["llm", "stop"]
        assert not house.reports[1].goes_on

    simulate(story, words=[QUESTION, "Stop."], reply=reply, settings=SETTINGS, intents=INTENTS)


def test_what_a_skill_has_done_is_not_taken_back() -> None:
    async def story(house: House) -> None:
        house.say(TIMER)
        await house.until(State.SPEAKING)
        await asyncio.sleep(0.2)
        house.say(OTHER, 1200)
        await house.voice_loop.idle(2)
        assert [report.handled_by for report in house.reports] == ["set_timer", "llm"]
        assert house.reports[1].transcript == OTHER
        assert len(house.timers.all()) == 1

    simulate(story, words=[TIMER, OTHER], reply=reply, settings=SETTINGS, intents=INTENTS)


def test_later_than_that_it_is_a_new_question() -> None:
    async def story(house: House) -> None:
        await interrupted(house, REST, after_s=1.5)
        await house.voice_loop.idle(2)
        assert [report.transcript for report in house.reports] == [QUESTION, REST]

    simulate(story, words=[QUESTION, REST], reply=reply, settings=SETTINGS)
