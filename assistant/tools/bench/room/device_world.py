"""A sound server with an echo, the appliance on its devices, and a recording of everything audible."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assistant.audio.resample import Samples, to_float
from assistant.core.errors import EngineFailed
from assistant.core.state import State
from assistant.core.types import SAMPLE_RATE_HZ
from assistant.settings.schema import Settings
from assistant.tools.bench.room.appliance_on_devices import ApplianceProcess, Told
from assistant.tools.bench.room.echo_path import Cell, EchoPath, open_path
from assistant.tools.bench.room.monitors import Monitor, found_in
from assistant.tools.bench.room.simulated import loudness
from assistant.tools.bench.room.sound_server import Kind, SoundServer, echoing_server

_BEGINS_S = 10.0
"""An announcement starts within this time, even if all of it must be synthesized first."""

_ENDS_S = 60.0
"""If the appliance talks to itself for longer, it is stopped."""

_TRIES = 3

_PAUSE_S = 0.6
"""Between two announcements: longer than an echo of 350 ms."""


@dataclass
class World:
    """One running cell of the grid."""

    cell: Cell
    server: SoundServer
    appliance: ApplianceProcess
    path: EchoPath
    room: Monitor
    speaker: Monitor

    def say(self, text: str) -> float:
        """Start an announcement; return when its first sound was given to the speaker."""
        for _ in range(_TRIES):
            before = len(self.appliance.told)
            self.appliance.say(text)
            if self.appliance.wait(lambda: self._was(State.SPEAKING, before), _BEGINS_S):  # noqa: B023 - at once
                return next(each.at_s for each in self.told(before) if each.state == State.SPEAKING.value)
            self.appliance.hush()  # It is listening to itself and announces nothing meanwhile.
        raise EngineFailed("It did not begin to speak.", "See its output above.")

    def settle(self) -> bool:
        """Wait until it sleeps and stays asleep. False if it had to be stopped."""
        deadline_s = time.monotonic() + _ENDS_S
        while self.appliance.wait(self._sleeps, deadline_s - time.monotonic()):
            time.sleep(_PAUSE_S)
            if self._sleeps():  # It has not taken its own last words for a person's.
                return True
        self.appliance.hush()
        self.appliance.wait(self._sleeps, _BEGINS_S)
        time.sleep(_PAUSE_S)
        return False

    def told(self, since: int = 0) -> list[Told]:
        return self.appliance.told[since:]

    def events(self, name: str, since_s: float = 0.0) -> list[float]:
        """Return the times of events of that kind."""
        return [each.at_s for each in self.told() if each.event == name and each.at_s >= since_s]

    def play(self, sound: Samples) -> tuple[float, subprocess.Popen[bytes]]:
        """Play ``sound`` in the room; return at once, with the time and the player's process."""
        server = self.server.room.server
        player = server.spawn(
            *("pacat", "--playback", "--device=room", "--latency-msec=20", "--raw", "--format=float32le"),
            *(f"--rate={SAMPLE_RATE_HZ}", "--channels=1"),
            stdin=subprocess.PIPE,
        )
        assert player.stdin  # noqa: S101
        began_s = time.monotonic()
        player.stdin.write(sound.astype("<f4").tobytes())
        player.stdin.close()
        return began_s, player

    def echo_loudness(self, begin_s: float, end_s: float) -> float:
        """Return the loudness of what the microphone recorded in that interval."""
        return loudness(to_float(self.room.between(begin_s, end_s)[0]))

    def echo_found(self, begin_s: float, end_s: float) -> tuple[float, float]:
        """Return the actual delay in ms and loudness of the echo in that interval."""
        played, played_s = self.speaker.between(begin_s, end_s)
        heard, heard_s = self.room.between(begin_s - 0.1, end_s + 0.7)
        if not played.any() or not heard.any():
            return 0.0, 0.0
        at = found_in(played, heard)
        part = heard[at : at + len(played)].astype(np.float64)
        same = played[: len(part)].astype(np.float64)
        gain = abs(float(part @ same) / float(same @ same)) if same.any() else 0.0
        return (heard_s + at / SAMPLE_RATE_HZ - played_s) * 1000, gain

    def restart_server(self) -> None:
        """Kill the sound server under its clients, and restart it with the same echo."""
        with contextlib.suppress(Exception):
            self.path.close()
        self.server.room.restart()
        self.path = open_path(self.server.room.server, self.cell)
        for old in (self.room, self.speaker):
            old.stop()
        self.room, self.speaker = Monitor(self.server.room), Monitor(self.server.speaker)

    def _sleeps(self) -> bool:
        return self.appliance.state == State.SLEEPING.value

    def _was(self, state: State, since: int) -> bool:
        return any(each.state == state.value for each in self.told(since))


@contextlib.contextmanager
def devices(settings: Settings, kind: Kind) -> Iterator[tuple[SoundServer, ApplianceProcess]]:
    """Yield a sound server, and the appliance's process with its engines loaded. Raises DeviceUnavailable."""
    with echoing_server(kind) as server:
        appliance = ApplianceProcess(settings, server.env)
        try:
            yield server, appliance
        finally:
            appliance.end()


@contextlib.contextmanager
def world(
    server: SoundServer, appliance: ApplianceProcess, cell: Cell, record: Path | None
) -> Iterator[World]:
    """Yield a cell in which the appliance has just started; ``record`` names its canceller's trace."""
    path = open_path(server.room.server, cell)
    room, speaker = Monitor(server.room), Monitor(server.speaker)
    here = World(cell, server, appliance, path, room, speaker)
    try:
        appliance.open(lie_ms=cell.lie_ms, trace=record is not None)
        yield here
    finally:
        try:
            appliance.close(record)
        finally:
            here.room.stop()
            here.speaker.stop()
            with contextlib.suppress(Exception):
                here.path.close()
