"""The button and the lamp, on pins that gpiozero only imagines."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from assistant.core.errors import PanelUnavailable
from assistant.core.state import State
from assistant.services import gpio
from assistant.services.gpio import Panel

gpiozero = pytest.importorskip("gpiozero", reason="needs the extra gpio")
mock = pytest.importorskip("gpiozero.pins.mock")

BUTTON, LAMP = 17, 27


@pytest.fixture
def pins(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(gpio, "HOLD_S", 0.2)
    monkeypatch.setattr(gpio, "_BOUNCE_S", None)
    factory = mock.MockFactory()
    monkeypatch.setattr(gpiozero.Device, "pin_factory", factory)
    yield factory
    factory.reset()


@pytest.fixture
def told(pins: Any) -> Iterator[list[str]]:
    """What the button told, while a panel is there."""
    heard: list[str] = []
    with Panel(
        button=BUTTON,
        lamp=LAMP,
        on_press=lambda: heard.append("press"),
        on_hold=lambda: heard.append("hold"),
    ) as panel:
        pins.panel = panel
        yield heard


def wait_until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_a_short_press_is_a_press_when_the_finger_is_lifted(pins: Any, told: list[str]) -> None:
    for _ in range(2):
        pins.pin(BUTTON).drive_low()
        pins.pin(BUTTON).drive_high()
    wait_until(lambda: len(told) == 2)
    assert told == ["press", "press"]


def test_a_finger_that_stays_is_no_press(pins: Any, told: list[str]) -> None:
    pins.pin(BUTTON).drive_low()
    wait_until(lambda: told == ["hold"])
    pins.pin(BUTTON).drive_high()
    time.sleep(0.1)
    assert told == ["hold"]


def test_the_lamp_tells_every_state(pins: Any, told: list[str]) -> None:
    lamp = pins.pin(LAMP)
    for state in State:
        pins.panel.show(state.value)
        wait_until(partial(_is, lamp, lit=state is not State.SLEEPING))
    pins.panel.show("sleeping")
    assert not lamp.state
    pins.panel.show("listening")
    time.sleep(0.2)
    assert lamp.state
    assert set(gpio._LAMP) == {state.value for state in State}


def _is(lamp: Any, *, lit: bool) -> bool:
    return bool(lamp.state) is lit


def test_closed_it_lets_go_of_the_pins_and_a_new_one_may_have_them(pins: Any) -> None:
    for _ in range(2):
        with Panel(button=BUTTON, lamp=LAMP, on_press=print, on_hold=print) as panel:
            panel.show("thinking")


def test_the_same_pin_twice_is_one_sentence_and_holds_no_pin(pins: Any) -> None:
    with pytest.raises(PanelUnavailable, match="Pin 17"):
        Panel(button=BUTTON, lamp=BUTTON, on_press=print, on_hold=print)
    Panel(button=BUTTON, lamp=None, on_press=print, on_hold=print).close()


def test_a_board_without_pins_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpiozero.Device, "pin_factory", None)
    monkeypatch.setitem(os.environ, "GPIOZERO_PIN_FACTORY", "native")
    monkeypatch.setattr(gpiozero.Device, "_default_pin_factory", _no_pins)
    with pytest.raises(PanelUnavailable):
        Panel(button=BUTTON, lamp=None, on_press=print, on_hold=print)


def _no_pins() -> None:
    raise gpiozero.BadPinFactory("no pins")


def test_without_pins_nothing_is_needed_and_nothing_happens() -> None:
    with Panel(button=None, lamp=None, on_press=print, on_hold=print) as panel:
        panel.show("listening")
