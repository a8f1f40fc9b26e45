"""Orders to the whole appliance, in virtual time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from assistant.core import events as e
from assistant.core.errors import EngineFailed, OrderInvalid, OrderRefused
from assistant.core.state import State
from assistant.runtime.paths import shipped_folder
from assistant.services.control.api import ControlApi
from assistant.settings.schema import Settings
from tests.dialog.test_loop import failing
from tests.simulation import House, simulate

QUESTION = "What is the capital of France?"
WORDS = [QUESTION, "Set a timer for 5 minutes."]
INTENTS = [shipped_folder("config") / "intents" / "en.yaml"]
LONG = "one two three four five six seven eight nine ten. " * 8


class Desk:
    """A house and who takes orders in it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.orders = ControlApi(Settings())
        house.observers.append(self.orders.on_change)
        self.orders.on_change(e.Ready(), house.voice_loop.state)
        self.orders.attach(house.voice_loop, self._reload, lambda: bool(house.timers.due()))
        self.reloads = 0

    async def __call__(self, order: str, **more: object) -> Any:
        return await self.orders.obey({"order": order, **more})

    async def _reload(self) -> dict[str, object]:
        self.reloads += 1
        return {"changed": [], "after_restart": []}


def at_the_desk(story: Callable[[Desk], Awaitable[None]], *, hands_free: bool = True, **more: Any) -> None:
    async def with_desk(house: House) -> None:
        await story(Desk(house))

    simulate(with_desk, words=WORDS, intents=INTENTS, hands_free=hands_free, **more)


def test_mute_and_unmute_may_be_ordered_again_and_again() -> None:
    async def story(desk: Desk) -> None:
        for _ in range(2):
            assert await desk("mute") == {"state": "muted"}
            assert not desk.house.microphone.is_open
        for _ in range(2):
            assert (await desk("unmute"))["state"] == "sleeping"
        await asyncio.sleep(1)
        assert desk.house.microphone.is_open

    at_the_desk(story)


def test_one_signal_does_both() -> None:
    async def story(desk: Desk) -> None:
        desk.orders.toggle_mute()
        await desk.house.until(State.MUTED)
        desk.orders.toggle_mute()
        await desk.house.until(State.SLEEPING)

    at_the_desk(story)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_muted_while_it_still_loads_the_microphone_is_never_opened(times: int) -> None:
    async def story(house: House) -> None:
        orders = ControlApi(Settings())
        with pytest.raises(OrderRefused, match="starting"):
            await orders.obey({"order": "say", "text": "Hello."})
        for _ in range(times):
            orders.toggle_mute()
        assert (await orders.obey({"order": "status"}))["state"] == "starting"
        posted: list[e.Event] = []
        house.voice_loop.post = posted.append  # type: ignore[method-assign,assignment]
        orders.attach(house.voice_loop, lambda: asyncio.sleep(0, {}), lambda: False)
        assert posted == ([e.Muted()] if times % 2 else [])

    simulate(story)


def test_say_is_heard_and_waits_for_whoever_speaks() -> None:
    async def story(desk: Desk) -> None:
        await desk("say", text="Dinner is\nready.")
        await desk.house.until(State.SLEEPING)
        assert desk.house.speaker.written == ["Dinner is ready."]
        await desk("listen")
        desk.house.say(QUESTION)
        saying = asyncio.ensure_future(desk("say", text="Tea is ready."))
        await asyncio.sleep(0.2)
        assert not saying.done()
        await saying
        await desk.house.until(State.SLEEPING)
        assert desk.house.speaker.written[-3:] == ["It is Paris.", "A lovely town.", "Tea is ready."]

    at_the_desk(story)


def test_say_is_heard_when_muted_and_it_stays_muted() -> None:
    async def story(desk: Desk) -> None:
        await desk("mute")
        await desk("say", text="Dinner is ready.")
        await asyncio.sleep(10)
        assert desk.house.speaker.written[-1] == "Dinner is ready."
        assert (await desk("status"))["state"] == "muted"
        assert not desk.house.microphone.is_open
        await desk("unmute")
        await desk("say", text="Tea is ready.")
        await desk.house.until(State.SLEEPING)
        assert desk.house.speaker.written[-1] == "Tea is ready."

    at_the_desk(story)


@pytest.mark.parametrize("text", ["", "  ", "...", 5, None, "x" * 2001, "\x00\x01"])
def test_say_wants_words(text: object) -> None:
    async def story(desk: Desk) -> None:
        with pytest.raises(OrderInvalid):
            await desk("say", text=text)

    at_the_desk(story)


def test_stop_ends_an_answer_without_a_wake_word() -> None:
    async def story(desk: Desk) -> None:
        await desk("listen")
        desk.house.say(QUESTION)
        await desk.house.until(State.SPEAKING)
        assert await desk("stop") == {"state": "sleeping"}
        assert desk.house.reports[-1].interrupted
        assert await desk("stop") == {"state": "sleeping"}

    at_the_desk(story, reply=lambda _: LONG)


@pytest.mark.parametrize("muted", [False, True])
def test_stop_ends_ringing_for_good_also_between_two_rings_and_when_muted(muted: bool) -> None:
    async def story(desk: Desk) -> None:
        if muted:
            await desk("mute")
        desk.house.timers.count_down("timer", timedelta(minutes=5))
        await asyncio.sleep(306)
        rung = desk.house.speaker.written.count("Your five minute timer is done.")
        assert rung == 1
        await desk("stop")
        await asyncio.sleep(60)
        assert desk.house.speaker.written.count("Your five minute timer is done.") == rung
        assert desk.house.timers.all() == []

    at_the_desk(story)


