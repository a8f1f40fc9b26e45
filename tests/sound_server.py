"""A sound card in user space: a room that a microphone hears, and a speaker that can be recorded.

Each is a PulseAudio of its own with one null sink. Two servers, since one would move a stream
whose device is gone to the other device, and no cable does that. Programs that get ``env`` find
both through ALSA, as they would find cards, and taking a sink away is pulling the plug.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PATIENCE_S = 20
"""Everything here takes tenths of a second; a busy machine gets this long."""

ALSA_CONFIG = """\
pcm.room_microphone {{ type asym capture.pcm {{ type pulse server "{room}" device "room.monitor" }} }}
pcm.shelf_speaker {{ type asym playback.pcm {{ type pulse server "{speaker}" device "speaker" }} }}
pcm.!default {{ type asym capture.pcm "room_microphone" playback.pcm "shelf_speaker" }}
"""


def missing() -> str | None:
    """Why there can be no sound server on this machine, if there cannot."""
    programs = [name for name in ("pulseaudio", "pactl", "paplay", "parec") if not shutil.which(name)]
    if programs:
        return f"needs {', '.join(programs)} (Debian: pulseaudio, pulseaudio-utils)"
    plugins = list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so"))
    return None if plugins else "needs ALSA's plugin for PulseAudio (Debian: libasound2-plugins)"


class Cable:
    """One PulseAudio with one sink: what is played into it can be recorded from it."""

    def __init__(self, name: str, options: str, folder: Path) -> None:
        self.address = f"unix:{folder}/{name}"
        self._name = name
        self._options = options
        self._env = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "PATH": os.environ["PATH"]}
        self._env["PULSE_SERVER"] = self.address
        self._listener: subprocess.Popen[bytes] | None = None
        self._socket = folder / name
        self._serve()

    def _serve(self) -> None:
        self._daemon = self._start(
            *("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"),
            *("--disable-shm=yes", "--log-target=stderr"),
            *("-L", f"module-native-protocol-unix socket={self._socket} auth-anonymous=1"),
        )
        _wait_until(self._socket.exists)
        self.plug()

    def restart(self) -> None:
        """Kill the server from under everybody, and start it again."""
        self._daemon.kill()
        self._daemon.wait()
        self._socket.unlink(missing_ok=True)
        if self._listener:
            _stop(self._listener)
            self._listener = None
        self._serve()

    def plug(self) -> None:
        """Make the sink exist, awake.

        Somebody must listen all the time: a null sink that nobody needs sleeps for up to two
        seconds, and wakes up no sooner for a new listener.
        """
        listen = ("parec", f"--device={self._name}.monitor", "--latency-msec=10")
        self._call(
            "pactl", "load-module", "module-null-sink", f"sink_name={self._name}", *self._options.split()
        )
        self._listener = self._start(*listen)
        with subprocess.Popen(listen, env=self._env, stdout=subprocess.PIPE) as first:
            assert first.stdout
            first.stdout.read(1)
            first.terminate()

    def unplug(self) -> None:
        """Take it away from under whoever uses it."""
        self._call("pactl", "unload-module", "module-null-sink")
        if self._listener:
            _stop(self._listener)
            self._listener = None

    def play(self, path: Path) -> None:
        """Play a sound file, and return when it is over."""
        self._call("paplay", f"--device={self._name}", str(path), timeout_s=PATIENCE_S + 60)

    @contextlib.contextmanager
    def recording(self, path: Path) -> Iterator[None]:
        """While inside, record what is heard to a WAV at 16 kHz."""
        listeners = self._listeners()
        recorder = self._start(
            *("parec", f"--device={self._name}.monitor", "--file-format=wav", "--rate=16000", "--channels=1"),
            *("--latency-msec=10", str(path)),
        )
        try:
            _wait_until(lambda: self._listeners() > listeners)
            yield
        finally:
            _stop(recorder)

    def stop(self) -> None:
        for process in (self._listener, self._daemon):
            if process:
                _stop(process)

    def _listeners(self) -> int:
        return len(self._call("pactl", "list", "short", "source-outputs").splitlines())

    def _call(self, *command: str, timeout_s: float = PATIENCE_S) -> str:
        done = subprocess.run(
            command, env=self._env, check=True, capture_output=True, text=True, timeout=timeout_s
        )
        return done.stdout

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, env=self._env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class SoundServer:
    """A room and a speaker, and how programs find them."""

    def __init__(self, folder: Path, room: Cable, speaker: Cable) -> None:
        self.room = room
        self.speaker = speaker
        config = folder / "alsa.conf"
        config.write_text(ALSA_CONFIG.format(room=room.address, speaker=speaker.address))
        self.env = {"ALSA_CONFIG_PATH": str(config)}
        """What a program needs in its environment to have this microphone and this speaker."""

    def play(self, path: Path) -> None:
        """Play a sound file into the room, as a person would speak, and return when it is over."""
        self.room.play(path)

    def recording(self, path: Path) -> contextlib.AbstractContextManager[None]:
        """While inside, record what is heard from the speaker to a WAV at 16 kHz."""
        return self.speaker.recording(path)

    def record(self, seconds: float, path: Path) -> Path:
        """Record what is heard from the speaker for that long."""
        with self.recording(path):
            time.sleep(seconds)
        return path


@contextlib.contextmanager
def sound_server() -> Iterator[SoundServer]:
    """Start a server of one's own, with its room and its speaker; it ends with the block."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sound-")))
        cables = []
        for name, options in (("room", "rate=16000 channels=1"), ("speaker", "rate=48000 channels=2")):
            cables.append(Cable(name, options, folder))
            stack.callback(cables[-1].stop)
        yield SoundServer(folder, *cables)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the sound server did not get there")
        time.sleep(0.02)
