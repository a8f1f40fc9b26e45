"""A process that takes what the speaker plays through a loudspeaker, a room and a delay into the microphone.

It reads the speaker's monitor and writes into the room, both at 16 kHz; its standard input says how, and
later what changes. In order: the loudspeaker's clipping, the clocks' drift, the room's response, gain, delay.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np

from assistant.audio.files import read_sound
from assistant.audio.resample import Samples, to_float
from assistant.core.types import SAMPLE_RATE_HZ
from assistant.tools.bench.room.echo_path import Cell
from assistant.tools.bench.room.simulated import unit_energy
from assistant.tools.bench.room.sound_server import LATENCY_MS

BLOCK_SAMPLES = SAMPLE_RATE_HZ * 10 // 1000

OWN_DELAY_MS = 23
"""From the speaker's monitor through this process into the room, with nothing added: measured."""


class Way:
    """From the loudspeaker to the microphone, block by block. Pure."""

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
        """From now on so late: silence is put in, or sound left out."""
        more = self._added(delay_ms) - self._delay
        self._delay += more
        if more > 0:
            self._waiting = np.concatenate([self._waiting, np.zeros(more, np.float32)])
        else:
            self._waiting = self._waiting[: max(0, len(self._waiting) + more)]

    def through(self, block: Samples) -> Samples:
        """What comes out of the room while ``block`` goes into the loudspeaker."""
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
        """At the microphone's rate: a loudspeaker that runs fast is heard for a shorter time."""
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


def in_child() -> None:
    """Pump as standard input says, until the sound server or whoever started it ends."""
    cell = Cell(**json.loads(sys.stdin.readline()))
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
        sys.stdout.write("pumping\n")
        sys.stdout.flush()
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
    except BrokenPipeError:  # the server is gone
        pass


def _obey(way: Way) -> None:
    for line in sys.stdin:
        order = json.loads(line)
        if order["gain"] is not None:
            way.gain = order["gain"]
        if order["delay_ms"] is not None:
            way.delay(order["delay_ms"])
