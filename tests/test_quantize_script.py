"""What `scripts/quantize` sets up before it begins, from a checkout in which nothing is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT


def script(folder: Path, name: str, body: str) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/usr/bin/env bash\n{body}\n")
    file.chmod(0o755)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A checkout with a set-up and a command that tell what they were asked."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(CHECKOUT / "scripts" / "quantize", tmp_path / "scripts")
    script(tmp_path, "scripts/setup", 'echo "setup: $*"')
    script(tmp_path, ".venv/bin/assistant", 'echo "assistant: $*"')
    return tmp_path


@pytest.mark.parametrize(
    ("words", "extras"),
    [
        ("smollm2 --to onnx-int4", "prepare"),
        ("./here/it --to q4_0", "prepare"),
        ("Qwen/Qwen2.5-0.5B-Instruct --for raspberry-pi-4", "prepare hub"),
        ("--to q4_0 Qwen/Qwen2.5-0.5B-Instruct", "prepare hub"),
        ("compare Qwen/Qwen2.5-0.5B-Instruct --types all", "prepare hub"),
        ("scripts/quantize", "prepare"),  # a path that is there
        ("whisper openai/whisper-tiny", "prepare hub"),
        ("whisper --to ct2-int8 openai/whisper-tiny", "prepare hub"),
        ("voice tts_models/en/ljspeech/vits --to onnx-int8", "prepare coqui"),
        ("lora /some/adapter --base mine", "prepare"),
    ],
)
def test_what_it_needs_is_set_up_first(bare: Path, words: str, extras: str) -> None:
    told = subprocess.run(
        [bare / "scripts" / "quantize", *words.split()], cwd=bare, capture_output=True, text=True, check=True
    )
    assert told.stdout.splitlines() == [f"setup: run {extras}", f"assistant: quantize {words}"]


def test_what_cannot_be_set_up_ends_it(bare: Path) -> None:
    """For want of a network, say: the set-up has said so, and nothing follows."""
    script(bare, "scripts/setup", "echo 'pip could not be updated.' >&2; exit 1")
    told = subprocess.run(
        [bare / "scripts" / "quantize", "voice", "x"], cwd=bare, capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == "pip could not be updated.\n"
