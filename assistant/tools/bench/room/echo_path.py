"""How the speaker's sound gets back into the room: through the sound server alone, or through a pump.

``Loopback`` is the server's own module: exact, constant, dry. ``Pump`` is a process that can imitate rooms,
loudspeakers, and clocks; it adds at least 23 ms. It reads the speaker's monitor and writes into the room,
both at 16 kHz; it is configured, and later changed, through standard input. It applies, in order: the
loudspeaker's clipping, clock drift, the room's response, gain, and delay.
"""

from __future__ import annotations

import re
import subprocess
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from assistant.audio.files import read_sound
from assistant.audio.resample import Samples, to_float
from assistant.core.types import SAMPLE_RATE_HZ
from assistant.tools.bench.lib.child import Child, say, told
from assistant.tools.bench.room.simulated import unit_energy
from assistant.tools.bench.room.sound_server import LATENCY_MS, Server

BLOCK_SAMPLES = SAMPLE_RATE_HZ * 10 // 1000

OWN_DELAY_MS = 23
"""Measured from the speaker's monitor through this process into the room, with nothing added."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One path from the loudspeaker to the microphone."""

    gain: float
    """Amplitude of the echo relative to what is played."""
    delay_ms: int
    room: str = ""
    """File of a recorded impulse response; empty: dry."""
    clip: float = 0.0
    """Fraction of full scale at which the loudspeaker clips; 0: never."""
    drift_ppm: float = 0.0
    """How much faster the loudspeaker's clock runs than the microphone's."""
    lie_ms: int = 0
    """How far off the time stamps of what is heard are, in jumps."""
    volume_steps: bool = False
    """True if the volume changes in the middle of each announcement."""
    jump_ms: int = 0
    """How far the delay jumps, there and back, in the middle of each announcement."""

    @property
    def is_plain(self) -> bool:
        """True if the sound server alone can do it."""
        return not (self.room or self.clip or self.drift_ppm or self.jump_ms)

    @property
    def name(self) -> str:
        """Return a name for people and files, unique within a grid."""
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
        """Change gain or delay from now on."""

    def close(self) -> None:
        """Remove the echo."""


def open_path(server: Server, cell: Cell) -> EchoPath:
    """Route the speaker's sound back into the room."""
    return Loopback(server, cell) if cell.is_plain else Pump(server, cell)


class Loopback:
    """The sound server's own loopback module, with its volume."""

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
        """Set the volume; the server's volumes are cubic."""
        number = _sink_input(self._server.call("pactl", "list", "sink-inputs"), self._module)
        self._server.call("pactl", "set-sink-input-volume", number, str(round(65536 * self._gain ** (1 / 3))))


def _sink_input(listed: str, module: str) -> str:
    """Return the stream that a module plays, from pactl's list."""
    for part in re.split(r"^Sink Input #", listed, flags=re.MULTILINE)[1:]:
        if re.search(rf"^\s*Owner Module: {module}$", part, re.MULTILINE):
            return part.split(None, 1)[0]
    raise LookupError(f"module {module} plays nothing")


class Pump:
    """A process between the speaker's monitor and the room."""

    def __init__(self, server: Server, cell: Cell) -> None:
        self._child = Child(pump, None, "The echo", env=server.env, **asdict(cell))
        self._child.hear()  # It is pumping.

    def change(self, *, gain: float | None = None, delay_ms: int | None = None) -> None:
        self._child.tell({"gain": gain, "delay_ms": delay_ms})

    def close(self) -> None:
        self._child.__exit__()


