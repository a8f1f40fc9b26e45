"""``assistant doctor --sound``: plays a test sound for ten seconds, records it, and explains the result.

Works without a running assistant, which might be using the devices. ``audio.room_check`` analyzes the
recording.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from assistant.audio import portaudio
from assistant.audio.echo.canceller import EchoCanceller
from assistant.audio.echo.reference import Reference
from assistant.audio.resample import Samples, at_volume, resample, to_float, to_pcm16
from assistant.audio.room_check import RoomCheck, check
from assistant.cli.checks.finding import Finding
from assistant.core.errors import DeviceUnavailable
from assistant.core.types import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ, AudioFrame
from assistant.settings.schema import AudioSettings, Settings

SECONDS = 10

_LATE_MS = 500
"""The echo canceller searches for an echo within this."""

_DRIFT_PPM = 1000
"""Crystals differ by 100; a higher value means that a device doesn't have the rate it reports."""

_WIRE = 0.85
"""Similarity of a sound and its copy over a wire, at whole samples; a room adds its own noise."""

_AUDIBLE_DB = 3.0
"""An echo this far above the room's noise can be distinguished from it."""

_NOISY_DB, _CLIPPED = -40.0, 1e-4

_CANCELS_DB = 12.0
"""With this much echo removed, the wake word is heard over the assistant's own voice."""


def examine(settings: Settings, progress: Callable[[str], None] = lambda _: None) -> Iterator[Finding]:
    """Play and record with the devices in the settings, and yield the findings. Never raises."""
    sound = probe()
    progress(f"Playing a test sound for {SECONDS} seconds. Please be quiet.")
    try:
        channels = play_and_listen(settings.audio, sound)
    except DeviceUnavailable as error:
        step = (
            f"{error.next_step} If the assistant is running, stop it first, because "
            "it keeps its devices open."
        )
        yield Finding("sound", ok=False, what=error.problem, next_step=step)
        return
    if not channels:
        step = "Check its cable and its switch, then run this again."
        yield Finding("sound", ok=False, what="The microphone delivers no sound at all.", next_step=step)
        return
    played = at_volume(sound, settings.audio.volume)
    reference = settings.audio.reference_channel
    microphone = channels[-1 if reference == 1 else 0]
    yield from judge([check(played, heard) for heard in channels], left_db(played, microphone), reference)


def judge(
    channels: Sequence[RoomCheck], left: float | None = None, reference: int | None = None
) -> Iterator[Finding]:
    """Interpret the channels of a microphone.

    ``left`` is what the echo canceller lets through, in dB; ``reference`` is the number of the channel used
    as its reference.
    """
    wires = [_is_wire(channel) for channel in channels]
    if all(wires):
        what = "The microphone picks up only what the speaker plays, and no room: it is a loopback device."
        step = "Choose a real microphone with audio.input. `assistant devices` lists them."
        yield Finding("microphone", ok=False, what=what, next_step=step)
        return
    number = wires.index(True) + 1 if any(wires) else None
    if reference and number != reference:
        what = f"Channel {reference} of the microphone does not carry the speaker's signal."
        step = f"Set audio.reference_channel to {number or 'null'}."
        yield Finding("microphone", ok=False, what=what, next_step=step)
    elif reference:
        what = f"channel {number} carries the speaker's signal and is the echo canceller's reference"
        yield Finding("microphone", ok=True, what=what)
    elif number:
        what = f"Channel {number} of the microphone carries the speaker's signal, not the room."
        step = f"Set audio.reference_channel: {number}, so that the echo canceller uses it as its reference."
        yield Finding("microphone", ok=None, what=what, next_step=step)
    heard = next(channel for channel, wire in zip(channels, wires, strict=True) if not wire)
    yield from _noise(heard)
    yield from _echo(heard)
    if heard.delay_ms is not None:
        yield from _timing(heard)
        yield from _cancelled(heard, left)


def _is_wire(channel: RoomCheck) -> bool:
    return channel.alike > _WIRE and not channel.has_room


def _noise(heard: RoomCheck) -> Iterator[Finding]:
    if not heard.has_room:
        what = "The microphone delivers only zeros while nothing is played."
        step = "Check that it is not muted. A microphone with a noise gate does this too, which is harmless."
        yield Finding("noise", ok=None, what=what, next_step=step)
        return
    is_loud = heard.noise_db > _NOISY_DB
    step = "Move the microphone away from fans, or lower its input level." if is_loud else ""
    yield Finding(
        "noise", ok=None if is_loud else True, what=f"room noise at {heard.noise_db:.0f} dB", next_step=step
    )


def _echo(heard: RoomCheck) -> Iterator[Finding]:
    if heard.clipped > _CLIPPED:
        what = f"The microphone clips: {100 * heard.clipped:.1f} % of its samples are at full scale."
        step = "Lower audio.volume or the microphone's input level, or move the two farther apart."
        yield Finding("clipping", ok=False, what=what, next_step=step)
    else:
        yield Finding("clipping", ok=True, what="none")
    if heard.delay_ms is None or heard.echo_db < heard.noise_db + _AUDIBLE_DB:
        what = "The microphone does not pick up the speaker."
        step = "This is fine with headphones. Otherwise check that the speaker is on and not muted."
        yield Finding("echo", ok=None, what=what, next_step=step)
        return
    above = heard.echo_db - heard.noise_db
    yield Finding("echo", ok=True, what=f"at {heard.echo_db:.0f} dB, {above:.0f} dB above the room noise")


