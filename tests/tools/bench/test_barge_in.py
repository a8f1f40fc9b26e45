"""What the bench of interruptions counts, and that it is true of real engines in a simulated room."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from assistant.audio.resample import to_float
from assistant.cli.main import main
from assistant.core.errors import AudioFileInvalid
from assistant.core.types import SAMPLE_RATE_HZ, SpokenAudio
from assistant.runtime import clock
from assistant.tools.bench.barge_in import Interruption, onset, sorted_out, summary
from assistant.tools.bench.lib.clips import Clip
from assistant.tools.bench.lib.speech_end import Spoken
from assistant.tools.bench.room.simulated import Acoustics, Room, living_room, loudness, unit_energy
from tests.rooms import babble

CLIP = Clip("clip.wav", babble(2), Spoken(0.0, 2.0))


def test_a_breath_is_not_the_onset() -> None:
    breath, speech = babble(1) // 40, babble(1, seed=1)
    quiet = np.zeros(SAMPLE_RATE_HZ // 2, np.int16)
    clip = Clip("clip.wav", np.concatenate([breath, quiet, speech]), Spoken(0.0, 2.5))
    assert 1.5 <= onset(clip) <= 1.8


def test_what_breaks_off_before_it_must_be_heard_is_no_interruption() -> None:
    word = babble(1)
    broken = Clip("broken.wav", word[: SAMPLE_RATE_HZ // 10], Spoken(0.0, 0.1))
    assert sorted_out([CLIP, broken]) == ([CLIP], ["broken.wav"])
    with pytest.raises(AudioFileInvalid):
        sorted_out([broken])


def test_who_is_stopped_early_was_not_interrupted() -> None:
    found = summary(
        [
            Interruption(CLIP, cut_ms=50, silent_ms=115),
            Interruption(CLIP, cut_ms=170, silent_ms=235),
            Interruption(CLIP, cut_ms=-20, silent_ms=45),
            Interruption(CLIP, cut_ms=-400, silent_ms=-335),
            Interruption(CLIP, cut_ms=None, silent_ms=None),
        ]
    )
    assert (found["n"], found["stopped"], found["within_150_ms"]) == (5, 3, 2)
    assert found["stopped_before_anybody_spoke"] == 1
    assert (found["cut"]["p50_ms"], found["cut"]["max_ms"]) == (50, 170)
    assert sum(count for _, count in found["steps"]) == 3


def test_responses_are_brought_to_one_form() -> None:
    late = np.concatenate([np.zeros(3000, np.float32), 5 * living_room(0.3)])
    for response in (living_room(0.3), unit_energy(late), living_room(3.0)):
        assert np.square(response).sum() == pytest.approx(1, rel=1e-3)
        assert len(response) < SAMPLE_RATE_HZ
        assert np.abs(response[:40]).max() > 0.1


@pytest.mark.parametrize("latency_ms", [20, 300])
def test_the_room_returns_what_is_played_that_much_later_and_softer(latency_ms: int) -> None:
    click = np.zeros(3200, np.int16)
    click[0] = 20_000
    response = np.zeros(100, np.float32)
    response[0] = 1.0
    room = Room(Acoustics(response, echo_db=-6, latency_ms=latency_ms, noise_db=-120))
    room.speaker.write(SpokenAudio("", click, SAMPLE_RATE_HZ))
    heard = np.concatenate([room.next_frame((n + 1) * 0.02).pcm for n in range(40)])
    assert np.argmax(np.abs(heard)) == pytest.approx(latency_ms * 16, abs=1)
    assert np.abs(heard).max() == pytest.approx(10_000, rel=0.02)


def test_a_fast_loudspeaker_is_ahead_of_the_microphone() -> None:
    clicks = np.zeros(SAMPLE_RATE_HZ * 20, np.int16)
    clicks[0] = clicks[-2000] = 20_000
    response = np.ones(1, np.float32)
    room = Room(Acoustics(response, echo_db=0, drift_ppm=100, noise_db=-120))
    room.speaker.write(SpokenAudio("", clicks, SAMPLE_RATE_HZ))
    heard = np.concatenate([room.next_frame((n + 1) * 0.02).pcm for n in range(1050)]).astype(float)
    first, second = (np.argmax(np.abs(half)) for half in np.split(heard, [100_000]))
    assert second + 100_000 - first == pytest.approx((len(clicks) - 2000) * (1 - 1e-4), abs=1)


def test_a_person_is_heard_at_the_time_that_was_told() -> None:
    room = Room(Acoustics(living_room(), noise_db=-120))
    room.next_frame(0.02)
    begins_s = room.say(np.full(320, 0.5, np.float32))
    assert begins_s == 0.02
    assert loudness(to_float(room.next_frame(0.04).pcm)) == pytest.approx(0.5, rel=0.01)
    assert not room.somebody_talks


def test_a_cut_is_heard_after_what_the_device_holds() -> None:
    async def story() -> None:
        room = Room(Acoustics(living_room(), latency_ms=60))
        room.speaker.write(SpokenAudio("", babble(5), SAMPLE_RATE_HZ))
        for number in range(50):
            room.next_frame((number + 1) * 0.02)
        room.speaker.cut()
        for number in range(50, 60):
            room.next_frame((number + 1) * 0.02)
        assert 1.05 < room.speaker.last_sound_s < 1.08

    clock.run(story(), "virtual")


def test_who_is_silent_already_is_not_cut_again() -> None:
    async def story() -> None:
        speaker = Room(Acoustics(living_room())).speaker
        speaker.write(SpokenAudio("", babble(5), SAMPLE_RATE_HZ))
        for _ in range(2):
            await asyncio.sleep(1)
            speaker.cut()
        assert speaker.cut_s == pytest.approx(1)

    clock.run(story(), "virtual")


@pytest.mark.models
def test_real_engines_fall_silent_for_a_person_and_not_for_themselves(
    capsys: pytest.CaptureFixture[str], shared_audio: list[object]
) -> None:
    arguments = ["bench", "barge-in", "--interruptions", "4", "--minutes", "0.3"]
    commands = Path(__file__).resolve().parents[3].parent / "shared" / "audio" / "commands"
    assert main([*arguments, "--set", str(commands)]) == 0
    *text, line = capsys.readouterr().out.strip().splitlines()
    document = json.loads(line)
    assert document["interruptions"]["within_150_ms"] >= 3
    assert document["interruptions"]["words"]["error_rate"] < 0.5
    assert document["own_voice"]["self_interruptions"] == document["own_voice"]["self_answers"] == 0
    assert any("self-answers" in each for each in text)
