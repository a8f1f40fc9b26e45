"""A sound card in user space: a room that a microphone hears, and a speaker that can be recorded.

``sound_server`` gives each a server of its own, because a single server would move a stream whose device is
gone to the other device, which no cable does: removing a sink is like unplugging it. ``echoing_server`` gives
both the same server, where the speaker's sound can get back into the room (``echo_path``) and both are
recorded by one clock. Programs started with ``env`` find them through ALSA like sound cards.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from assistant.core.errors import DeviceUnavailable

PATIENCE_S = 20
"""Everything here takes tenths of a second; this allows for a busy machine."""

LATENCY_MS = 10
"""Requested by recorders. A null sink then works in blocks of this length."""

SINKS = {"room": "rate=16000 channels=1", "speaker": "rate=48000 channels=2"}

ALSA_CONFIG = """\
pcm.room_microphone {{ type asym capture.pcm {{ type pulse server "{room}" device "room.monitor" }} }}
pcm.shelf_speaker {{ type asym playback.pcm {{ type pulse server "{speaker}" device "speaker" }} }}
pcm.!default {{ type asym capture.pcm "room_microphone" playback.pcm "shelf_speaker" }}
"""

Kind = Literal["pulseaudio", "pipewire"]

_CLIENTS = ("pactl", "paplay", "pacat", "parec")
_PROGRAMS: dict[Kind, tuple[str, ...]] = {
    "pulseaudio": ("pulseaudio", *_CLIENTS),
    "pipewire": ("pipewire", "wireplumber", "pipewire-pulse", "dbus-daemon", *_CLIENTS),
}
_PACKAGES: dict[Kind, str] = {
    "pulseaudio": "pulseaudio, pulseaudio-utils",
    "pipewire": "pipewire, pipewire-pulse, wireplumber, dbus, pulseaudio-utils",
}


def missing(kind: Kind = "pulseaudio") -> str | None:
    """Return why a sound server cannot run on this machine; None if it can."""
    programs = [name for name in _PROGRAMS[kind] if not shutil.which(name)]
    if programs:
        return f"needs {', '.join(programs)} (Debian: {_PACKAGES[kind]})"
    plugins = list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so"))
    return None if plugins else "needs ALSA's plugin for PulseAudio (Debian: libasound2-plugins)"


class Server:
    """One PulseAudio, or a PipeWire with PulseAudio's protocol, which can be killed and restarted."""

    def __init__(self, name: str, folder: Path, kind: Kind = "pulseaudio") -> None:
        self.address = f"unix:{folder}/{name}"
        self._socket = folder / name
        self._kind = kind
        self._env = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "PATH": os.environ["PATH"]}
        self._env["PULSE_SERVER"] = self.address
        self._daemons: list[subprocess.Popen[bytes]] = []
        self.cables: list[Cable] = []
        self.start()

    def start(self) -> None:
        """Start the server, and plug in the cables it had."""
        if self._kind == "pulseaudio":
            self._daemons = [
                self.spawn(
                    *("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"),
                    *("--disable-shm=yes", "--log-target=stderr"),
                    *("-L", f"module-native-protocol-unix socket={self._socket} auth-anonymous=1"),
                )
            ]
        else:
            self._daemons = _start_pipewire(self._socket, self._env)
        _wait_until(self._answers)
        for cable in self.cables:
            cable.plug()

    def restart(self) -> None:
        """Kill the server under its clients, and restart it."""
        for daemon in reversed(self._daemons):
            daemon.kill()
            daemon.wait()
        self._socket.unlink(missing_ok=True)
        for cable in self.cables:
            cable.forget()
        self.start()

    def stop(self) -> None:
        for cable in self.cables:
            cable.forget()
        for daemon in reversed(self._daemons):
            stop(daemon)

    def call(self, *command: str, timeout_s: float = PATIENCE_S) -> str:
        """Return the output of a client program of this server."""
        done = subprocess.run(  # noqa: S603 - the commands are in this package
            command, env=self._env, check=True, capture_output=True, text=True, timeout=timeout_s
        )
        return done.stdout

    def spawn(
        self, *command: str, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Start a client program of this server."""
        return subprocess.Popen(  # noqa: S603 - the commands are in this package
            command, env=self.env, stdin=stdin, stdout=stdout, stderr=subprocess.DEVNULL
        )

    @property
    def env(self) -> Mapping[str, str]:
        """Return the environment for clients of this server."""
        return self._env

    def _answers(self) -> bool:
        if not self._socket.exists():
            return False
        try:
            self.call("pactl", "info")
        except subprocess.CalledProcessError:
            return False
        return True


class Cable:
    """One sink: what is played into it can be recorded from it."""

    def __init__(self, name: str, server: Server) -> None:
        self._name = name
        self.server = server
        self._listener: subprocess.Popen[bytes] | None = None
        self._module = ""
        server.cables.append(self)
        self.plug()

    @property
    def address(self) -> str:
        return self.server.address

    def restart(self) -> None:
        """Kill the server under its clients, and restart it."""
        self.server.restart()

    def plug(self) -> None:
        """Create the sink, and keep it awake.

        A recorder must run all the time: an unused null sink sleeps for up to two seconds, even when a new
        client starts to record.
        """
        self._module = self.server.call(
            *("pactl", "load-module", "module-null-sink", f"sink_name={self._name}"),
            *SINKS[self._name].split(),
        ).strip()
        self._listener = self.recorder()
        first = self.recorder(stdout=subprocess.PIPE)
        assert first.stdout  # noqa: S101
        with first:
            first.stdout.read(1)
            first.terminate()

    def unplug(self) -> None:
        """Remove the sink while it is in use."""
        self.server.call("pactl", "unload-module", self._module)
        self.forget()

    def forget(self) -> None:
        """End the processes that used the sink, after it is gone."""
        if self._listener:
            stop(self._listener)
            self._listener = None

    def play(self, path: Path) -> None:
        """Play a sound file, and return when it is over."""
        self.server.call("paplay", f"--device={self._name}", str(path), timeout_s=PATIENCE_S + 60)

    def recorder(self, *options: str, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """Start recording what is played into it."""
        listen = ("parec", f"--device={self._name}.monitor", f"--latency-msec={LATENCY_MS}")
        return self.server.spawn(*listen, *options, stdout=stdout)

    @contextlib.contextmanager
    def recording(self, path: Path) -> Iterator[None]:
        """Record what is heard while the block lasts, to a WAV file at 16 kHz."""
        listeners = self._listeners()
        recorder = self.recorder("--file-format=wav", "--rate=16000", "--channels=1", str(path))
        try:
            _wait_until(lambda: self._listeners() > listeners)
            yield
        finally:
            stop(recorder)

    def _listeners(self) -> int:
        return len(self.server.call("pactl", "list", "short", "source-outputs").splitlines())


class SoundServer:
    """A room and a speaker, and the environment in which programs find them."""

    def __init__(self, folder: Path, room: Cable, speaker: Cable) -> None:
        self.room = room
        self.speaker = speaker
        config = folder / "alsa.conf"
        config.write_text(ALSA_CONFIG.format(room=room.address, speaker=speaker.address))
        self.env = {"ALSA_CONFIG_PATH": str(config)}
        """The environment in which a program has this microphone and this speaker."""

    def play(self, path: Path) -> None:
        """Play a sound file into the room like a person speaking, and return when it is over."""
        self.room.play(path)

    def recording(self, path: Path) -> contextlib.AbstractContextManager[None]:
        """Record what the speaker plays while the block lasts, to a WAV file at 16 kHz."""
        return self.speaker.recording(path)

    def record(self, seconds: float, path: Path) -> Path:
        """Record what the speaker plays for ``seconds``."""
        with self.recording(path):
            time.sleep(seconds)
        return path


@contextlib.contextmanager
def sound_server() -> Iterator[SoundServer]:
    """Yield a room and a speaker, each on a server of its own; they end with the block."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sound-")))
        cables = []
        for name in SINKS:
            server = Server(name, folder)
            stack.callback(server.stop)
            cables.append(Cable(name, server))
        yield SoundServer(folder, *cables)