class Way:
    """Processes sound from the loudspeaker to the microphone, block by block. Pure."""

    def __init__(self, cell: Cell, response: Samples, own_delay_ms: int = OWN_DELAY_MS) -> None:
        self.gain = cell.gain
        self._own_delay_ms = own_delay_ms
        self._clip = cell.clip
        self._gain_now = cell.gain
        self._step = 1 + cell.drift_ppm * 1e-6
        self._position = 0.0
        self._before: Samples = np.zeros(1, np.float32)
        self._size = 1 << (len(response) + 2 * BLOCK_SAMPLES).bit_length()
        self._response = np.fft.rfft(response, self._size)
        self._ringing: Samples = np.zeros(self._size, np.float32)
        self._waiting: Samples = np.zeros(self._added(cell.delay_ms), np.float32)
        self._delay = len(self._waiting)

    def delay(self, delay_ms: int) -> None:
        """Change the delay from now on by inserting silence or dropping samples."""
        more = self._added(delay_ms) - self._delay
        self._delay += more
        if more > 0:
            self._waiting = np.concatenate([self._waiting, np.zeros(more, np.float32)])
        else:
            self._waiting = self._waiting[: max(0, len(self._waiting) + more)]

    def through(self, block: Samples) -> Samples:
        """Return the room's output for ``block``."""
        if self._clip:
            block = np.clip(block, -self._clip, self._clip)
        sounding = self._drifted(block)
        gain = np.linspace(self._gain_now, self.gain, len(sounding), endpoint=False, dtype=np.float32)
        self._gain_now = self.gain
        self._waiting = np.concatenate([self._waiting, self._echo(sounding) * gain])
        ready = max(0, len(self._waiting) - self._delay)
        out, self._waiting = self._waiting[:ready], self._waiting[ready:]
        return out

    def _added(self, delay_ms: int) -> int:
        return max(0, delay_ms - self._own_delay_ms) * SAMPLE_RATE_HZ // 1000

    def _drifted(self, block: Samples) -> Samples:
        """Resample to the microphone's clock: a fast loudspeaker is heard for a shorter time."""
        if self._step == 1:
            return block
        both = np.concatenate([self._before, block])
        count = int((len(both) - 1 - self._position) / self._step)
        at = self._position + self._step * np.arange(count)
        self._position = at[-1] + self._step - len(block) if count else self._position - len(block)
        self._before = both[-1:]
        sounding: Samples = np.interp(at, np.arange(len(both)), both).astype(np.float32)
        return sounding

    def _echo(self, sounding: Samples) -> Samples:
        count = len(sounding)
        echo = np.fft.irfft(np.fft.rfft(sounding, self._size) * self._response, self._size)
        self._ringing += echo.astype(np.float32)
        out = self._ringing[:count].copy()
        self._ringing = np.concatenate([self._ringing[count:], np.zeros(count, np.float32)])
        return out


def pump(_: None, **cell_: Any) -> None:
    """Pump until the sound server or the parent ends; runs in a separate process."""
    cell = Cell(**cell_)
    response = unit_energy(to_float(read_sound(Path(cell.room)))) if cell.room else np.ones(1, np.float32)
    way = Way(cell, response)
    form = ("--raw", "--format=float32le", f"--rate={SAMPLE_RATE_HZ}", "--channels=1")
    with (
        subprocess.Popen(  # noqa: S603 - nothing of it comes from outside
            ["parec", "--device=speaker.monitor", f"--latency-msec={LATENCY_MS}", *form],  # noqa: S607
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as heard,
        subprocess.Popen(  # noqa: S603 - nothing of it comes from outside
            ["pacat", "--playback", "--device=room", "--latency-msec=30", *form],  # noqa: S607
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as said,
    ):
        threading.Thread(target=_obey, args=(way,), daemon=True).start()
        say("pumping")
        try:
            _pump(way, heard, said)
        finally:
            heard.kill()
            said.kill()


def _pump(way: Way, heard: subprocess.Popen[bytes], said: subprocess.Popen[bytes]) -> None:
    assert heard.stdout and said.stdin  # noqa: S101, PT018
    try:
        while len(block := heard.stdout.read(4 * BLOCK_SAMPLES)) == 4 * BLOCK_SAMPLES:
            said.stdin.write(way.through(np.frombuffer(block, np.float32)).tobytes())
            said.stdin.flush()
    except BrokenPipeError:  # The server is gone.
        pass


def _obey(way: Way) -> None:
    for order in told():
        if order["gain"] is not None:
            way.gain = order["gain"]
        if order["delay_ms"] is not None:
            way.delay(order["delay_ms"])
