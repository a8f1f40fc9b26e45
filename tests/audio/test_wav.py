"""The microphone and the speaker that are recordings: exact in virtual time, true in real time."""

from __future__ import annotations

import asyncio
import time
import wave
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.audio.files import read_sound
from assistant.audio.wav import GAP_S, WavMicrophone, WavSpeaker
from assistant.core.errors import AudioFileInvalid
from assistant.core.types import FRAME_SAMPLES, SAMPLE_RATE_HZ, AudioFrame, Pcm16, SpokenAudio
from assistant.runtime import clock

RATE_HZ = 22_050


def sound(seconds: float, value: int = 1000, rate_hz: int = RATE_HZ) -> SpokenAudio:
    return SpokenAudio("words", np.full(round(seconds * rate_hz), value, np.int16), rate_hz)


async def heard(microphone: WavMicrophone, count: int) -> list[AudioFrame]:
    frames: list[AudioFrame] = []
    async with aclosing(microphone.frames()) as source:
        async for frame in source:
            frames.append(frame)
            if len(frames) == count:
                break
    return frames


def joined(frames: list[AudioFrame]) -> Pcm16:
    return np.concatenate([frame.pcm for frame in frames])


def test_frames_come_on_schedule() -> None:
    async def main() -> None:
        now = asyncio.get_running_loop().time
        begin_s, number = now(), 0
        async with aclosing(WavMicrophone([]).frames()) as frames:
            async for frame in frames:
                number += 1
                assert frame.end_s == pytest.approx(begin_s + number * 0.02, abs=1e-9)
                assert now() == pytest.approx(frame.end_s, abs=1e-6)
                if number == 5_000:
                    break

    clock.run(main(), "virtual")


def test_who_is_late_gets_every_frame_with_its_own_time() -> None:
    async def main() -> None:
        now = asyncio.get_running_loop().time
        begin_s, late_s = now(), []
        async with aclosing(WavMicrophone([np.arange(3200, dtype=np.int16)]).frames()) as frames:
            got: list[AudioFrame] = []
            async for frame in frames:
                if len(got) == 2:
                    await asyncio.sleep(0.1)
                got.append(frame)
                late_s.append(now() - frame.end_s)
                if len(got) == 20:
                    break
        assert np.array_equal(joined(got)[:3200], np.arange(3200))
        assert [frame.end_s - begin_s for frame in got] == pytest.approx([0.02 * n for n in range(1, 21)])
        assert late_s == pytest.approx([0, 0, 0.1, 0.08, 0.06, 0.04, 0.02] + [0] * 13, abs=1e-6)

    clock.run(main(), "virtual")


def test_a_clip_is_followed_by_silence_until_the_next_is_told() -> None:
    first, second = np.full(500, 5, np.int16), np.full(320, 7, np.int16)

    async def main() -> None:
        begin_s = asyncio.get_running_loop().time()
        microphone = WavMicrophone([first, second])
        got: list[AudioFrame] = []
        assert microphone.sounding
        async with aclosing(microphone.frames()) as frames:
            async for frame in frames:
                got.append(frame)
                if len(got) == 10:
                    assert not microphone.sounding
                    assert microphone.feed_next()
                    assert microphone.sounding
                    assert not microphone.feed_next()
                if len(got) == 15:
                    microphone.finish()
        pcm = joined(got)
        assert len(got) == 15
        assert (pcm[:500] == 5).all()
        assert not pcm[500 : 10 * FRAME_SAMPLES].any()
        assert (pcm[10 * FRAME_SAMPLES : 11 * FRAME_SAMPLES] == 7).all()
        assert not pcm[11 * FRAME_SAMPLES :].any()
        assert microphone.started_s == pytest.approx([begin_s, begin_s + 0.2])

    clock.run(main(), "virtual")


def test_real_time_is_kept_over_a_second() -> None:
    begin_s = time.monotonic()
    frames = clock.run(heard(WavMicrophone([np.ones(16_000, np.int16)]), 50))
    elapsed_s = time.monotonic() - begin_s

    assert joined(frames).all()
    assert elapsed_s >= 0.99
    assert frames[-1].end_s - frames[0].end_s == pytest.approx(0.98, abs=1e-6)


def test_what_is_heard_grows_with_time_and_is_then_drained(tmp_path: Path) -> None:
    async def main() -> None:
        now = asyncio.get_running_loop().time
        speaker = WavSpeaker(tmp_path / "reply.wav")
        await speaker.open()
        assert speaker.heard_s == 0
        await asyncio.sleep(3)
        begin_s = now()
        speaker.write(sound(1.0))
        speaker.write(sound(0.5))
        await asyncio.sleep(0.6)
        assert speaker.heard_s == pytest.approx(0.6, abs=1e-3)
        await speaker.drained()
        assert now() - begin_s == pytest.approx(1.5, abs=1e-3)
        assert speaker.heard_s == pytest.approx(1.5, abs=1e-3)
        await speaker.drained()
        await asyncio.sleep(9)
        assert speaker.heard_s == pytest.approx(1.5, abs=1e-3)
        speaker.close()

    clock.run(main(), "virtual")
    assert len(read_sound(tmp_path / "reply.wav")) == pytest.approx(1.5 * SAMPLE_RATE_HZ, abs=20)


