"""What waiting for the wake word costs, and how well it is heard; the figures are not judged."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest

from assistant.cli.main import main
from assistant.tools.bench.room.sound_server import missing
from tests.conftest import Clip

pytest.importorskip("pyopen_wakeword")


def test_idle_is_measured_in_a_process_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "idle", "--seconds", "2", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    for room in ("quiet", "speech"):
        assert 0 < document[room]["cpu_percent"] < 100
        assert 20 < document[room]["rss_mb"] < 1000
        assert document[room]["woken"] == 0
    assert document["plain"]["cpu_percent"] > 0
    assert document["ratio"] == round(document["quiet"]["cpu_percent"] / document["plain"]["cpu_percent"], 3)
    assert document["speech_percent"] > 60, "the demo's question, again and again"
    assert document["quiet"]["cpu_percent"] < document["speech"]["cpu_percent"]


@pytest.mark.models
@pytest.mark.sound_server
def test_idle_is_measured_through_devices(capfd: pytest.CaptureFixture[str]) -> None:
    if reason := missing():
        pytest.skip(reason)
    assert main(["bench", "idle", "--path", "devices", "--seconds", "2", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["path"] == "devices"
    assert document["devices"]["room_tone_db"] == -60
    assert 0 < document["devices"]["cpu_percent"] < 100
    assert document["devices"]["rss_mb"] > 20


def test_calls_are_heard_and_what_is_no_call_is_called_missed(
    shared_audio: list[Clip], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "alexa").mkdir()
    (tmp_path / "talk").mkdir()
    call = next(clip for clip in shared_audio if clip.category == "wake/alexa")
    (tmp_path / "alexa" / "a.wav").write_bytes(call.path.read_bytes())
    for name in ("alexa/silence.wav", "talk/silence.wav"):
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(np.zeros(16_000, np.int16).tobytes())
    assert main(["bench", "wake", "--set", str(tmp_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    for contender in ("ours", "plain"):
        assert document[contender]["missed"] == ["alexa/silence"]
        assert document[contender]["woken_by"] == []
        assert document[contender]["by_word"] == {"alexa": {"calls": 2, "missed": 1}}
        assert document[contender]["cpu_s"] > 0


def test_in_noise_every_call_is_heard_at_every_level(
    shared_audio: list[Clip], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "alexa").mkdir()
    call = next(clip for clip in shared_audio if clip.category == "wake/alexa")
    noise = next(clip for clip in shared_audio if clip.path.stem == "white")
    (tmp_path / "alexa" / "a.wav").write_bytes(call.path.read_bytes())
    command = [
        "bench",
        "wake",
        "--set",
        str(tmp_path),
        "--noise",
        str(noise.path),
        "--snr",
        "30,-40",
        "--json",
    ]
    assert main(command) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["calls"], document["talk"]) == (2, 1), "the noise by itself is talk"
    for contender in ("ours", "plain"):
        assert document[contender]["missed"] == ["alexa/a white -40 dB 0"]
        assert document[contender]["woken_by"] == []
