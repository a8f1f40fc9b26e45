"""The only module that uses ``sounddevice``: lists devices, opens and closes them.

It turns error reports from PortAudio and ALSA into our own errors. Independent of frames, replies and
resampling.
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
"""Lists this machine's cards, including those that PortAudio cannot see because they are in use."""

_LIBRARIES = [*Path("/usr/lib").glob("*-linux-gnu*"), Path("/usr/lib64"), Path("/usr/lib")]
_GOOD_CONVERTERS = ("pcm_pulse", "pcm_pipewire", "rate_speexrate")
"""ALSA modules that resample with a filter; without them, ALSA's own converter has none."""

_DEVICE_IN_USE = -9985
"""PortAudio's paDeviceUnavailable, its version of ALSA's "device or resource busy"."""

_cards_listed = [""]
"""The cards at the time PortAudio listed its devices."""

_stderr: list[int] = []
"""The original stderr, from before the first call."""

_open_streams: set[Any] = set()
"""One per process, like PortAudio, which must not be restarted while any stream is open."""


@dataclass(frozen=True, slots=True)
class Device:
    """An input or output device as listed by PortAudio."""

    index: int
    """PortAudio's number; changes when devices come and go."""
    name: str
    inputs: int
    """Channels for recording; 0 if it has no microphone."""
    outputs: int
    """Channels for playback; 0 if it has no speaker."""
    sample_rate_hz: int
    """Its preferred rate."""
    is_default_input: bool
    is_default_output: bool

    def channels(self, kind: Kind) -> int:
        return self.inputs if kind == "input" else self.outputs

    def is_default(self, kind: Kind) -> bool:
        return self.is_default_input if kind == "input" else self.is_default_output


def devices() -> list[Device]:
    """List all devices found when PortAudio started, or at the last ``rescan``.

    Raises DeviceUnavailable if PortAudio is missing.
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
    """True if sound cards have come or gone since the devices were listed."""
    return _cards() != _cards_listed[0]


def rescan() -> None:
    """Look for newly connected devices. Does nothing while a stream is open, so close all of them first."""
    if _open_streams:
        log.debug("rescan=skipped open_streams=%d", len(_open_streams))
        return
    sounddevice = _library()
    with _translated(sounddevice):
        sounddevice._terminate()  # noqa: SLF001, no public way: PortAudio lists devices once, when it starts
        _cards_listed[0] = _cards()
        sounddevice._initialize()  # noqa: SLF001


def give_stderr_back() -> None:
    """Restore stderr, because a call into PortAudio that redirected it is stuck, or may be.

    PortAudio is then not terminated at the end of the process, as that would wait for the call.
    """
    if _stderr:
        os.dup2(_stderr[0], 2)
    if exit_handler := getattr(sys.modules.get("sounddevice"), "_exit_handler", None):
        atexit.unregister(exit_handler)


def find(kind: Kind, name: str | None) -> Device:
    """Return the device whose name equals or contains ``name``, ignoring case; None means the system default.

    Raises DeviceUnavailable, which lists the existing ones.
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
            f"No {noun} is available.",
            f"Plug one in, or close the program that is using it. `assistant devices` lists every {noun}.",
        )
    raise DeviceUnavailable(
        f"No {noun} has '{name}' in its name. Available: {', '.join(device.name for device in candidates)}.",
        f"Set audio.{kind} to part of one of these names.",
    )


def at_best_rate(kind: Kind, device: Device) -> Device:
    """Return the same device at the cheapest rate that it supports.

    Everything that listens works at 16 kHz; a voice needs more. PortAudio prefers 44.1 kHz wherever ALSA
    converts, even for sound servers and cards that run at 48. Without a good converter, ALSA drops samples
    unfiltered, so 16 kHz is requested only from devices that don't use it.
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
    """True if conversion between ALSA and a card is filtered: by a sound server, or Speex's converter."""
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
    """Stop at once and free the device, even if it is gone."""
    stream.abort(ignore_errors=True)
    stream.close(ignore_errors=True)
    _open_streams.discard(stream)


def _library() -> Any:
    """Import ``sounddevice`` on first use: servers without sound have no PortAudio."""
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
        if (
            type(error).__name__ != "PortAudioError"
        ):  # its class cannot be imported if the import itself fails
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
            f"Plug it in again, or choose a different one with audio.{kind}. `assistant devices` lists them.",
        ) from error


def _in_use(kind: Kind, name: str) -> DeviceUnavailable:
    return DeviceUnavailable(
        f"The {_NOUN[kind]} '{name}' is in use by another program.",
        "Close that program (`fuser -v /dev/snd/*` shows which it is), or "
        f"choose a different device with audio.{kind}.",
    )


def _broken(error: Exception) -> DeviceUnavailable:
    return DeviceUnavailable(
        f"The sound library PortAudio cannot start: {error.args[0]}.",
        "Check ~/.asoundrc and /etc/asound.conf for mistakes.",
    )


def _alsa_says(_file: bytes, line: int, function: bytes, error: int, _message: bytes) -> None:
    log.debug("alsa=%r line=%d error=%d", function, line, error)


_ALSA_SAYS = ctypes.CFUNCTYPE(
    None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p
)(_alsa_says)
"""The C callback; it must live as long as the library."""


@functools.cache
def _send_alsa_messages_to_log() -> None:
    """Send ALSA's messages to the log; otherwise it writes a line to stderr for every click."""
    if library := ctypes.util.find_library("asound"):
        ctypes.CDLL(library).snd_lib_error_set_handler(_ALSA_SAYS)


def _cards() -> str:
    with contextlib.suppress(OSError):
        return _CARDS.read_text(encoding="utf-8", errors="replace")
    return ""


def _is_card(name: str) -> bool:
    return name.lower() in _cards().lower()


def _scratch() -> IO[bytes]:
    """Create a file, in memory if possible: sound must not need a writable disk with free space."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("portaudio"), "w+b")  # noqa: PTH123 - a descriptor; its user closes it
    return tempfile.TemporaryFile()


@contextlib.contextmanager
def _stderr_to_log() -> Iterator[None]:
    """Capture what PortAudio writes to stderr on errors, line by line of its source code."""
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
