"""The one place that touches ``sounddevice``: which devices there are, and opening and closing them.

What PortAudio and ALSA say when something goes wrong becomes one of our errors here. It knows
nothing of frames, replies or resampling.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import ctypes.util
import functools
import importlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from assistant.audio import Kind
from assistant.core.errors import DeviceUnavailable

log = logging.getLogger(__name__)

_NOUN = {"input": "microphone", "output": "speaker"}

_CARDS = Path("/proc/asound/cards")
"""Names the cards of this machine, those included that PortAudio cannot see as somebody holds them."""

_LIBRARIES = [*Path("/usr/lib").glob("*-linux-gnu*"), Path("/usr/lib64"), Path("/usr/lib")]
_GOOD_CONVERTERS = ("pcm_pulse", "pcm_pipewire", "rate_speexrate")
"""Modules of ALSA that resample with a filter; its own converter, used without them, has none."""

_DEVICE_IN_USE = -9985
"""PortAudio's paDeviceUnavailable: what ALSA's "device or resource busy" becomes."""

_cards_listed = [""]
"""The cards when PortAudio made its list."""

_stderr: list[int] = []
"""Stderr as it was before any call, once there was one."""

_open_streams: set[Any] = set()
"""PortAudio is one per process, and so is this: it must not be restarted while any stream is open."""


@dataclass(frozen=True, slots=True)
class Device:
    """Something that hears or sounds, as PortAudio lists it."""

    index: int
    """PortAudio's number; changes whenever devices come and go."""
    name: str
    inputs: int
    """Channels that can be recorded; 0 is no microphone."""
    outputs: int
    """Channels that can be played; 0 is no speaker."""
    sample_rate_hz: int
    """The rate it prefers."""
    is_default_input: bool
    is_default_output: bool

    def channels(self, kind: Kind) -> int:
        return self.inputs if kind == "input" else self.outputs

    def is_default(self, kind: Kind) -> bool:
        return self.is_default_input if kind == "input" else self.is_default_output


def devices() -> list[Device]:
    """Everything PortAudio found when it was started, or at the last ``rescan``.

    Raises DeviceUnavailable when there is no PortAudio.
    """
    sounddevice = _library()
    default_input, default_output = sounddevice.default.device
    return [
        Device(
            index=row["index"],
            name=row["name"],
            inputs=row["max_input_channels"],
            outputs=row["max_output_channels"],
            sample_rate_hz=round(row["default_samplerate"]),
            is_default_input=row["index"] == default_input,
            is_default_output=row["index"] == default_output,
        )
        for row in sounddevice.query_devices()
    ]


def is_stale() -> bool:
    """Whether sound cards have come or gone since the list of devices was made."""
    return _cards() != _cards_listed[0]


def rescan() -> None:
    """Look anew at what is plugged in. Does nothing while a stream is open, so close all of them before."""
    if _open_streams:
        log.debug("rescan=skipped open_streams=%d", len(_open_streams))
        return
    sounddevice = _library()
    with _translated(sounddevice):
        sounddevice._terminate()  # noqa: SLF001, no public way: PortAudio lists devices once, when it starts
        _cards_listed[0] = _cards()
        sounddevice._initialize()  # noqa: SLF001


def give_stderr_back() -> None:
    """A call into PortAudio is stuck, or may be: what it has taken for its time is everybody's again.

    At the end of the process PortAudio is not ended, as it would wait for that call.
    """
    if _stderr:
        os.dup2(_stderr[0], 2)
    if exit_handler := getattr(sys.modules.get("sounddevice"), "_exit_handler", None):
        atexit.unregister(exit_handler)


def find(kind: Kind, name: str | None) -> Device:
    """The device whose name is, or else contains, ``name`` in any case; None is the system's default.

    Raises DeviceUnavailable, naming those that exist.
    """
    noun = _NOUN[kind]
    candidates = [device for device in devices() if device.channels(kind)]
    if name is None:
        matches = [device for device in candidates if device.is_default(kind)] or candidates
    else:
        matches = [device for device in candidates if device.name.lower() == name.lower()]
        matches = matches or [device for device in candidates if name.lower() in device.name.lower()]
    if matches:
        return matches[0]
    if name is not None and _is_card(name):
        raise _in_use(kind, name)
    if not candidates:
        raise DeviceUnavailable(
            f"This machine has no {noun} that is free.",
            f"Plug one in, or end the program that holds it; `assistant devices` lists every {noun}.",
        )
    raise DeviceUnavailable(
        f"No {noun} has '{name}' in its name; there are: {', '.join(device.name for device in candidates)}.",
        f"Set audio.{kind} to a part of one of these names.",
    )


def at_best_rate(kind: Kind, device: Device) -> Device:
    """The same device, at the rate that costs least here, where it can have that.

    Everything that listens works at 16 kHz; a voice wants more. PortAudio prefers 44.1 kHz wherever ALSA
    converts, for sound servers and cards that run at 48. Where ALSA has no good converter of its own it
    drops samples without a filter, so 16 kHz is only asked of what does not come through it.
    """
    sounddevice = _library()
    if sounddevice.query_hostapis(sounddevice.query_devices(device.index)["hostapi"])["name"] != "ALSA":
        return device
    is_card = "(hw:" in device.name
    wanted = (16_000, 48_000) if kind == "input" and (is_card or _converts_well()) else (48_000,)
    check = sounddevice.check_input_settings if kind == "input" else sounddevice.check_output_settings
    channels = 1 if kind == "input" else min(2, device.outputs)
    for rate_hz in wanted:
        if rate_hz == device.sample_rate_hz:
            break
        with contextlib.suppress(sounddevice.PortAudioError), _stderr_to_log():
            check(device=device.index, channels=channels, dtype="int16", samplerate=rate_hz)
            return replace(device, sample_rate_hz=rate_hz)
    return device


