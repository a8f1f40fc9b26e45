"""What once left the appliance deaf, silent or wrong about its own answer, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from assistant.audio import Kind
from assistant.core import events as e
from assistant.core.errors import DeviceUnavailable, EngineFailed, StateUnavailable
from assistant.core.state import State
from assistant.engines.scripted import clip
from assistant.runtime import clock
from assistant.runtime.paths import shipped_folder
from tests.simulation import House, simulate

QUESTION = "What is the capital of France?"
INTENTS = [shipped_folder("config") / "intents" / "en.yaml"]


def failing_at(call: int) -> Callable[[], None]:
    """A fault that happens at this call only, the first being 1."""
    calls = 0

    def fault() -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise EngineFailed("It broke.", "Try again.")

    return fault


def test_speech_that_never_ends_does_not_begin_a_turn_at_every_frame() -> None:
    """A television: each utterance that became too long is over, and sound after it is another one."""

    async def story(house: House) -> None:
        house.say(QUESTION, 10_000)
        await asyncio.sleep(12)
        assert len(house.stt.heard) < 10
        assert max(house.stt.heard) <= 16 * 3_000
        await house.voice_loop.idle(2)
        assert house.voice_loop.state is State.SLEEPING

    simulate(
        story, settings={"endpoint": {"max_utterance_ms": 3_000}, "conversation": {"interruption": "off"}}
    )


def test_what_was_said_before_a_fault_is_heard_out_and_remembered() -> None:
    async def story(house: House) -> None:
        house.faults.tts = failing_at(2)
        house.say(QUESTION)
        await house.until(State.SPEAKING)
        began_s = asyncio.get_running_loop().time()
        await house.until(State.SLEEPING)
        assert asyncio.get_running_loop().time() - began_s > 0.9 * house.speaker.heard_s
        await house.voice_loop.idle(2)
        (report,) = house.reports
        assert report.error == "engine-failed"
        assert report.heard == "One two three four five six seven eight nine ten."

    simulate(story, reply=lambda _: "One two three four five six seven eight nine ten. Eleven. Twelve.")


def test_a_recogniser_that_hangs_is_given_up() -> None:
    async def story(house: House) -> None:
        loop = asyncio.get_running_loop()

        def hang() -> None:
            house.faults.stt = lambda: None
            clock.occupy(loop, 100)

        house.faults.stt = hang
        report = await house.answered(QUESTION)
        assert report.error == "engine-timeout"
        assert house.speaker.written == ["Sorry, something went wrong."]

    simulate(story)


def test_a_voice_that_fails_before_the_person_has_finished_waits_with_giving_up() -> None:
    async def story(house: House) -> None:
        def broken() -> None:
            raise EngineFailed("It broke.", "Try again.")

        house.faults.tts = broken
        house.say("Set the table", 800)
        house.pause(550)
        house.say(QUESTION, 800)
        await asyncio.sleep(1.3)
        assert house.voice_loop.state is State.LISTENING
        await house.voice_loop.idle(2)
        assert [report.transcript for report in house.reports] == [QUESTION]

    simulate(story, words=["Set the table", QUESTION])


def test_speech_of_which_the_rest_was_forgotten_wakes_nobody() -> None:
    """Otherwise it would listen for ever, and no timer could ring."""

    async def story(house: House) -> None:
        house.voice_loop.post(e.SpeechStarted())
        await asyncio.sleep(1)
        assert house.voice_loop.state is State.SLEEPING

    simulate(story)


def test_a_refusal_that_comes_too_late_is_no_reason_to_forget_who_goes_on() -> None:
    async def story(house: House) -> None:
        house.say(QUESTION)
        await house.until(State.SPEAKING)
        await house.until(State.LISTENING)
        house.say(QUESTION)
        await asyncio.sleep(0.6)
        house.voice_loop.post(e.ReplyRefused("no_words"))
        await house.voice_loop.idle(1)
        assert len(house.reports) == 2
        assert house.stt.heard[-1] >= house.stt.heard[0]

    simulate(story, settings={"conversation": {"follow_up_ms": 8000}})


def test_sound_devices_that_cannot_be_looked_for_are_looked_for_again() -> None:
    async def story(house: House) -> None:
        failures = 3

        async def rescan(_: Kind) -> None:
            nonlocal failures
            failures -= 1
            if failures >= 0:
                raise DeviceUnavailable("PortAudio does not start.", "Wait.")

        house.voice_loop._rescan_devices = rescan
        house.microphone.broken = True
        await house.until(State.FAULTED)
        house.microphone.broken = False
        await house.until(State.SLEEPING)

    simulate(story)


def test_stop_is_obeyed_where_the_timers_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(house: House) -> None:
        def unreadable() -> None:
            raise StateUnavailable("The disk is gone.", "Put it back.")

        monkeypatch.setattr(house.timers, "due", unreadable)
        await house.answered("Stop.")
        assert (await house.answered(QUESTION)).handled_by == "llm"

    simulate(story, words=["Stop.", QUESTION], intents=INTENTS)


def test_a_lost_device_is_told_once_however_long_it_is_away(caplog: pytest.LogCaptureFixture) -> None:
    async def story(house: House) -> None:
        house.microphone.broken = True
        await house.until(State.FAULTED)
        await asyncio.sleep(600)
        assert house.speaker.written == ["(error)"]
        house.microphone.broken = False
        began_s = asyncio.get_running_loop().time()
        await house.until(State.SLEEPING)
        assert asyncio.get_running_loop().time() - began_s < 5

    with caplog.at_level("INFO"):
        simulate(story, hands_free=True)
    assert [record.levelname for record in caplog.records if "fault=" in record.message] == ["ERROR"]


TIMER = "Set a timer for ten minutes."


def slow_voice(house: House, seconds: float = 2.0) -> None:
    """The answer is made so slowly that there is time to speak, or to cough, before it is heard."""
    loop = asyncio.get_running_loop()
    house.faults.tts = lambda: clock.occupy(loop, seconds)


def test_a_cough_before_the_confirmation_sets_no_second_timer() -> None:
    async def story(house: House) -> None:
        slow_voice(house)
        house.say(TIMER)
        await house.until(State.THINKING)
        await asyncio.sleep(0.5)
        house.microphone.say(clip(5000, 80))
        await house.until(State.SPEAKING)
        await house.voice_loop.idle(2)
        (report,) = house.reports
        assert report.heard == "Ten minutes, starting now."
        assert len(house.timers.all()) == 1

    simulate(story, words=[TIMER], intents=INTENTS)


@pytest.mark.parametrize(("words", "handled_by"), [("Stop.", "stop"), (QUESTION, "llm")])
def test_what_is_said_before_the_confirmation_is_another_turn(words: str, handled_by: str) -> None:
    async def story(house: House) -> None:
        slow_voice(house)
        house.say(TIMER)
        await house.until(State.THINKING)
        await asyncio.sleep(0.5)
        house.say(words)
        await asyncio.sleep(3)
        await house.voice_loop.idle(3)
        assert [report.handled_by for report in house.reports] == ["set_timer", handled_by]
        assert house.reports[-1].transcript == words
        assert len(house.timers.all()) == 1

    simulate(story, words=[TIMER, words], intents=INTENTS)
