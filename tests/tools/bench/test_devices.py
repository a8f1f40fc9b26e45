"""The bench that goes through real devices: its sound server, what it measures with, and one cell of it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from assistant.audio.files import write_wav
from assistant.audio.resample import Samples
from assistant.cli.main import main
from assistant.core.types import SAMPLE_RATE_HZ
from assistant.tools.bench.barge_in_devices import OWN_VOICE, PEOPLE, Plan, as_text
from assistant.tools.bench.room.echo_path import BLOCK_SAMPLES, Cell, Way, open_path
from assistant.tools.bench.room.monitors import Monitor, found_in
from assistant.tools.bench.room.sound_server import Kind, echoing_server, missing
from tests.rooms import babble

DRY = np.ones(1, np.float32)


def through(way: Way, sound: Samples) -> Samples:
    blocks = sound[: len(sound) // BLOCK_SAMPLES * BLOCK_SAMPLES].reshape(-1, BLOCK_SAMPLES)
    return np.concatenate([way.through(block) for block in blocks])


def clicks(seconds: float, *places: int) -> Samples:
    sound = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)
    sound[list(places)] = 0.5
    return sound


def loud(sound: Samples) -> list[int]:
    return [int(at) for at in np.flatnonzero(np.abs(sound) > 0.02)]


def test_the_pump_delays_and_softens() -> None:
    response = np.zeros(50, np.float32)
    response[[0, 40]] = 1.0, 0.5
    heard = through(Way(Cell(0.5, 100), response, own_delay_ms=20), clicks(1, 0))
    assert loud(heard) == [1280, 1320]
    assert heard[1280] == pytest.approx(0.25, abs=0.01)


def test_a_delay_that_jumps_comes_back() -> None:
    way = Way(Cell(1.0, 100), DRY, own_delay_ms=0)
    places = []
    for delay_ms in (100, 150, 100):
        way.delay(delay_ms)
        places += loud(through(way, clicks(1, 1600)))
    assert places == [3200, 4000, 3200]


def test_a_fast_loudspeaker_is_heard_for_a_shorter_time() -> None:
    heard = through(Way(Cell(1.0, 0, drift_ppm=300), DRY), np.ones(20 * SAMPLE_RATE_HZ, np.float32))
    assert len(heard) == pytest.approx(20 * SAMPLE_RATE_HZ * (1 - 3e-4), abs=3)


def test_a_loudspeaker_clips() -> None:
    heard = through(Way(Cell(2.0, 0, clip=0.3), DRY), clicks(0.1, 0))
    assert heard.max() == pytest.approx(0.6, abs=0.01)


def test_parts_are_the_whole_grid_and_interruptions_are_spread_over_it() -> None:
    everything = Plan(
        scenes=(OWN_VOICE, PEOPLE), gains=(0.1, 1, 2), delays_ms=(5, 40), person_db=(0, -6)
    ).jobs()
    parts = [
        Plan(
            scenes=(OWN_VOICE, PEOPLE), gains=(0.1, 1, 2), delays_ms=(5, 40), person_db=(0, -6), part=(n, 4)
        ).jobs()
        for n in range(1, 5)
    ]
    assert sorted(job.name for part in parts for job in part) == sorted(job.name for job in everything)
    for level_db in (0, -6):
        counts = [job.count for job in everything if (job.scene, job.level_db) == (PEOPLE, level_db)]
        assert sum(counts) == 100
        assert set(counts) == {16, 17}


def test_a_plan_has_another_name_for_every_cell() -> None:
    cells = [
        Cell(0.25, 40),
        Cell(0.25, 120),
        Cell(0.25, 40, room="rir.wav"),
        Cell(0.25, 40, drift_ppm=100),
        Cell(0.25, 40, lie_ms=50),
        Cell(0.25, 40, volume_steps=True),
        Cell(0.25, 40, jump_ms=50),
        Cell(0.25, 40, clip=0.5),
    ]
    assert len({cell.name for cell in cells}) == len(cells)


@pytest.mark.sound_server
@pytest.mark.parametrize("kind", ["pulseaudio", "pipewire"])
@pytest.mark.parametrize("clip", [0.0, 0.9])
def test_what_the_speaker_plays_comes_back_as_asked(kind: Kind, clip: float, tmp_path: Path) -> None:
    """Without clipping by the server itself, with it by the pump."""
    if reason := missing(kind):
        pytest.skip(reason)
    voice = babble(1.5)
    write_wav(tmp_path / "voice.wav", voice, SAMPLE_RATE_HZ)
    with echoing_server(kind) as server:
        path = open_path(server.room.server, Cell(0.5, 200, clip=clip))
        room, speaker = Monitor(server.room), Monitor(server.speaker)
        began_s = time.monotonic()
        server.speaker.play(tmp_path / "voice.wav")
        time.sleep(0.6)
        (heard, heard_s), (played, played_s) = (
            each.between(began_s - 0.5, time.monotonic()) for each in (room, speaker)
        )
        for each in (room, speaker):
            each.stop()
        path.close()
    late_s = (heard_s + found_in(voice, heard) / SAMPLE_RATE_HZ) - (
        played_s + found_in(voice, played) / SAMPLE_RATE_HZ
    )
    assert late_s == pytest.approx(0.2, abs=0.06)
    assert np.abs(heard).max() == pytest.approx(np.abs(played).max() / 2, rel=0.1)


@pytest.mark.models
@pytest.mark.sound_server
def test_a_cell_is_measured_kept_recorded_and_replayed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    if reason := missing():
        pytest.skip(reason)
    kept = ["--keep", str(tmp_path / "kept.jsonl")]
    arguments = ["bench", "barge-in", "--path", "devices", "--gains", "0.5", "--delays", "60"]
    assert main([*arguments, "--announcements", "1", *kept, "--record", str(tmp_path / "trace")]) == 0
    document = json.loads(capsys.readouterr().out.strip().splitlines()[-1])["devices"]
    (cell,) = document["cells"]
    assert (cell["cell"], cell["announcements"], cell["hushed"]) == ("gain0.5_60ms", 1, 0)
    assert cell["gain"] == pytest.approx(0.5, abs=0.1)
    assert "gain0.5_60ms" in as_text(document)
    assert main([*arguments, "--announcements", "1", *kept]) == 0
    assert json.loads(capsys.readouterr().out.strip().splitlines()[-1])["devices"]["cells"] == [cell]
    assert main(["bench", "barge-in", "--replay", str(tmp_path / "trace")]) == 0
    (recording,) = json.loads(capsys.readouterr().out.strip().splitlines()[-1])["recordings"]
    assert recording["kind"] == "far end"
    assert recording["playing_s"] > 3
