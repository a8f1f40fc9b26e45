"""Every speech detector: the same contract, on real speech and on sounds that are none."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import soundfile

from assistant import engines
from assistant.core.types import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm16
from assistant.engines import Vad
from assistant.engines.specs import SPECS
from assistant.engines.vad.confirmed import ConfirmedVad
from assistant.engines.vad.silero import SileroVad, find_network
from assistant.settings.engines import VadSettings
from tests.conftest import Clip


@pytest.fixture(
    params=[*sorted(each.name for each in SPECS if each.kind == "vad" and not each.is_scripted), "confirmed"]
)
def vad(request: pytest.FixtureRequest) -> Vad:
    confirmed = request.param == "confirmed"
    detector = ConfirmedVad(load("webrtc"), load("silero")) if confirmed else load(request.param)
    detector.warm_up()
    return detector


def load(name: Any) -> Vad:
    detector: Vad = engines.load("vad", name, settings=VadSettings(engine=name))
    return detector


def probabilities(vad: Vad, pcm: Pcm16) -> list[float]:
    whole = len(pcm) // FRAME_SAMPLES * FRAME_SAMPLES
    return [vad.speech_probability(frame) for frame in pcm[:whole].reshape(-1, FRAME_SAMPLES)]


def speech_share(vad: Vad, pcm: Pcm16) -> float:
    return float(np.mean(np.array(probabilities(vad, pcm)) >= VadSettings().threshold))


def read(clip: Clip) -> Pcm16:
    pcm, sample_rate_hz = soundfile.read(clip.path, dtype="int16")
    assert sample_rate_hz == SAMPLE_RATE_HZ
    return np.asarray(pcm, dtype=np.int16)


def quiet_noise(seconds: float) -> Pcm16:
    noise = np.random.default_rng(0).normal(0, 20, round(seconds * SAMPLE_RATE_HZ))
    return noise.astype(np.int16)


def test_silence_and_quiet_noise_are_not_speech(vad: Vad) -> None:
    assert speech_share(vad, np.zeros(2 * SAMPLE_RATE_HZ, dtype=np.int16)) == 0.0
    assert speech_share(vad, quiet_noise(2)) < 0.05


def test_probabilities_stay_in_range_for_extreme_samples(vad: Vad) -> None:
    extremes = np.tile(np.array([-32768, 32767], dtype=np.int16), SAMPLE_RATE_HZ // 2)
    assert all(0.0 <= probability <= 1.0 for probability in probabilities(vad, extremes))


def test_every_command_has_speech_and_quiet_around_it(vad: Vad, shared_audio: list[Clip]) -> None:
    commands = [clip for clip in shared_audio if clip.category == "commands" and clip.seconds > 5]
    assert commands
    for clip in commands:
        vad.reset()
        assert 0.1 < speech_share(vad, read(clip)) < 0.9, clip.path.name


def test_reset_makes_the_stream_begin_anew(vad: Vad, shared_audio: list[Clip]) -> None:
    speech = read(next(clip for clip in shared_audio if clip.category == "commands"))
    first = probabilities(vad, speech)
    vad.reset()
    assert probabilities(vad, speech) == first


def test_warm_up_leaves_nothing_behind(vad: Vad, shared_audio: list[Clip]) -> None:
    speech = read(next(clip for clip in shared_audio if clip.category == "commands"))
    vad.reset()
    fresh = probabilities(vad, speech)
    vad.reset()
    vad.warm_up()
    assert probabilities(vad, speech) == fresh


def test_higher_aggressiveness_hears_less_speech_in_noise(shared_audio: list[Clip]) -> None:
    kitchen = read(next(clip for clip in shared_audio if clip.path.stem == "dishes"))
    shares = []
    for aggressiveness in range(4):
        vad: Vad = engines.load("vad", "webrtc", settings=VadSettings(aggressiveness=aggressiveness))
        shares.append(speech_share(vad, kitchen))
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > shares[3]


def test_silero_follows_speech_within_two_chunks(shared_audio: list[Clip]) -> None:
    vad: Vad = engines.load("vad", "silero", settings=VadSettings(engine="silero"))
    speech = read(next(clip for clip in shared_audio if clip.path.stem == "audio"))
    changes = [a != b for a, b in itertools.pairwise(probabilities(vad, speech))]
    # A chunk is 512 samples: of 320-sample frames at most one in a row completes none.
    assert not any(not a and not b for a, b in itertools.pairwise(changes))


def lag_s(vad: Vad, speech: Pcm16, noise: Pcm16) -> float:
    """How long after the end of ``speech`` the detector still hears some, with ``noise`` behind it."""
    vad.reset()
    heard = np.flatnonzero(np.array(probabilities(vad, np.concatenate([speech, noise]))) >= 0.5)
    return float((heard[-1] + 1) * FRAME_SAMPLES / SAMPLE_RATE_HZ - len(speech) / SAMPLE_RATE_HZ)


def test_confirmed_lets_go_of_speech_where_a_fan_is_running(shared_audio: list[Clip]) -> None:
    commands = [read(clip) for clip in shared_audio if clip.category == "commands"][:12]
    fan = (np.random.default_rng(1).normal(0, 60, 3 * SAMPLE_RATE_HZ)).astype(np.int16)
    alone, confirmed = load("webrtc"), ConfirmedVad(load("webrtc"), load("silero"))
    assert max(lag_s(alone, speech, fan) for speech in commands) > 1.0
    assert max(lag_s(confirmed, speech, fan) for speech in commands) < 0.3


def test_confirmed_lets_the_second_sleep_in_a_quiet_room_and_wakes_it_in_time(
    shared_audio: list[Clip],
) -> None:
    asked = 0

    class Counting(SileroVad):
        def speech_probability(self, pcm: Pcm16) -> float:
            nonlocal asked
            asked += 1
            return super().speech_probability(pcm)

    vad = ConfirmedVad(load("webrtc"), Counting(find_network()))
    speech_share(vad, quiet_noise(20))
    assert asked < 0.05 * 20 * SAMPLE_RATE_HZ / FRAME_SAMPLES
    speech = read(next(clip for clip in shared_audio if clip.category == "commands"))
    vad.reset()
    both = np.array(probabilities(vad, speech)) >= 0.5
    alone = np.array(probabilities(load("silero"), speech)) >= 0.5
    assert np.mean(both != alone) < 0.05
