"""The first thing a new owner sees: ``scripts/run`` where there is no microphone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from assistant.app.engines import load_stt
from assistant.audio.files import read_sound
from assistant.runtime import paths
from assistant.runtime.cancel import Cancel
from assistant.settings.schema import Settings
from assistant.text.word_error import word_error_rate
from tests.conftest import CHECKOUT

COMMAND = "from assistant.cli.main import main; raise SystemExit(main(['run', '--or-demo']))"


def test_the_script_sets_up_and_asks_for_the_demo(tmp_path: Path) -> None:
    """The script itself, in a checkout of which only set-up and program are doubles that note their call."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / ".venv/bin").mkdir(parents=True)
    shutil.copy(CHECKOUT / "scripts/run", tmp_path / "scripts/run")
    for program in ("scripts/setup", ".venv/bin/assistant"):
        (tmp_path / program).write_text(f'#!/bin/sh\necho "{program} $*"\n', encoding="utf-8")
        (tmp_path / program).chmod(0o755)
    done = subprocess.run(
        [tmp_path / "scripts/run", "--config", "my.yaml"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "scripts/setup run",
        ".venv/bin/assistant run --or-demo --config my.yaml",
    ]


@pytest.mark.models
def test_without_a_microphone_a_recorded_question_is_answered(tmp_path: Path) -> None:
    # A configuration without any card hides those that this machine may have.
    (tmp_path / "asound.conf").write_text("pcm.none { type none }\n", encoding="utf-8")
    environment = {
        **os.environ,
        "ALSA_CONFIG_PATH": str(tmp_path / "asound.conf"),
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path / "data"),  # nobody's timers ring there
        "ASSISTANT__STORE__MODELS": str(paths.models()),
        "PYTHONPATH": str(CHECKOUT),
    }
    done = subprocess.run(
        [sys.executable, "-c", COMMAND],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "There is no microphone, so" in done.stdout
    assert "How old is the Brooklyn Bridge?" in done.stdout
    assert "answered by brooklyn_bridge after" in done.stdout
    assert "1883" in done.stdout
    answer = tmp_path / "assistant-answer.wav"
    assert soundfile.info(answer).duration > 1
    (reply,) = (line.partition("->")[2] for line in done.stdout.splitlines() if line.startswith("  ->"))
    stt = load_stt(Settings())
    heard = stt.transcribe(read_sound(answer), Cancel()).text
    stt.close()
    assert word_error_rate(reply, heard) <= 0.3, (reply, heard)
