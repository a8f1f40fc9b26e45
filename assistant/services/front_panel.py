"""What a finger on the button means, and that the assistant goes without one where there is none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from assistant.core.errors import PanelUnavailable
from assistant.services.control.api import Orders
from assistant.services.gpio import Panel
from assistant.settings.schema import GpioSettings

log = logging.getLogger(__name__)


def front_panel(pins: GpioSettings, orders: Orders) -> Panel:
    """The button and the lamp that the settings name; one without pins where they cannot be had."""
    loop = asyncio.get_running_loop()

    def on_loop(what: Callable[[], None]) -> Callable[[], None]:
        def call() -> None:
            with suppress(RuntimeError):  # pressed while everything ends
                loop.call_soon_threadsafe(what)

        return call

    def made(button: int | None, lamp: int | None) -> Panel:
        return Panel(
            button=button,
            lamp=lamp,
            on_press=on_loop(orders.press),
            on_hold=on_loop(orders.toggle_mute),
        )

    try:
        panel = made(pins.button, pins.lamp)
    except PanelUnavailable as error:
        log.error("panel=none problem=%s", error)
        panel = made(None, None)
    panel.show(orders.state.value)
    return panel