@contextlib.contextmanager
def echoing_server(kind: Kind = "pulseaudio") -> Iterator[SoundServer]:
    """Yield a room and a speaker on one server; they end with the block. Raises DeviceUnavailable."""
    if reason := missing(kind):
        raise DeviceUnavailable(f"The sound server {reason}.", "Install the listed packages, and try again.")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sound-")))
        server = Server("one", folder, kind)
        stack.callback(server.stop)
        room, speaker = (Cable(name, server) for name in SINKS)
        yield SoundServer(folder, room, speaker)


def stop(process: subprocess.Popen[Any]) -> None:
    """End a process, by force if necessary."""
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


_PIPEWIRE_PULSE = """\
context.spa-libs = {{ audio.convert.* = audioconvert/libspa-audioconvert support.* = support/libspa-support }}
context.modules = [
  {{ name = libpipewire-module-rt flags = [ ifexists nofail ] }}
  {{ name = libpipewire-module-protocol-native }}
  {{ name = libpipewire-module-client-node }}
  {{ name = libpipewire-module-adapter }}
  {{ name = libpipewire-module-metadata }}
  {{ name = libpipewire-module-protocol-pulse args = {{ server.address = [ "unix:{socket}" ] }} }}
]
"""


def _start_pipewire(socket: Path, env: dict[str, str]) -> list[subprocess.Popen[bytes]]:
    """Start the D-Bus that the parts need, the server, the session manager, and PulseAudio's protocol."""
    folder = socket.parent
    bus, config = folder / "bus", folder / "pipewire-pulse.conf"
    config.write_text(_PIPEWIRE_PULSE.format(socket=socket))
    env["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={bus}"
    bus.unlink(missing_ok=True)
    daemons = []
    for command in (
        ["dbus-daemon", "--session", "--nofork", f"--address=unix:path={bus}"],
        ["pipewire"],
        ["wireplumber"],
        ["pipewire-pulse", "-c", str(config)],
    ):
        quiet = subprocess.DEVNULL
        daemons.append(subprocess.Popen(command, env=env, stdin=quiet, stdout=quiet, stderr=quiet))  # noqa: S603
        time.sleep(0.5)
    return daemons


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the sound server did not reach that state")
        time.sleep(0.02)
