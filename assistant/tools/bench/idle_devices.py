"""What waiting costs through devices: the whole appliance on a sound server, in a room with background noise.

The process is the one a user starts, with its models, audio threads, and control socket. The sound server's
own work is not counted.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from assistant.core.errors import ControlError, DeviceUnavailable, EngineFailed
from assistant.core.types import SAMPLE_RATE_HZ
from assistant.runtime import paths
from assistant.services.control import client as control_client
from assistant.settings.schema import Settings
from assistant.tools.bench.lib import machine
from assistant.tools.bench.lib.measuring import Document
from assistant.tools.bench.room.sound_server import SoundServer, missing, sound_server, stop

TONE_DB = -60.0
"""dBFS: a quiet room at a typical gain."""

_STARTS_WITHIN_S = 180.0

_SETTLES_S = 20.0
"""By this time, loading is over and the room has been quiet for a while."""

_RUN = "import sys; from assistant.cli.main import main; sys.exit(main())"

_SECTIONS = {"vad", "wake", "endpoint", "stt", "llm", "tts", "conversation", "audio"}


def measure(settings: Settings, seconds: float, progress: Callable[[str], None]) -> Document:
    """Measure the CPU time and memory of a waiting assistant. Raises DeviceUnavailable, EngineFailed."""
    if reason := missing():
        raise DeviceUnavailable(f"The sound server {reason}.", "Install the listed packages, and try again.")
    with (
        tempfile.TemporaryDirectory(prefix="idle-") as folder,
        sound_server() as server,
        _room_tone(server),
        _appliance(settings, Path(folder), server) as process,
    ):
        time.sleep(_SETTLES_S)
        progress(f"devices: {seconds:g} s")
        return {"room_tone_db": TONE_DB, **cost(process.pid, seconds)}


def cost(pid: int, seconds: float) -> Document:
    """Return what a process uses over ``seconds``, read from outside."""
    of = str(pid)
    began_s, before_s = time.perf_counter(), machine.cpu_s_of(of)
    time.sleep(seconds)
    took_s, after_s = time.perf_counter() - began_s, machine.cpu_s_of(of)
    percent = round(100 * (after_s - before_s) / took_s, 2)
    return {"cpu_percent": percent, "rss_mb": round(machine.rss_mb(of), 1)}


@contextlib.contextmanager
def _room_tone(server: SoundServer) -> Iterator[None]:
    """Play noise in the room while the block lasts."""
    level = 32768 * 10 ** (TONE_DB / 20)
    noise = np.random.default_rng(0).normal(0, level, 10 * SAMPLE_RATE_HZ).round().astype("<i2").tobytes()
    player = server.room.server.spawn(
        *("pacat", "--playback", "--device=room", "--raw", "--format=s16le"),
        *(f"--rate={SAMPLE_RATE_HZ}", "--channels=1"),
        stdin=subprocess.PIPE,
    )

    def play() -> None:
        assert player.stdin  # noqa: S101
        with contextlib.suppress(OSError):
            while True:
                player.stdin.write(noise)

    playing = threading.Thread(target=play, daemon=True)
    playing.start()
    try:
        yield
    finally:
        player.kill()
        player.wait()
        playing.join()
        if player.stdin:
            with contextlib.suppress(OSError):  # Leftover sound that was not played.
                player.stdin.close()


@contextlib.contextmanager
def _appliance(settings: Settings, folder: Path, server: SoundServer) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``assistant run`` with these settings, without the user's own files, waiting for the wake word."""
    told = settings.model_dump(mode="json", include=_SECTIONS, exclude_defaults=True)
    told.setdefault("audio", {}).update(input=None, output=None)
    told["store"] = {"models": str(paths.models(settings.store.models).resolve())}
    file = folder / "assistant.yaml"
    file.write_text(json.dumps(told), encoding="utf-8")
    places = {name: str(folder) for name in ("XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_STATE_HOME")}
    command = (sys.executable, "-c", _RUN, "--config", str(file), "run")
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
        command, env={**os.environ, **server.env, **places}, stdin=subprocess.DEVNULL, stdout=sys.stderr
    )
    try:
        _wait_until_asleep(process, folder)
        yield process
    finally:
        stop(process)


def _wait_until_asleep(process: subprocess.Popen[bytes], folder: Path) -> None:
    socket = paths.control({"XDG_RUNTIME_DIR": str(folder)})
    deadline_s = time.monotonic() + _STARTS_WITHIN_S
    while process.poll() is None and time.monotonic() < deadline_s:
        with contextlib.suppress(ControlError):
            if control_client.ask([socket], {"order": "status"}).get("state") == "sleeping":
                return
        time.sleep(0.5)
    raise EngineFailed("The appliance did not start.", "See its output above.")