def test_a_cut_stops_at_once_and_the_rest_is_not_in_the_file(tmp_path: Path) -> None:
    async def main() -> None:
        now = asyncio.get_running_loop().time
        speaker = WavSpeaker(tmp_path / "reply.wav", sample_rate_hz=SAMPLE_RATE_HZ)
        for value in (1, 2, 3):
            speaker.write(sound(0.1, value, SAMPLE_RATE_HZ))
        await asyncio.sleep(0.15)
        waiting = asyncio.ensure_future(speaker.drained())
        await asyncio.sleep(0)
        speaker.cut()
        cut_s = now()
        await waiting
        assert now() - cut_s <= 0.05
        assert speaker.heard_s == pytest.approx(0.15, abs=1e-3)
        await asyncio.sleep(0.1)
        speaker.write(sound(0.1, 9, SAMPLE_RATE_HZ))
        await speaker.drained()
        assert speaker.heard_s == pytest.approx(0.25, abs=1e-3)
        speaker.close()

    clock.run(main(), "virtual")
    pcm = read_sound(tmp_path / "reply.wav").tolist()
    pause = pcm.count(0)
    assert pcm[:2400] == [1] * 1600 + [2] * 800
    assert pcm[-1600:] == [9] * 1600
    assert pause == pytest.approx(0.1 * SAMPLE_RATE_HZ, abs=400)
    assert len(pcm) == 2400 + pause + 1600


def test_long_pauses_are_shortened_in_the_file_only(tmp_path: Path) -> None:
    async def main() -> None:
        speaker = WavSpeaker(tmp_path / "reply.wav", sample_rate_hz=SAMPLE_RATE_HZ)
        for _ in range(3):
            speaker.write(sound(0.1, rate_hz=SAMPLE_RATE_HZ))
            await speaker.drained()
            await asyncio.sleep(60)
        assert speaker.underruns == 0
        assert speaker.heard_s == pytest.approx(0.3, abs=1e-3)
        speaker.close()

    clock.run(main(), "virtual")
    assert len(read_sound(tmp_path / "reply.wav")) == pytest.approx((0.3 + 2 * GAP_S) * SAMPLE_RATE_HZ, abs=2)


def test_an_answer_that_falls_silent_on_the_way_is_counted() -> None:
    async def main() -> None:
        speaker = WavSpeaker(None)
        speaker.write(sound(0.1))
        await asyncio.sleep(0.3)
        speaker.write(sound(0.1))
        assert speaker.underruns == 1
        speaker.cut()
        await asyncio.sleep(0.3)
        speaker.write(sound(0.1))
        assert speaker.underruns == 1
        speaker.close()

    clock.run(main(), "virtual")


def test_other_rates_are_resampled_to_the_first(tmp_path: Path) -> None:
    async def main() -> None:
        speaker = WavSpeaker(tmp_path / "reply.wav")
        speaker.write(sound(0.2, rate_hz=22_050))
        speaker.write(sound(0.2, rate_hz=48_000))
        await speaker.drained()
        assert speaker.heard_s == pytest.approx(0.4, abs=1e-3)
        speaker.close()

    clock.run(main(), "virtual")
    assert len(read_sound(tmp_path / "reply.wav")) == pytest.approx(0.4 * SAMPLE_RATE_HZ, abs=10)


def test_a_file_that_could_not_be_written_is_known_at_once(tmp_path: Path) -> None:
    with pytest.raises(AudioFileInvalid, match="cannot be written"):
        asyncio.run(WavSpeaker(tmp_path / "missing" / "reply.wav").open())


def test_the_volume_holds_for_what_is_written_after_it(tmp_path: Path) -> None:
    async def main() -> None:
        speaker = WavSpeaker(tmp_path / "reply.wav", SAMPLE_RATE_HZ)
        speaker.write(sound(0.1, 8000, SAMPLE_RATE_HZ))
        speaker.volume = 0.5
        speaker.write(sound(0.1, 8000, SAMPLE_RATE_HZ))
        await speaker.drained()
        speaker.close()

    clock.run(main(), "virtual")
    assert read_sound(tmp_path / "reply.wav").tolist() == [8000] * 1600 + [2000] * 1600


def test_silence_all_along_is_a_valid_empty_file(tmp_path: Path) -> None:
    WavSpeaker(tmp_path / "reply.wav").close()

    assert (tmp_path / "reply.wav").stat().st_size == 44


@given(st.lists(st.tuples(st.sampled_from("wwcs"), st.floats(0.001, 0.5)), max_size=25))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_heard_never_goes_back_and_the_file_holds_what_was_heard(
    tmp_path: Path, steps: list[tuple[str, float]]
) -> None:
    path = tmp_path / "reply.wav"
    heard_s = 0.0

    async def main() -> None:
        nonlocal heard_s
        speaker = WavSpeaker(path, sample_rate_hz=SAMPLE_RATE_HZ)
        for step, seconds in steps:
            if step == "w":
                speaker.write(sound(seconds, rate_hz=SAMPLE_RATE_HZ))
            elif step == "c":
                speaker.cut()
            else:
                await asyncio.sleep(seconds)
            assert speaker.heard_s >= heard_s - 1e-9
            heard_s = speaker.heard_s
        speaker.close()

    clock.run(main(), "virtual")
    with wave.open(str(path), "rb") as file:
        samples = np.count_nonzero(np.frombuffer(file.readframes(file.getnframes()), np.int16))
    assert samples == pytest.approx(heard_s * SAMPLE_RATE_HZ, abs=len(steps) + 1)
