"""How what the speaker plays comes back into the room: by the sound server alone, or by a pump.

``Loopback`` is the server's own module: exact, constant, dry. ``Pump`` is a process (``pump``) that
can do what rooms, loudspeakers and clocks do; it takes 23 ms at least.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from dataclasses import asdict, dataclass
from typing import Protocol

from assistant.tools.bench.lib.measuring import child_command
from assistant.tools.bench.room.sound_server import Server, stop


@dataclass(frozen=True, slots=True)
class Cell:
    """One way from the loudspeaker to the microphone."""

    gain: float
    """Loudness of the echo against what is played, as amplitudes."""
    delay_ms: int
    room: str = ""
    """File of a recorded impulse response; empty is dry."""
    clip: float = 0.0
    """Share of full scale beyond which the loudspeaker clips; 0 is never."""
    drift_ppm: float = 0.0
    """How much faster than the microphone the loudspeaker runs."""
    lie_ms: int = 0
    """By how much the time stamps of what is heard lie, in jumps."""
    volume_steps: bool = False
    """Whether the volume changes in the middle of each announcement."""
    jump_ms: int = 0
    """By how much the delay jumps, there and back, in the middle of each announcement."""

    @property
    def is_plain(self) -> bool:
        """Whether the sound server alone can do it."""
        return not (self.room or self.clip or self.drift_ppm or self.jump_ms)

    @property
    def name(self) -> str:
        """For people and files: every cell of a grid has its own."""
        parts = [f"gain{self.gain:g}", f"{self.delay_ms}ms"]
        parts += ["room"] if self.room else []
        parts += [f"clip{self.clip:g}"] if self.clip else []
        parts += [f"drift{self.drift_ppm:g}ppm"] if self.drift_ppm else []
        parts += [f"lie{self.lie_ms}ms"] if self.lie_ms else []
        parts += ["volume"] if self.volume_steps else []
        parts += [f"jump{self.jump_ms}ms"] if self.jump_ms else []
        return "_".join(parts)


class EchoPath(Protocol):
    def change(self, *, gain: float | None = None, delay_ms: int | None = None) -> None:
        """From now on louder or softer, later or sooner."""

    def close(self) -> None:
        """Nothing comes back any more."""


def open_path(server: Server, cell: Cell) -> EchoPath:
    """Let what the speaker plays come back into the room."""
    return Loopback(server, cell) if cell.is_plain else Pump(server, cell)


class Loopback:
    """The sound server's own, with its volume."""

    def __init__(self, server: Server, cell: Cell) -> None:
        self._server = server
        self._gain = cell.gain
        self._load(cell.delay_ms)

    def change(self, *, gain: float | None = None, delay_ms: int | None = None) -> None:
        if delay_ms is not None:
            self.close()
            self._load(delay_ms)
        if gain is not None:
            self._gain = gain
            self._set_volume()

    def close(self) -> None:
        self._server.call("pactl", "unload-module", self._module)

    def _load(self, delay_ms: int) -> None:
        self._module = self._server.call(
            *("pactl", "load-module", "module-loopback", "source=speaker.monitor", "sink=room"),
            *(f"latency_msec={delay_ms}", "adjust_time=0"),
        ).strip()
        self._set_volume()

    def _set_volume(self) -> None:
        """The server's volumes are cubic."""
        number = _sink_input(self._server.call("pactl", "list", "sink-inputs"), self._module)
        self._server.call("pactl", "set-sink-input-volume", number, str(round(65536 * self._gain ** (1 / 3))))


def _sink_input(listed: str, module: str) -> str:
    """The stream that a module plays, in what pactl lists."""
    for part in re.split(r"^Sink Input #", listed, flags=re.MULTILINE)[1:]:
        if re.search(rf"^\s*Owner Module: {module}$", part, re.MULTILINE):
            return part.split(None, 1)[0]
    raise LookupError(f"module {module} plays nothing")


class Pump:
    """A process between the speaker's monitor and the room."""

    def __init__(self, server: Server, cell: Cell) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            child_command("assistant.tools.bench.room.pump"),
            env={**os.environ, **server.env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._order(asdict(cell))
        assert self._process.stdout  # noqa: S101
        self._process.stdout.readline()  # it pumps

    def change(self, *, gain: float | None = None, delay_ms: int | None = None) -> None:
        self._order({"gain": gain, "delay_ms": delay_ms})

    def close(self) -> None:
        stop(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe  # noqa: S101
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def _order(self, what: dict[str, object]) -> None:
        assert self._process.stdin  # noqa: S101
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