@functools.cache
def _converts_well() -> bool:
    """Whether what stands between ALSA and a card filters: a sound server, or Speex' converter."""
    return any(
        (folder / "alsa-lib" / f"libasound_module_{name}.so").exists()
        for folder in _LIBRARIES
        for name in _GOOD_CONVERTERS
    )


def open_stream(
    kind: Kind,
    device: Device,
    callback: Callable[[Any, int, Any, Any], None],
    *,
    channels: int,
    block_ms: int,
    latency_s: float,
) -> Any:
    """Start a stream of raw 16-bit samples at the device's own rate. Raises DeviceUnavailable.

    ``callback(buffer, frames, time, status)`` is called on PortAudio's thread.
    """
    sounddevice = _library()
    create = sounddevice.RawInputStream if kind == "input" else sounddevice.RawOutputStream
    with _translated(sounddevice, kind, device.name), _stderr_to_log():
        stream = create(
            samplerate=device.sample_rate_hz,
            blocksize=device.sample_rate_hz * block_ms // 1000,
            device=device.index,
            channels=channels,
            dtype="int16",
            latency=latency_s,
            callback=callback,
        )
        try:
            stream.start()
        except sounddevice.PortAudioError:
            stream.close(ignore_errors=True)
            raise
    _open_streams.add(stream)
    log.info("opened=%s device=%r sample_rate_hz=%d", kind, device.name, device.sample_rate_hz)
    return stream


def close_stream(stream: Any) -> None:
    """Stop at once and free the device; also when the device is gone."""
    stream.abort(ignore_errors=True)
    stream.close(ignore_errors=True)
    _open_streams.discard(stream)


def _library() -> Any:
    """``sounddevice``, imported when first needed: servers that never sound have no PortAudio."""
    _send_alsa_messages_to_log()
    if "sounddevice" not in sys.modules:
        _cards_listed[0] = _cards()
    if not _stderr:
        _stderr.append(os.dup(2))
    try:
        return importlib.import_module("sounddevice")
    except OSError as error:
        raise DeviceUnavailable(
            "The sound library PortAudio is not installed.", "Install it: sudo apt install libportaudio2"
        ) from error
    except Exception as error:
        if type(error).__name__ != "PortAudioError":  # its class cannot be imported when the import raises it
            raise
        raise _broken(error) from error


@contextlib.contextmanager
def _translated(sounddevice: Any, kind: Kind | None = None, name: str = "") -> Iterator[None]:
    try:
        yield
    except sounddevice.PortAudioError as error:
        if kind is None:
            raise _broken(error) from error
        if _DEVICE_IN_USE in error.args:
            raise _in_use(kind, name) from error
        raise DeviceUnavailable(
            f"The {_NOUN[kind]} '{name}' cannot be opened: {error.args[0]}.",
            f"Plug it in again, or choose another with audio.{kind}; `assistant devices` lists them.",
        ) from error


def _in_use(kind: Kind, name: str) -> DeviceUnavailable:
    return DeviceUnavailable(
        f"The {_NOUN[kind]} '{name}' is busy: another program is using it.",
        f"End that program (`fuser -v /dev/snd/*` names it), or choose another with audio.{kind}.",
    )


def _broken(error: Exception) -> DeviceUnavailable:
    return DeviceUnavailable(
        f"The sound library PortAudio cannot start: {error.args[0]}.",
        "Look for a mistake in ~/.asoundrc and /etc/asound.conf.",
    )


def _alsa_says(_file: bytes, line: int, function: bytes, error: int, _message: bytes) -> None:
    log.debug("alsa=%r line=%d error=%d", function, line, error)


_ALSA_SAYS = ctypes.CFUNCTYPE(
    None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p
)(_alsa_says)
"""What C calls; it has to live as long as the library."""


@functools.cache
def _send_alsa_messages_to_log() -> None:
    """Otherwise ALSA writes to stderr, a line for every click."""
    if library := ctypes.util.find_library("asound"):
        ctypes.CDLL(library).snd_lib_error_set_handler(_ALSA_SAYS)


def _cards() -> str:
    with contextlib.suppress(OSError):
        return _CARDS.read_text(encoding="utf-8", errors="replace")
    return ""


def _is_card(name: str) -> bool:
    return name.lower() in _cards().lower()


def _scratch() -> IO[bytes]:
    """A file in memory where there can be one: sound must not need a disk with room that can be written."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("portaudio"), "w+b")  # noqa: PTH123 - a descriptor; its user closes it
    return tempfile.TemporaryFile()


@contextlib.contextmanager
def _stderr_to_log() -> Iterator[None]:
    """PortAudio writes what it was doing when something fails to stderr, line by line of its source."""
    with _scratch() as caught:
        stderr = os.dup(2)
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            caught.seek(0)
            for line in caught.read().decode(errors="replace").splitlines():
                log.debug("portaudio=%r", line)
