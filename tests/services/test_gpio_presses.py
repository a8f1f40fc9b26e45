"""What a finger on the button does, with pins that are only imagined."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from assistant.services.control.api import ControlApi
from assistant.services.gpio import front_panel
from assistant.settings.schema import GpioSettings, Settings

gpiozero = pytest.importorskip("gpiozero", reason="needs the extra gpio")
mock = pytest.importorskip("gpiozero.pins.mock")


class Pressed(ControlApi):
    """Notes what it was told, and on which thread's loop."""

    def __init__(self) -> None:
        super().__init__(Settings())
        self.told: asyncio.Queue[str] = asyncio.Queue()

    def press(self) -> None:
        self.told.put_nowait("press")

    def toggle_mute(self) -> None:
        self.told.put_nowait("mute")


@pytest.fixture
def pins(monkeypatch: pytest.MonkeyPatch) -> Any:
    factory = mock.MockFactory()
    monkeypatch.setattr(gpiozero.Device, "pin_factory", factory)
    return factory


def test_a_press_and_a_long_press_are_orders(pins: Any) -> None:
    async def story() -> None:
        orders = Pressed()
        with front_panel(GpioSettings(button=17, lamp=27), orders):
            pins.pin(17).drive_low()
            await asyncio.sleep(0.1)
            pins.pin(17).drive_high()
            assert await orders.told.get() == "press"
            pins.pin(17).drive_low()
            assert await orders.told.get() == "mute"
            pins.pin(17).drive_high()
            await asyncio.sleep(0.1)
            assert orders.told.empty()

    asyncio.run(asyncio.wait_for(story(), 30))


def test_without_usable_pins_it_goes_on_and_says_so(pins: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        taken = GpioSettings.model_construct(button=17, lamp=17)  # as another program may have the pin
        with front_panel(taken, Pressed()) as panel:
            panel.show("listening")

    asyncio.run(story())
    assert "panel=none" in caplog.text
