"""``assistant devices`` on a machine that has a microphone and a speaker, and on one that has none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.tools.bench.room.sound_server import missing, sound_server


def devices(*options: str, env: dict[str, str]) -> str:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from assistant.cli.main import main; raise SystemExit(main())",
            "devices",
            *options,
        ],
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.sound_server
@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_devices_are_listed_by_name_and_the_default_is_marked() -> None:
    with sound_server() as server:
        text = devices(env=server.env)
        rows = json.loads(devices("--json", env=server.env))

    microphones, speakers = text.split("\n\n")
    assert "audio.input" in microphones
    assert "  room_microphone" in microphones
    assert "shelf_speaker" not in microphones
    assert "* default" in speakers
    by_name = {row["name"]: row for row in rows}
    assert by_name["default"]["is_default_input"]
    assert by_name["room_microphone"]["outputs"] == 0
    assert by_name["shelf_speaker"]["inputs"] == 0
    assert by_name["shelf_speaker"]["sample_rate_hz"] > 0


def test_a_machine_without_sound_says_so(tmp_path: Path) -> None:
    config = tmp_path / "alsa.conf"
    config.write_text("pcm.none { type none }\n")
    env = {"ALSA_CONFIG_PATH": str(config)}

    assert devices(env=env).count("none is plugged in") == 2
    assert json.loads(devices("--json", env=env)) == []
