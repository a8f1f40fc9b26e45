"""Timers ring through the whole loop, in virtual time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from assistant.core.errors import EngineFailed
from assistant.core.events import Event, Muted, Stopped, Unmuted
from assistant.core.state import State
from assistant.runtime.paths import shipped_folder
from assistant.skills import Stop
from tests.simulation import House, simulate

INTENTS = [shipped_folder("config") / "intents" / "en.yaml"]
SET, STOP, QUESTION = "Set a timer for 5 minutes.", "Stop.", "What is the capital of France?"
WORDS = [SET, STOP, QUESTION]
RING = "Your five minute timer is done."


def test_a_timer_set_by_voice_rings_until_it_is_stopped_by_voice() -> None:
    async def story(house: House) -> None:
        began = asyncio.get_running_loop().time()
        report = await house.answered(SET)
        assert report.handled_by == "set_timer"
        await house.until(State.SPEAKING, within_s=310)
        assert 295 < asyncio.get_running_loop().time() - began < 310
        await house.until(State.SLEEPING)
        assert house.speaker.written[-1] == RING
        await house.answered(STOP)
        rings = house.speaker.written.count(RING)
        await asyncio.sleep(60)
        assert house.speaker.written.count(RING) == rings
        assert house.timers.all() == []

    simulate(story, words=WORDS, intents=INTENTS)


def test_ringing_ends_by_itself() -> None:
    async def story(house: House) -> None:
        house.timers.count_down("timer", timedelta(minutes=5))
        await asyncio.sleep(300 + 130)
        rings = house.speaker.written.count(RING)
        assert 5 < rings < 16
        await asyncio.sleep(100)
        assert house.speaker.written.count(RING) == rings
        assert house.timers.all() == []

    simulate(story, settings={"conversation": {"ring_limit_s": 120}})


@pytest.mark.parametrize(
    ("before", "button", "after"), [(Muted, Unmuted, "speaking"), (None, Muted, "muted")]
)
def test_the_mute_button_does_not_cut_what_rings(
    before: type[Event] | None, button: type[Event], after: str
) -> None:
    async def story(house: House) -> None:
        if before:
            house.voice_loop.post(before())
        house.timers.count_down("timer", timedelta(minutes=5))
        await asyncio.sleep(302)
        assert house.speaker.written == [RING]
        house.voice_loop.post(button())
        await asyncio.sleep(0.1)
        assert house.voice_loop.state is State(after)
        assert house.microphone.is_open is (button is Unmuted)
        await asyncio.sleep(5)
        assert [report.interrupted for report in house.reports] == [False]
        assert house.speaker.written == [RING]
        assert house.voice_loop.state is (State.SLEEPING if button is Unmuted else State.MUTED)

    simulate(story, settings={"audio": {"earcons": {"enabled": False}}})


def test_a_timer_does_not_break_into_an_answer_and_is_not_lost() -> None:
    async def story(house: House) -> None:
        house.timers.count_down("timer", timedelta(seconds=4))
        house.say(QUESTION)
        await house.until(State.SPEAKING)
        await house.until(State.SLEEPING)
        assert RING not in " ".join(house.speaker.written)
        await asyncio.sleep(12)
        assert "Your four second timer is done." in house.speaker.written

    simulate(story, words=WORDS, reply=lambda _: "one two three four five six seven eight nine ten " * 3)


def test_nothing_said_before_the_end_of_a_turn_has_an_effect() -> None:
    """A skill understood during a pause must not act when the person goes on."""

    async def story(house: House) -> None:
        house.say(SET, 800)
        house.pause(260)
        house.say(QUESTION, 800)
        await asyncio.sleep(3)
        await house.voice_loop.idle(2)
        assert house.timers.all() == []
        assert house.reports[-1].handled_by == "llm"

    simulate(story, words=WORDS, intents=INTENTS)


def test_stop_does_not_silence_what_was_not_heard_yet() -> None:
    """The second timer is due while "stop" is being answered."""

    async def story(house: House) -> None:
        house.timers.count_down("timer", timedelta(minutes=5))
        await house.until(State.SPEAKING, within_s=310)
        await house.until(State.SLEEPING)
        house.say(STOP)
        await house.until(State.LISTENING)
        house.timers.count_down("timer", timedelta(seconds=0.2), "pasta")
        await asyncio.sleep(12)
        assert [timer.name for timer in house.timers.all()] == ["pasta"]
        assert "pasta" in house.speaker.written[-1]

    simulate(story, words=WORDS, intents=INTENTS)


def test_a_defect_in_one_look_does_not_end_the_watch(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks = []

    def broken(*_: object) -> str:
        looks.append(1)
        raise ZeroDivisionError

    async def story(house: House) -> None:
        house.timers.count_down("timer", timedelta(seconds=2))
        with monkeypatch.context() as context:
            context.setattr("assistant.dialog.ringer.announcement", broken)
            await asyncio.sleep(5)
        assert len(looks) > 1
        await asyncio.sleep(5)
        assert "Your two second timer is done." in house.speaker.written

    simulate(story)
    assert "timers=unannounced" in caplog.text


def test_a_ring_that_the_speaker_failed_to_sound_does_not_count_towards_the_limit() -> None:
    """Otherwise a timer that was due while the speaker was pulled would be over before anybody heard it."""

    async def story(house: House) -> None:
        house.timers.count_down("timer", timedelta(seconds=5), "pasta")
        house.speaker.broken = True
        await asyncio.sleep(60)
        assert not house.speaker.written
        house.speaker.broken = False
        await asyncio.sleep(20)
        assert "Your pasta timer is done." in house.speaker.written

    simulate(story, settings={"conversation": {"ring_limit_s": 20}})


def test_stop_in_the_moment_before_it_rings_does_not_silence_it() -> None:
    """Nothing of it was heard yet, so something else was meant."""

    async def story(house: House) -> None:
        house.timers.count_down("timer", timedelta(seconds=5), "pasta")
        await house.until(State.SPEAKING)
        assert RING not in house.speaker.written
        house.voice_loop.carry_out(Stop())
        house.voice_loop.post(Stopped())
        await asyncio.sleep(12)
        assert "Your pasta timer is done." in house.speaker.written

    simulate(story)


def test_what_the_voice_cannot_say_is_given_up_at_last() -> None:
    async def story(house: House) -> None:
        def broken() -> None:
            raise EngineFailed("It broke.", "Try again.")

        house.faults.tts = broken
        house.timers.count_down("timer", timedelta(seconds=5), "pasta")
        await asyncio.sleep(190)
        assert house.timers.all(), "it is tried for longer than it would ring"
        await asyncio.sleep(302)
        assert not house.timers.all()

    simulate(story, settings={"conversation": {"ring_limit_s": 20}})


def test_what_rings_together_is_said_sentence_by_sentence() -> None:
    async def story(house: House) -> None:
        house.timers.count_down("timer", timedelta(minutes=5), "pasta")
        house.timers.count_down("timer", timedelta(minutes=5), "tea")
        await house.until(State.SPEAKING, within_s=310)
        began_s = asyncio.get_running_loop().time()
        while not house.speaker.written:  # noqa: ASYNC110 - watches from outside
            await asyncio.sleep(0.01)
        both = ["Your pasta timer is done.", "Your tea timer is done."]
        assert house.speaker.written == both[:1]
        assert asyncio.get_running_loop().time() - began_s < 0.2
        await house.until(State.SLEEPING)
        assert house.speaker.written == both

    simulate(story)


def test_stop_silences_only_what_was_named_until_then() -> None:
    async def story(house: House) -> None:
        house.timers.count_down("timer", timedelta(minutes=5), "pasta")
        house.timers.count_down("timer", timedelta(minutes=5), "tea")
        await house.until(State.SPEAKING, within_s=310)
        await asyncio.sleep(0.6)
        house.voice_loop.carry_out(Stop())
        house.voice_loop.post(Stopped())
        assert [timer.name for timer in house.timers.all()] == ["tea"]
        house.speaker.written.clear()
        await asyncio.sleep(20)
        assert "Your tea timer is done." in house.speaker.written
        assert "Your pasta timer is done." not in house.speaker.written

    simulate(story)