def _timing(heard: RoomCheck) -> Iterator[Finding]:
    assert heard.delay_ms is not None  # noqa: S101
    what = f"the echo arrives after {heard.delay_ms:.0f} ms"
    if heard.delay_ms > _LATE_MS:
        step = (
            "With this delay, only the wake word can interrupt it. Use a wired speaker instead of Bluetooth."
        )
        yield Finding("delay", ok=None, what=what, next_step=step)
    else:
        yield Finding("delay", ok=True, what=what)
    if abs(heard.drift_ppm) > _DRIFT_PPM:
        what = (
            f"The clocks of the microphone and the speaker differ by {abs(heard.drift_ppm) / 10_000:.1f} %."
        )
        step = "Only the wake word can interrupt it. Use one device for both, or set both to the same rate."
        yield Finding("drift", ok=None, what=what, next_step=step)


def _cancelled(heard: RoomCheck, left: float | None) -> Iterator[Finding]:
    if left is None:
        return
    off = heard.echo_db - max(left, heard.noise_db)
    what = f"the echo canceller removes {off:.0f} dB; the rest is at {left:.0f} dB"
    if off < min(_CANCELS_DB, heard.echo_db - heard.noise_db - _AUDIBLE_DB):
        step = "Move the microphone away from the speaker, or lower audio.volume."
        yield Finding("echo canceller", ok=None, what=what, next_step=step)
    else:
        yield Finding("echo canceller", ok=True, what=what)


def probe() -> Samples:
    """Create noise in syllables with pauses, colored like a voice; shape (n,), at 16 kHz."""
    t = np.arange(SECONDS * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    noise = np.random.default_rng(7).normal(size=len(t))
    coloured = np.convolve(noise, [0.3, 0.3, 0.2, 0.2], "same")
    syllables = np.clip(np.sin(2 * np.pi * 4 * t), 0, 1) * ((t > 1) & (t % 2.5 < 1.5))
    sound: Samples = (0.15 * coloured * syllables).clip(-1, 1).astype(np.float32)
    return sound


def play_and_listen(audio: AudioSettings, sound: Samples) -> list[Samples]:
    """Record each channel of the microphone from the moment the speaker starts, at 16 kHz.

    Raises DeviceUnavailable.
    """
    output = portaudio.at_best_rate("output", portaudio.find("output", audio.output))
    source = portaudio.at_best_rate("input", portaudio.find("input", audio.input))
    channels = min(2, source.inputs)
    pcm = to_pcm16(at_volume(resample(sound, SAMPLE_RATE_HZ, output.sample_rate_hz), audio.volume))
    blocks: list[bytes] = []
    began = {"input": math.nan, "output": math.nan}
    given = 0

    def hear(buffer: Any, frames: int, _time: Any, _status: Any) -> None:
        if not blocks:
            began["input"] = time.monotonic() - frames / source.sample_rate_hz
        blocks.append(bytes(buffer))

    def play(buffer: Any, frames: int, _time: Any, _status: Any) -> None:
        nonlocal given
        block = np.frombuffer(buffer, np.int16).reshape(frames, -1)
        block[:] = 0
        if not blocks:  # the microphone may take a while
            return
        if not given:
            began["output"] = time.monotonic()
        piece = pcm[given : given + frames]
        block[: len(piece)] = piece[:, np.newaxis]
        given += frames

    with contextlib.ExitStack() as stack:
        listening = portaudio.open_stream(
            "input", source, hear, channels=channels, block_ms=FRAME_MS, latency_s=0.1
        )
        stack.callback(portaudio.close_stream, listening)
        playing = portaudio.open_stream(
            "output", output, play, channels=min(2, output.outputs), block_ms=FRAME_MS, latency_s=0.1
        )
        stack.callback(portaudio.close_stream, playing)
        deadline_s = time.monotonic() + SECONDS + 5
        while given < len(pcm) + output.sample_rate_hz and time.monotonic() < deadline_s:
            time.sleep(0.05)
    if not blocks or not given:
        return []
    heard = np.frombuffer(b"".join(blocks), np.int16).reshape(-1, channels)
    skip = max(0, round((began["output"] - began["input"]) * source.sample_rate_hz))
    return [
        resample(to_float(np.ascontiguousarray(heard[skip:, channel])), source.sample_rate_hz, SAMPLE_RATE_HZ)
        for channel in range(channels)
    ]


def left_db(played: Samples, heard: Samples) -> float:
    """Return the level of what the echo canceller leaves, after half of the time to learn."""
    reference = Reference()
    stream, canceller = reference.begin(SAMPLE_RATE_HZ), EchoCanceller(reference)
    powers = []
    for begin in range(0, min(len(played), len(heard)) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        end = begin + FRAME_SAMPLES
        end_s = end / SAMPLE_RATE_HZ
        stream.tell(to_pcm16(played[begin:end]))
        rest = canceller.process(AudioFrame(to_pcm16(heard[begin:end]), end_s)).pcm
        if end > len(heard) // 2 and played[begin:end].any():
            powers.append(float(np.square(to_float(rest)).mean()))
    return 10 * math.log10((float(np.mean(powers)) if powers else 0.0) + 1e-12)
