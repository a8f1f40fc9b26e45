"""Echoes in simulated rooms: what is left of them, when, and what becomes of a person's voice over them."""

from __future__ import annotations

import numpy as np
import pytest

from assistant.audio.echo.canceller import EchoCanceller
from assistant.audio.echo.reference import Reference
from assistant.audio.files import read_sound
from assistant.audio.resample import to_float
from assistant.core.types import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ, AudioFrame, SpokenAudio
from assistant.tools.bench.room.simulated import Acoustics, living_room, unit_energy
from tests.conftest import Clip
from tests.rooms import babble, in_room, joined, listen, play

DRY = living_room(0.2)
LIVE = living_room(0.6, direct_db=-3)


@pytest.mark.parametrize(
    ("acoustics", "at_least_db"),
    [
        (Acoustics(DRY, echo_db=-6), 25),
        (Acoustics(DRY, echo_db=-20), 15),  # the room's noise is only 22 dB below the echo
        (Acoustics(LIVE, echo_db=-6), 18),
        (Acoustics(LIVE, echo_db=0), 18),
        (Acoustics(DRY, echo_db=-6, latency_ms=20), 25),
        (Acoustics(DRY, echo_db=-6, latency_ms=150), 25),
        (Acoustics(LIVE, echo_db=0, latency_ms=300), 18),
        (Acoustics(LIVE, echo_db=-6, drift_ppm=100), 18),
        (Acoustics(DRY, echo_db=0, drift_ppm=-100), 25),
        (Acoustics(DRY, echo_db=-6, latency_ms=300, drift_ppm=-60), 22),
    ],
    ids=lambda value: (
        f"{value.echo_db:g}dB-{value.latency_ms}ms-{value.drift_ppm:g}ppm"
        if isinstance(value, Acoustics)
        else None
    ),
)
def test_an_echo_is_gone_after_some_seconds_and_nobody_is_heard_in_it(
    acoustics: Acoustics, at_least_db: float
) -> None:
    listening = in_room(acoustics)
    for seed in range(3):
        play(listening, babble(4, seed))
        listen(listening, 1)
    play(listening, babble(4, seed=9))
    assert listening.echo_loss_db(last_s=4) >= at_least_db
    assert listening.taken_for_somebody(last_s=8) == 0
    assert listening.canceller.drift_ppm == pytest.approx(acoustics.drift_ppm, abs=8)


def test_it_is_never_taken_for_somebody_not_even_before_the_room_is_known() -> None:
    listening = in_room(Acoustics(LIVE, echo_db=0, latency_ms=200, drift_ppm=100))
    listen(listening, 1)
    play(listening, babble(6))
    listen(listening, 2)
    assert sum(not frame.is_echo for frame in listening.cancelled[60:390]) <= 2


def test_a_recorded_room_and_real_speech(shared_audio: list[Clip]) -> None:
    response = next(clip for clip in shared_audio if clip.category == "rir")
    speech = [clip for clip in shared_audio if clip.category.startswith("dialog") and clip.seconds > 5][:5]
    listening = in_room(
        Acoustics(unit_energy(to_float(read_sound(response.path))), echo_db=-3, drift_ppm=100)
    )
    for clip in speech:
        play(listening, read_sound(clip.path))
        listen(listening, 1)
    assert listening.echo_loss_db(last_s=5) >= 14
    assert listening.taken_for_somebody(last_s=12) <= 3, "breaths of the recording, not its echo"
    assert listening.canceller.drift_ppm == pytest.approx(100, abs=8)


