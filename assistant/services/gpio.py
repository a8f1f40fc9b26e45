"""A button and an LED on the board's pins, for controlling the assistant without speech.

``Panel`` knows pins and how long a button is pressed; gpiozero calls it back on its own threads.
``front_panel`` turns each press into a command on the event loop, and works without pins, too.
"""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any

from assistant.core.errors import PanelUnavailable
from assistant.services.control.api import ControlApi
from assistant.services.host import Host, Service
from assistant.settings.schema import GpioSettings

log = logging.getLogger(__name__)

HOLD_S = 1.0
"""Pressing longer than this counts as holding."""

_BOUNCE_S = 0.03
"""Cheap buttons bounce for this long; nobody presses faster."""

_LAMP = {
    "starting": (0.1, 0.9),
    "sleeping": None,
    "listening": (1.0, 0.0),
    "thinking": (0.15, 0.15),
    "speaking": (0.6, 0.2),
    "interrupted": (1.0, 0.0),
    "muted": (0.05, 2.95),
    "faulted": (0.1, 0.1),
}
"""State -> repeating seconds on and off; None is dark. A short flash doesn't disturb sleep."""


class Panel:
    """A button, an LED, both or neither; pin numbers are the processor's (BCM).

    ``on_press`` is called if the button is released within HOLD_S, ``on_hold`` if it is held, each on a
    gpiozero thread. Raises PanelUnavailable.
    """

    def __init__(
        self,
        *,
        button: int | None,
        lamp: int | None,
        on_press: Callable[[], None],
        on_hold: Callable[[], None],
    ) -> None:
        self._on_press = on_press
        self._on_hold = on_hold
        self._held = False
        self._button = _device("Button", button, bounce_time=_BOUNCE_S, hold_time=HOLD_S)
        try:
            self._lamp = _device("LED", lamp)
        except PanelUnavailable:
            self.close()
            raise
        if self._button:
            self._button.when_held = self._hold
            self._button.when_released = self._release

    def show(self, state: str) -> None:
        """Show this state with the LED."""
        if self._lamp is None:
            return
        seconds = _LAMP.get(state)
        if seconds is None:
            self._lamp.off()
        elif seconds[1] == 0:
            self._lamp.on()
        else:
            self._lamp.blink(*seconds)

    def close(self) -> None:
        """Turn the LED off and release the pins."""
        for device in (self._button, getattr(self, "_lamp", None)):
            if device:
                device.close()

    def __enter__(self) -> Panel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _hold(self) -> None:
        self._held = True
        self._on_hold()

    def _release(self) -> None:
        held, self._held = self._held, False
        if not held:
            self._on_press()


def _device(kind: str, pin: int | None, **options: float) -> Any:
    """Return the gpiozero device of this kind at ``pin``; None without a pin."""
    if pin is None:
        return None
    try:
        import gpiozero  # noqa: PLC0415 - not everybody has pins
    except ImportError as error:
        raise PanelUnavailable(
            "The button and the LED need the Python package 'gpiozero', which is not installed.",
            "Run ./scripts/setup run gpio, or remove gpio.button and gpio.lamp from the settings.",
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # for every driver that it tries without success
            return getattr(gpiozero, kind)(pin, **options)
    except Exception as error:  # gpiozero's errors, and those of each of its drivers
        raise PanelUnavailable(
            f"Pin {pin} cannot be used ({type(error).__name__}: {error}).",
            "Set gpio.button and gpio.lamp to free pins by their BCM numbers, "
            "and add the assistant's user to the group gpio.",
        ) from error


def front_panel(pins: GpioSettings, control: ControlApi) -> Panel:
    """Open the button and the LED named in the settings; without pins if they can't be used."""
    loop = asyncio.get_running_loop()

    def on_loop(what: Callable[[], None]) -> Callable[[], None]:
        def call() -> None:
            with suppress(RuntimeError):  # pressed during shutdown
                loop.call_soon_threadsafe(what)

        return call

    def made(button: int | None, lamp: int | None) -> Panel:
        return Panel(
            button=button,
            lamp=lamp,
            on_press=on_loop(control.press),
            on_hold=on_loop(control.toggle_mute),
        )

    try:
        panel = made(pins.button, pins.lamp)
    except PanelUnavailable as error:
        log.error("panel=none problem=%s", error)
        panel = made(None, None)
    panel.show(control.state.value)
    return panel


@asynccontextmanager
async def _open(host: Host) -> AsyncIterator[None]:
    with front_panel(host.settings.gpio, host.control) as panel:
        host.observers.append(lambda _, state: panel.show(state.value))
        yield


SERVICE = Service(_open, before_engines=True)
