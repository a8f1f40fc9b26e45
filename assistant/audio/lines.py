"""Open sound devices, which are closed briefly while looking for new ones.

PortAudio lists devices once, and again only while none is open. Everything slow here runs on the driver's
thread. Independent of frames, replies and resampling.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from assistant.audio import Kind, portaudio
from assistant.audio.driver import Driver, within
from assistant.core.errors import AudioError, DeviceStuck, DeviceUnavailable

LIST_WITHIN_S = 10.0
"""Listing the devices opens each of them, and asks sound servers that may be down."""

LOOKS_OFTEN_FOR_S, LOOKS_AGAIN_AFTER_S = 60.0, 30.0
"""Each look closes open devices for a tenth of a second; a word that begins just then loses its first
sound. So while no card comes or goes, it looks at every call for a minute, and then every half minute.
"""

DRIVER = Driver(on_stuck=portaudio.give_stderr_back)
"""All slow calls into PortAudio; one per process."""

_open: set[Line] = set()
"""All open devices; changed only by the driver's calls."""


def devices() -> list[portaudio.Device]:
    """List the devices that PortAudio finds, for programs without an event loop. Raises DeviceUnavailable,
    DeviceStuck.
    """
    try:
        return within(LIST_WITHIN_S, "list the devices", portaudio.devices)
    except DeviceStuck:
        portaudio.give_stderr_back()
        raise


class Rescan:
    """Looks for newly connected devices. PortAudio can do this only while no device is open."""

    def __init__(self, names: Mapping[Kind, str | None]) -> None:
        """Set the devices to look for: parts of their names, None for the system default."""
        self._names = names
        self._missing_since_s = self._called_s = self._looked_s = -math.inf
        """When it was called first, last, and when the list was last made anew (``time.monotonic``)."""

    async def __call__(self, missing: Kind) -> None:
        """If it may help to find the ``missing`` device, close what is open, list devices, and reopen.

        So call it during silence. Raises DeviceUnavailable, DeviceStuck.
        """
        if DRIVER.stuck_s:
            return  # PortAudio must not be terminated during a call that has not returned
        lines = list(_open)
        try:
            await DRIVER.run("list the devices", lambda: self._look(missing), limit_s=LIST_WITHIN_S)
        except DeviceStuck:
            for line in lines:
                line.is_paused = False  # they stay silent, which is noticed now
            raise

    def _look(self, missing: Kind) -> None:
        with contextlib.suppress(DeviceUnavailable):
            portaudio.find(missing, self._names[missing])
            if not portaudio.is_stale():
                return  # it is listed, and only opening it can tell more
        lines = list(_open)
        if lines and not portaudio.is_stale() and not self._is_time():
            return
        self._looked_s = time.monotonic()
        for line in lines:
            line.pause()
        try:
            portaudio.rescan()
        finally:
            for line in lines:
                line.go_on()

    def _is_time(self) -> bool:
        now_s = time.monotonic()
        if now_s - self._called_s > LOOKS_AGAIN_AFTER_S:  # what was missing then has been found
            self._missing_since_s = now_s
        self._called_s = now_s
        is_new = now_s - self._missing_since_s < LOOKS_OFTEN_FOR_S
        return is_new or now_s - self._looked_s >= LOOKS_AGAIN_AFTER_S


class Line:
    """An open device. Except for ``is_paused``, its methods are calls for the driver."""

    def __init__(
        self, kind: Kind, name: str | None, begin: Callable[[portaudio.Device], dict[str, Any]]
    ) -> None:
        """Describe the device; ``begin`` gets the one that was found, and returns the arguments of
        ``open_stream``.
        """
        self._kind = kind
        self.device = portaudio.at_best_rate(kind, portaudio.find(kind, name))
        self._how = begin(self.device)
        self._stream = portaudio.open_stream(kind, self.device, **self._how)
        self.is_paused = False
        """True while it is closed to look for devices."""
        _open.add(self)

    def pause(self) -> None:
        self.is_paused = True
        portaudio.close_stream(self._stream)

    def go_on(self) -> None:
        """Reopen it, unless it was closed meanwhile. If it is gone, its silence shows that."""
        if self not in _open:
            return
        with contextlib.suppress(AudioError):
            found = portaudio.find(self._kind, self.device.name)
            device = replace(found, sample_rate_hz=self.device.sample_rate_hz)
            self._stream = portaudio.open_stream(self._kind, device, **self._how)
            if self not in _open:  # a call that was stuck runs beside later ones, such as ``close``
                portaudio.close_stream(self._stream)
        self.is_paused = False

    def close(self) -> None:
        _open.discard(self)
        portaudio.close_stream(self._stream)
