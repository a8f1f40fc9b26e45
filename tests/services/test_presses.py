"""A button's press is an order."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from assistant.core.state import State
from tests.services.test_control_api import LONG, Desk, at_the_desk


def test_a_press_listens_and_another_one_ends_what_is_going_on() -> None:
    async def story(desk: Desk) -> None:
        desk.orders.press()
        await desk.house.until(State.LISTENING)
        desk.orders.press()
        await desk.house.until(State.SLEEPING)
        await desk("say", text=LONG)
        desk.orders.press()
        await desk.house.until(State.SLEEPING)

    at_the_desk(story)


def test_a_press_ends_ringing_also_between_two_rings() -> None:
    async def story(desk: Desk) -> None:
        desk.house.timers.count_down("timer", timedelta(minutes=5))
        await asyncio.sleep(306)
        assert desk.house.voice_loop.state is State.LISTENING
        desk.orders.press()
        await asyncio.sleep(60)
        assert desk.house.timers.all() == []
        desk.orders.press()
        await desk.house.until(State.LISTENING)

    at_the_desk(story)
