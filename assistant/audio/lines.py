"""Open sound devices, which of them are closed for a moment while new ones are looked for.

PortAudio lists devices once, and again only while none is open. Everything here that takes time runs
on the driver's thread. It knows nothing of frames, replies or resampling.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from assistant.audio import Kind, portaudio
from assistant.audio.driver import Driver, within
from assistant.core.errors import AudioError, DeviceStuck, DeviceUnavailable

LIST_WITHIN_S = 10.0
"""Making the list of devices opens each of them, and asks sound servers that are not there."""

DRIVER = Driver(on_stuck=portaudio.give_stderr_back)
"""All calls into PortAudio that may take long: it is one per process."""

_open: set[Line] = set()
"""Every open one; changed by the driver's calls only."""


def devices() -> list[portaudio.Device]:
    """What PortAudio finds, for programs without an event loop. Raises DeviceUnavailable, DeviceStuck."""
    try:
        return within(LIST_WITHIN_S, "list the devices", portaudio.devices)
    except DeviceStuck:
        portaudio.give_stderr_back()
        raise


class Rescan:
    """Looks anew at what is plugged in. PortAudio can do so only while no device is open."""

    def __init__(self, names: Mapping[Kind, str | None]) -> None:
        """``names`` are parts of the names of the microphone and the speaker, None the system's default."""
        self._names = names

    async def __call__(self, missing: Kind) -> None:
        """If that may help to find the ``missing`` one: what is open is closed for it, and opened again.

        So call it in silence. Raises DeviceUnavailable, DeviceStuck.
        """
        if DRIVER.stuck_s:
            return  # PortAudio must not be ended under a call that has not returned
        lines = list(_open)
        try:
            await DRIVER.run("list the devices", lambda: self._look(missing), limit_s=LIST_WITHIN_S)
        except DeviceStuck:
            for line in lines:
                line.is_paused = False  # they do not sound again, which is noticed now
            raise

    def _look(self, missing: Kind) -> None:
        with contextlib.suppress(DeviceUnavailable):
            portaudio.find(missing, self._names[missing])
            if not portaudio.is_stale():
                return  # it is on the list, and opening it is all that can be tried
        lines = list(_open)
        for line in lines:
            line.pause()
        try:
            portaudio.rescan()
        finally:
            for line in lines:
                line.go_on()


class Line:
    """An open device; its methods are calls for the driver, but for ``is_paused``."""

    def __init__(
        self, kind: Kind, name: str | None, begin: Callable[[portaudio.Device], dict[str, Any]]
    ) -> None:
        """``begin`` is told the device that was found and says how to open it (``open_stream``)."""
        self._kind = kind
        self.device = portaudio.at_best_rate(kind, portaudio.find(kind, name))
        self._how = begin(self.device)
        self._stream = portaudio.open_stream(kind, self.device, **self._how)
        self.is_paused = False
        """Closed for a moment, as devices are being looked for."""
        _open.add(self)

    def pause(self) -> None:
        self.is_paused = True
        portaudio.close_stream(self._stream)

    def go_on(self) -> None:
        """Open it again. One that is gone is noticed by its silence."""
        with contextlib.suppress(AudioError):
            found = portaudio.find(self._kind, self.device.name)
            device = replace(found, sample_rate_hz=self.device.sample_rate_hz)
            self._stream = portaudio.open_stream(self._kind, device, **self._how)
        self.is_paused = False

    def close(self) -> None:
        _open.discard(self)
        portaudio.close_stream(self._stream)
