"""A stereo microphone of which one channel is the playback: each goes where it belongs."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest

from assistant.audio.device import DeviceMicrophone
from assistant.audio.echo.canceller import EchoCanceller
from assistant.audio.echo.reference import Reference
from assistant.audio.heard import Heard
from assistant.audio.portaudio import Device
from assistant.core.errors import DeviceUnavailable
from assistant.core.types import FRAME_SAMPLES, SAMPLE_RATE_HZ, AudioFrame, Pcm16

LATE = 800
FINE = SimpleNamespace(input_overflow=False)


def noise(seconds: float, level: float, seed: int) -> Pcm16:
    samples = np.random.default_rng(seed).normal(size=round(seconds * SAMPLE_RATE_HZ))
    return (level * 32767 * samples).clip(-32768, 32767).astype(np.int16)


async def heard_of(microphone: Pcm16, played: Pcm16, channel: int, reference: Reference) -> list[AudioFrame]:
    """The frames of a device whose ``channel``, from 0, carries what is played."""
    heard = Heard()
    heard.begin(SAMPLE_RATE_HZ, channel, reference.begin(SAMPLE_RATE_HZ, "board"))
    canceller, frames = EchoCanceller(reference), []
    pair = np.stack([played, microphone] if channel == 0 else [microphone, played], axis=1)
    for begin in range(0, len(pair), FRAME_SAMPLES):
        block = np.ascontiguousarray(pair[begin : begin + FRAME_SAMPLES])
        heard.callback(block.tobytes(), FRAME_SAMPLES, None, FINE)
        frames += [canceller.process(frame) for frame in heard.take()]
    return frames


@pytest.mark.parametrize("channel", [0, 1])
def test_the_other_channel_is_the_reference_and_its_echo_is_taken_out(channel: int) -> None:
    played = noise(4, 0.1, 1)
    played[: SAMPLE_RATE_HZ // 2] = 0
    echo = np.concatenate([np.zeros(LATE, np.int16), played[:-LATE] // 2])
    frames = asyncio.run(heard_of(echo, played, channel, Reference()))
    late = frames[len(frames) // 2 :]
    assert all(frame.is_echo for frame in late)
    left = np.mean([np.square(frame.pcm.astype(float)).mean() for frame in late])
    assert left < 0.05 * np.square(echo.astype(float)).mean()


def test_what_a_wire_carries_while_nothing_is_played_is_not_the_playback() -> None:
    """Otherwise everything would be taken for an echo, and nobody would be heard before the first answer."""
    person, reference = noise(1, 0.1, 2), Reference()
    frames = asyncio.run(heard_of(person, noise(1, 0.0002, 3), 1, reference))
    assert not any(frame.is_echo for frame in frames)
    assert np.array_equal(np.concatenate([frame.pcm for frame in frames]), person)
    assert reference.stream is not None
    assert reference.stream.silent_s == float("inf")


def test_a_microphone_with_one_channel_says_so() -> None:
    one = Device(0, "Mono", 1, 0, SAMPLE_RATE_HZ, is_default_input=True, is_default_output=False)
    with pytest.raises(DeviceUnavailable, match="only one channel") as caught:
        DeviceMicrophone(reference_channel=2)._loopback(one)
    assert "audio.reference_channel" in caught.value.next_step


def test_time_never_runs_backwards_when_late_blocks_are_followed_by_punctual_ones() -> None:
    async def main() -> list[float]:
        heard = Heard()
        heard.begin(SAMPLE_RATE_HZ)
        loop = asyncio.get_running_loop()
        began_s, now_s = loop.time(), 0.0
        loop.time = lambda: began_s + now_s  # type: ignore[method-assign]
        times = []
        for number in range(40):
            late_s = 0.09 if number < 20 else 0.0
            now_s = (number + 1) * 0.02 + late_s
            heard.callback(np.ones(FRAME_SAMPLES, np.int16).tobytes(), FRAME_SAMPLES, None, FINE)
            times += [frame.end_s for frame in heard.take()]
        heard.close()
        return times

    times = np.array(asyncio.run(main()))
    assert len(times) == 40
    assert (np.diff(times) > 0).all()