@pytest.mark.parametrize(("person_db", "within_ms"), [(0, 80), (-6, 200)])
def test_somebody_who_speaks_over_it_is_heard_soon_and_undistorted(person_db: float, within_ms: int) -> None:
    listening = in_room(Acoustics(LIVE, echo_db=-6))
    for seed in range(3):
        play(listening, babble(4, seed))
    person = to_float(babble(3, seed=77)) * np.float32(10 ** ((-6 + person_db) / 20))
    listening.room.say(person)
    play(listening, babble(4, seed=5))
    cancelled = to_float(joined(listening.cancelled[-200:]))[: len(person)]
    left = cancelled - person
    assert 10 * np.log10(np.square(person).mean() / np.square(left).mean()) > 12
    loud = np.square(person.reshape(-1, FRAME_SAMPLES)).mean(axis=1) > 0.1 * np.square(person).mean()
    noticed = [not frame.is_echo for frame in listening.cancelled[-200:][: len(loud)]]
    assert np.mean(np.array(noticed)[loud]) > 0.5
    assert any(noticed[int(np.flatnonzero(loud)[0]) :][: within_ms // FRAME_MS])


def test_who_speaks_over_it_does_not_spoil_what_it_knows() -> None:
    listening = in_room(Acoustics(DRY, echo_db=-6))
    for seed in range(3):
        play(listening, babble(4, seed))
    listening.room.say(to_float(babble(3, seed=77)))
    play(listening, babble(4, seed=5))
    listen(listening, 1)
    play(listening, babble(2, seed=6))
    assert listening.echo_loss_db(last_s=2) > 18
    assert listening.taken_for_somebody(last_s=2) == 0


def test_while_nothing_is_played_frames_pass_as_they_are() -> None:
    listening = in_room(Acoustics(DRY))
    listening.room.say(to_float(babble(1)))
    listen(listening, 1)
    assert all(before is after for before, after in zip(listening.heard, listening.cancelled, strict=True))


def test_without_a_speaker_frames_pass_as_they_are() -> None:
    frame = AudioFrame(babble(1)[:FRAME_SAMPLES], end_s=1.0)
    assert EchoCanceller(Reference()).process(frame) is frame


def test_a_room_that_changes_is_learnt_again() -> None:
    listening = in_room(Acoustics(DRY, echo_db=-6))
    for seed in range(3):
        play(listening, babble(4, seed))
    moved = in_room(Acoustics(living_room(0.2, seed=4), echo_db=-9)).room
    listening.room._response = moved._response
    for seed in range(4):
        play(listening, babble(4, 20 + seed))
    assert listening.echo_loss_db(last_s=3) > 15
    assert listening.taken_for_somebody(last_s=3) == 0


@pytest.mark.parametrize("lost", [1, 4, 10])
def test_sound_that_was_lost_is_noticed_at_once(lost: int) -> None:
    """The microphone's driver dropped up to a fifth of a second, in the middle of a word."""
    listening = in_room(Acoustics(DRY, echo_db=-6))
    for seed in range(3):
        play(listening, babble(4, seed))
    listening.room.speaker.write(SpokenAudio("", babble(6, seed=10), SAMPLE_RATE_HZ))
    listen(listening, 2)
    for _ in range(lost):
        frame = listening.room.next_frame((len(listening.heard) + 1) * FRAME_MS / 1000)
        listening.heard.append(frame)
        listening.cancelled.append(frame)
    listen(listening, 4)
    assert listening.taken_for_somebody(last_s=4) <= 1
    assert listening.echo_loss_db(last_s=2) > 18


def test_a_volume_that_changes_is_nobody() -> None:
    listening = in_room(Acoustics(LIVE, echo_db=-12))
    for seed in range(3):
        play(listening, babble(4, seed))
    listening.room.speaker.write(SpokenAudio("", babble(6, seed=10), SAMPLE_RATE_HZ))
    listen(listening, 2)
    listening.room._response = listening.room._response * 4
    listen(listening, 4)
    assert listening.taken_for_somebody(last_s=4) <= 1
    assert listening.echo_loss_db(last_s=2) > 15


def test_a_speaker_that_was_opened_anew_is_followed() -> None:
    reference = Reference()
    canceller = EchoCanceller(reference)
    sound = babble(12)
    echo = np.concatenate([np.zeros(800, np.int16), sound // 2])
    loss_db = 0.0
    for begin_s in (0.0, 100.0):
        played = reference.begin(SAMPLE_RATE_HZ)
        before = after = 1e-9
        for at in range(0, len(sound) - FRAME_SAMPLES, FRAME_SAMPLES):
            played.tell(sound[at : at + FRAME_SAMPLES])
            pcm = echo[at : at + FRAME_SAMPLES]
            frame = canceller.process(AudioFrame(pcm, begin_s + (at + FRAME_SAMPLES) / SAMPLE_RATE_HZ))
            if at > 8 * SAMPLE_RATE_HZ:
                before += np.square(to_float(pcm)).sum()
                after += np.square(to_float(frame.pcm)).sum()
        loss_db = 10 * np.log10(before / after)
    assert loss_db > 20


def test_silence_costs_and_leaves_nothing() -> None:
    listening = in_room(Acoustics(DRY))
    play(listening, np.zeros(SAMPLE_RATE_HZ, np.int16))
    assert np.array_equal(joined(listening.heard), joined(listening.cancelled))


def test_a_speaker_that_nobody_hears_leaves_the_floor_to_people() -> None:
    """Headphones: nothing of what is played is heard, so all that is heard is somebody."""
    listening = in_room(Acoustics(DRY, echo_db=-120))
    play(listening, babble(4, seed=11))  # seed 0 is the room's own noise
    assert listening.canceller.status.state == "inaudible"
    listening.room.say(to_float(babble(2, seed=7)))
    play(listening, babble(2, seed=1))
    heard = [frame for frame in listening.cancelled[-100:] if not frame.is_echo]
    assert len(heard) > 30


def test_a_speaker_that_is_switched_on_is_nobody() -> None:
    listening = in_room(Acoustics(DRY, echo_db=-120))
    play(listening, babble(4, seed=11))
    listening.room._response = in_room(Acoustics(DRY, echo_db=-6)).room._response
    play(listening, babble(4, seed=1))
    assert listening.taken_for_somebody(last_s=4) <= 1
    assert listening.canceller.status.state == "controlled"


def test_an_echo_over_bluetooth_is_far_and_nobody() -> None:
    listening = in_room(Acoustics(DRY, echo_db=-6, latency_ms=620))
    for seed in range(3):
        play(listening, babble(4, seed))
    assert listening.canceller.status.state == "far"
    assert listening.canceller.status.late_ms == pytest.approx(620, abs=30)
    listening.room.say(to_float(babble(2, seed=7)))
    play(listening, babble(4, seed=5))
    assert listening.taken_for_somebody(last_s=12) == 0, "only the wake word interrupts"


def test_a_loudspeaker_that_clips_is_nobody() -> None:
    """It distorts what is loud only, which no linear filter takes out."""
    reference = Reference()
    canceller, played = EchoCanceller(reference), reference.begin(SAMPLE_RATE_HZ)
    sound = np.concatenate([babble(4, seed, peak=0.9) for seed in range(8)])
    clipped = np.clip(sound, -10_000, 10_000) // 2
    echo = np.concatenate([np.zeros(1600, np.int16), clipped])
    near = 0
    for at in range(0, len(sound) - FRAME_SAMPLES, FRAME_SAMPLES):
        played.tell(sound[at : at + FRAME_SAMPLES])
        end_s = (at + FRAME_SAMPLES) / SAMPLE_RATE_HZ
        near += canceller.process(AudioFrame(echo[at : at + FRAME_SAMPLES], end_s)).is_near
    assert near <= 4


def test_it_is_never_louder_than_what_was_heard() -> None:
    """The loudspeaker is unplugged in the middle of a word: the filter still predicts its echo."""
    listening = in_room(Acoustics(DRY, echo_db=0))
    for seed in range(3):
        play(listening, babble(4, seed))
    listening.room._response = listening.room._response * 0
    play(listening, babble(2, seed=9))
    for before, after in zip(listening.heard[-100:], listening.cancelled[-100:], strict=True):
        powers = [np.square(to_float(frame.pcm)).sum() for frame in (before, after)]
        assert powers[1] <= 1.3 * powers[0] + 1e-6
    assert listening.taken_for_somebody(last_s=2) == 0


def test_false_alarms_make_it_warier() -> None:
    quiet_person = Acoustics(LIVE, echo_db=-6)
    found = []
    for alarms in (0, 5):
        listening = in_room(quiet_person)
        for seed in range(3):
            play(listening, babble(4, seed))
        for _ in range(alarms):
            listening.canceller.was_wrong()
        listening.room.say(to_float(babble(3, seed=77)) * np.float32(0.05))
        play(listening, babble(4, seed=5))
        found.append(listening.taken_for_somebody(last_s=4))
    assert found[1] < found[0]
