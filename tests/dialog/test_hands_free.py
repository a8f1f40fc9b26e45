"""The loop with a wake word, in virtual time: what wakes it, what it then hears, when it gives up."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from assistant.core import events as e
from assistant.core.state import State
from assistant.core.types import SAMPLE_RATE_HZ, SpokenAudio
from assistant.runtime.paths import shipped_folder
from tests.dialog.test_loop import failing
from tests.simulation import House, simulate

QUESTION = "What is the capital of France?"
WORDS = [QUESTION, "Stop it.", ""]
INTENTS = [shipped_folder("config") / "intents" / "en.yaml"]
FOLLOW_UP = {"conversation": {"follow_up_ms": 4000}}


def test_the_wake_word_then_a_question_is_answered() -> None:
    async def story(house: House) -> None:
        house.wake_up()
        await house.until(State.LISTENING, within_s=0.6)
        await asyncio.sleep(1.5)
        report = await house.answered(QUESTION)
        assert report.transcript == QUESTION
        assert house.speaker.written == ["(wake)", "It is Paris.", "A lovely town."]
        assert house.voice_loop.state is State.SLEEPING

    simulate(story, hands_free=True)


def test_a_question_in_one_breath_is_whole_and_without_the_wake_word() -> None:
    async def story(house: House) -> None:
        house.wake_up()
        house.say(QUESTION, 1200)
        await asyncio.sleep(3)
        await house.voice_loop.idle(2)
        assert [report.transcript for report in house.reports] == [QUESTION]
        heard_ms = house.stt.heard[-1] * 1000 // SAMPLE_RATE_HZ
        # The question, up to 100 ms of the word before it, and the pause after it.
        assert 1200 <= heard_ms - 160 <= 1200 + 120
        assert "(wake)" not in house.speaker.written

    simulate(story, hands_free=True)


@pytest.mark.parametrize("gap_ms", [0, 60, 200, 400, 500, 600, 700, 1000])
def test_whenever_the_question_begins_all_of_it_is_heard(gap_ms: int) -> None:
    """Whether or not the chime sounds, and also when both begin together."""

    async def story(house: House) -> None:
        house.wake_up()
        house.pause(gap_ms)
        house.say(QUESTION, 800)
        await asyncio.sleep(3)
        await house.voice_loop.idle(2)
        assert [report.transcript for report in house.reports] == [QUESTION]
        assert house.stt.heard[-1] >= SAMPLE_RATE_HZ * 0.8

    simulate(story, hands_free=True)


def test_the_end_of_the_wake_word_is_no_question() -> None:
    async def story(house: House) -> None:
        house.wake_up()
        await house.until(State.LISTENING)
        await house.until(State.SLEEPING)
        assert house.stt.heard == []
        assert house.reports == []

    simulate(story, hands_free=True)


def test_without_words_it_goes_back_to_sleep_in_its_time() -> None:
    async def story(house: House) -> None:
        house.wake_up()
        await house.until(State.LISTENING)
        began_s = asyncio.get_running_loop().time()
        await house.until(State.SLEEPING)
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(4, abs=0.1)
        await asyncio.sleep(1)
        assert house.speaker.written == ["(wake)", "(done)"]

    simulate(story, hands_free=True, settings={"endpoint": {"listen_timeout_ms": 4000}})


def test_speech_without_the_wake_word_is_never_transcribed() -> None:
    async def story(house: House) -> None:
        for _ in range(20):
            house.say(QUESTION)
            await asyncio.sleep(2)
            assert house.voice_loop.state is State.SLEEPING
        assert house.stt.heard == []
        assert house.speaker.written == []

    simulate(story, hands_free=True)


def test_in_silence_the_network_rests() -> None:
    async def story(house: House) -> None:
        assert house.wake is not None
        taken = house.wake.taken
        await asyncio.sleep(60)
        assert house.wake.taken == taken

    simulate(story, hands_free=True)


def test_noise_after_the_wake_word_does_not_use_up_the_time_to_speak() -> None:
    async def story(house: House) -> None:
        house.wake_up()
        house.pause(1000)
        house.say("", 300)
        await asyncio.sleep(3.5)
        assert house.voice_loop.state is State.LISTENING
        report = await house.answered(QUESTION)
        assert report.transcript == QUESTION
        assert [report.refused for report in house.reports] == ["no_words", None]

    simulate(story, words=WORDS, hands_free=True)


def test_a_click_after_the_wake_word_does_not_use_up_the_time_to_speak() -> None:
    async def story(house: House) -> None:
        house.wake_up()
        house.pause(1000)
        house.say(QUESTION, 120)
        await asyncio.sleep(3)
        assert (await house.answered(QUESTION)).transcript == QUESTION

    simulate(story, hands_free=True)


def test_noise_does_not_keep_it_awake_for_ever() -> None:
    async def story(house: House) -> None:
        house.wake_up()
        await house.until(State.LISTENING)
        for _ in range(12):
            house.say("", 300)
            await asyncio.sleep(1)
        assert house.voice_loop.state is State.SLEEPING
        assert house.speaker.written[-1] == "(done)"

    simulate(story, words=WORDS, hands_free=True)


def test_the_wake_word_interrupts_an_answer() -> None:
    async def story(house: House) -> None:
        house.wake_up()
        house.say(QUESTION)
        await house.until(State.SPEAKING)
        await asyncio.sleep(1)
        house.wake_up()
        await house.until(State.INTERRUPTED, within_s=0.6)
        house.say("Stop it.")
        await house.until(State.THINKING)
        await house.voice_loop.idle(2)
        assert [report.interrupted for report in house.reports] == [True, False]
        assert house.reports[1].transcript == "Stop it."

    simulate(
        story, words=WORDS, hands_free=True, reply=lambda _: "one two three four five six seven eight. " * 4
    )


@pytest.mark.parametrize("interruption", ["off", "wake_word"])
def test_other_speech_does_not_interrupt_an_answer(interruption: str) -> None:
    async def story(house: House) -> None:
        house.wake_up()
        house.say(QUESTION)
        await house.until(State.SPEAKING)
        house.say("Stop it.")
        await house.until(State.SLEEPING)
        assert [report.interrupted for report in house.reports] == [False]
        assert len(house.stt.heard) == 1

    settings = {"conversation": {"interruption": interruption}}
    simulate(story, words=WORDS, hands_free=True, settings=settings)


def test_not_even_the_wake_word_interrupts_where_that_is_off() -> None:
    async def story(house: House) -> None:
        house.wake_up()
        house.say(QUESTION)
        await house.until(State.SPEAKING)
        house.wake_up()
        await asyncio.sleep(0.6)
        assert house.voice_loop.state is State.SPEAKING

    simulate(story, hands_free=True, settings={"conversation": {"interruption": "off"}})


def test_a_follow_up_needs_no_wake_word_and_afterwards_one_is_needed_again() -> None:
    async def story(house: House) -> None:
        house.wake_up()
        house.say(QUESTION)
        await house.until(State.SPEAKING)
        await house.until(State.LISTENING)
        house.say(QUESTION)
        await house.until(State.SPEAKING)
        await house.until(State.SLEEPING)
        assert len(house.reports) == 2
        house.say(QUESTION)
        await asyncio.sleep(4)
        assert len(house.reports) == 2

    simulate(story, hands_free=True, settings=FOLLOW_UP)


def test_after_stop_nothing_is_listened_for() -> None:
    async def story(house: House) -> None:
        house.wake_up()
        house.say("Stop.")
        await house.until(State.LISTENING)
        await house.until(State.SLEEPING, within_s=3)
        assert house.reports[-1].handled_by == "stop"

    simulate(story, words=["Stop."], intents=INTENTS, hands_free=True, settings=FOLLOW_UP)


def test_a_button_wakes_it_too() -> None:
    async def story(house: House) -> None:
        house.voice_loop.post(e.Woken(by="button"))
        await house.until(State.LISTENING)
        await asyncio.sleep(1)
        assert (await house.answered(QUESTION)).transcript == QUESTION

    simulate(story, hands_free=True)


def test_what_was_said_before_the_button_is_not_heard() -> None:
    async def story(house: House) -> None:
        house.say("Stop it.", 1000)
        await asyncio.sleep(1)
        house.voice_loop.post(e.Woken(by="button"))
        await asyncio.sleep(0.1)
        assert (await house.answered(QUESTION)).transcript == QUESTION

    simulate(story, words=WORDS, hands_free=True)


def test_muted_is_sounded_and_afterwards_the_word_wakes_it_again() -> None:
    async def story(house: House) -> None:
        house.voice_loop.post(e.Muted())
        await house.until(State.MUTED)
        assert house.speaker.written == ["(muted)"]
        assert not house.microphone.is_open
        house.voice_loop.post(e.Unmuted())
        await house.until(State.SLEEPING)
        house.wake_up()
        await house.until(State.LISTENING)

    simulate(story, hands_free=True)


def test_a_failure_that_cannot_be_said_is_sounded() -> None:
    async def story(house: House) -> None:
        house.faults.tts = failing(5)
        house.wake_up()
        house.say(QUESTION)
        await asyncio.sleep(3)
        await house.voice_loop.idle(2)
        assert house.reports[-1].error
        assert house.speaker.written == ["(error)"]

    simulate(story, hands_free=True)


def test_a_command_carried_out_in_silence_is_confirmed_by_a_sound() -> None:
    async def story(house: House) -> None:
        house.wake_up()
        house.say("Stop.")
        await asyncio.sleep(3)
        await house.voice_loop.idle(2)
        assert house.reports[-1].handled_by == "stop"
        assert house.speaker.written == ["(done)"]

    simulate(story, words=["Stop."], intents=INTENTS, hands_free=True)


def test_chimes_are_neither_answered_nor_transcribed_where_the_microphone_hears_them() -> None:
    async def story(house: House) -> None:
        write = house.speaker.write

        def sound_in_the_room(audio: SpokenAudio) -> None:
            write(audio)
            house.microphone.say(np.concatenate([audio.pcm, audio.pcm]))  # and its echo

        house.speaker.write = sound_in_the_room  # type: ignore[method-assign]
        for _ in range(10):
            house.wake_up()
            await house.until(State.LISTENING)
            await house.until(State.SLEEPING)
            await asyncio.sleep(1)
        assert house.speaker.written == ["(wake)", "(done)"] * 10
        assert house.stt.heard == []

    simulate(story, hands_free=True)


def test_a_pulled_microphone_is_found_again_and_the_word_still_wakes_it() -> None:
    async def story(house: House) -> None:
        house.wake_up()
        await house.until(State.LISTENING)
        house.microphone.broken = True
        await house.until(State.FAULTED)
        house.microphone.broken = False
        await house.until(State.SLEEPING)
        house.wake_up()
        house.say(QUESTION)
        await house.until(State.SPEAKING)

    simulate(story, hands_free=True)


def test_a_thousand_turns_in_one_breath() -> None:
    async def story(house: House) -> None:
        gaps = np.random.default_rng(1).integers(0, 60, 1000) * 20
        for gap_ms in gaps:
            house.wake_up()
            house.pause(int(gap_ms))
            house.say(QUESTION, 600)
            await asyncio.sleep(1.2 + gap_ms / 1000)
            await house.voice_loop.idle(0.3)
        assert [report.transcript for report in house.reports] == [QUESTION] * 1000

    simulate(story, hands_free=True, reply=lambda _: "Yes.")