def test_stop_silences_an_announcement_when_muted() -> None:
    async def story(desk: Desk) -> None:
        await desk("mute")
        await desk("say", text=LONG)
        await asyncio.sleep(1)
        heard_s = desk.house.speaker.heard_s
        await desk("stop")
        await asyncio.sleep(10)
        assert desk.house.speaker.heard_s - heard_s < 0.2

    at_the_desk(story)


def test_listen_is_the_wake_word_and_interrupts_an_answer() -> None:
    async def story(desk: Desk) -> None:
        assert await desk("listen") == {"state": "listening"}
        assert await desk("listen") == {"state": "listening"}
        report = await desk.house.answered(QUESTION)
        assert report.handled_by == "llm"
        await desk("say", text=LONG)
        assert await desk("listen") == {"state": "listening"}
        await asyncio.sleep(10)
        assert desk.house.voice_loop.state is State.SLEEPING

    at_the_desk(story)


def test_listen_is_refused_when_muted_or_deaf() -> None:
    async def story(desk: Desk) -> None:
        await desk("mute")
        with pytest.raises(OrderRefused, match="muted"):
            await desk("listen")
        await desk("unmute")
        await asyncio.sleep(1)
        desk.house.microphone.broken = True
        await desk.house.until(State.FAULTED)
        with pytest.raises(OrderRefused, match="no microphone"):
            await desk("listen")

    at_the_desk(story)


def test_ask_is_answered_by_the_model_and_remembered() -> None:
    async def story(desk: Desk) -> None:
        assert await desk("ask", text=QUESTION) == {
            "reply": "It is Paris. A lovely town.",
            "handled_by": "llm",
        }
        assert desk.house.speaker.written == []
        said = [message.content for message in desk.house.conversation.messages_for("Why?")]
        assert QUESTION in said

    at_the_desk(story)


def test_ask_is_answered_by_a_skill_that_acts() -> None:
    async def story(desk: Desk) -> None:
        answer = await desk("ask", text="Set a timer for 5 minutes", speak=True)
        assert answer["handled_by"] == "set_timer"
        assert len(desk.house.timers.all()) == 1
        await desk.house.until(State.SLEEPING)
        assert " ".join(desk.house.speaker.written) == answer["reply"]
        await desk("ask", text="mute")
        await desk.house.until(State.MUTED)

    at_the_desk(story)


def test_ask_repeats_what_was_said_last() -> None:
    async def story(desk: Desk) -> None:
        house = desk.house
        await desk("listen")
        report = await house.answered(QUESTION)
        desk.orders.on_report(report)
        assert (await desk("ask", text="repeat that"))["reply"] == report.heard

    at_the_desk(story)


def test_who_speaks_goes_first() -> None:
    async def story(desk: Desk) -> None:
        asking = asyncio.ensure_future(desk("ask", text=QUESTION))
        await asyncio.sleep(0.01)
        await desk("listen")
        with pytest.raises(OrderRefused, match="speak"):
            await asking
        report = await desk.house.answered(QUESTION)
        assert report.error is None

    at_the_desk(story, reply=lambda _: LONG * 20)


def test_what_is_being_done_is_done_once_though_somebody_begins_to_speak() -> None:
    async def story(desk: Desk) -> None:
        loop, timers = asyncio.get_running_loop(), desk.house.timers
        begun, go_on, count_down = asyncio.Event(), threading.Event(), timers.count_down

        def slowly(*given: Any, **more: Any) -> Any:
            loop.call_soon_threadsafe(begun.set)
            go_on.wait(10)
            return count_down(*given, **more)

        timers.count_down = slowly  # type: ignore[method-assign]
        asking = asyncio.ensure_future(desk("ask", text="Set a timer for 5 minutes"))
        await begun.wait()
        await desk("listen")
        go_on.set()
        assert (await asking)["handled_by"] == "set_timer"
        assert len(timers.all()) == 1

    at_the_desk(story)


def test_a_model_that_fails_is_an_answer_too() -> None:
    async def story(desk: Desk) -> None:
        desk.house.faults.llm = failing()
        with pytest.raises(EngineFailed):
            await desk("ask", text=QUESTION)
        assert (await desk("ask", text=QUESTION))["handled_by"] == "llm"

    at_the_desk(story)


def test_status_tells_turns_and_the_last_fault() -> None:
    async def story(desk: Desk) -> None:
        status = await desk("status")
        assert (status["state"], status["turns"], status["last_fault"]) == ("sleeping", 0, None)
        assert set(status["models"]) == {"stt", "llm", "tts"}
        assert status["gives_up"] == {}
        desk.house.microphone.broken = True
        await desk.house.until(State.FAULTED)
        desk.house.microphone.broken = False
        await desk.house.until(State.SLEEPING)
        await asyncio.sleep(100)
        status = await desk("status")
        assert status["last_fault"]["code"] == "audio-lost"
        assert 99 < status["last_fault"]["ago_s"] <= status["uptime_s"] < 110

    at_the_desk(story)


def test_an_unknown_order_names_the_known_ones() -> None:
    async def story(desk: Desk) -> None:
        with pytest.raises(OrderInvalid) as caught:
            await desk("dance")
        assert "listen" in caught.value.next_step
        await desk("reload")
        assert desk.reloads == 1

    at_the_desk(story)


def test_a_stuck_loop_is_told_and_not_waited_for() -> None:
    async def story(desk: Desk) -> None:
        async def hang(_: object) -> None:
            await asyncio.Event().wait()

        desk.house.voice_loop._handle = hang  # type: ignore[method-assign,assignment]
        for order in ("stop", "mute"):
            with pytest.raises(OrderRefused):
                await desk(order)

    at_the_desk(story)
