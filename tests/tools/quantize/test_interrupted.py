"""Work that is interrupted at a random moment: the store has whole models only; the next run cleans up."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assistant.runtime import paths
from assistant.store import Store, open_store
from assistant.store.progress import Unwatched
from assistant.tools.quantize.workspace import workspace
from tests.conftest import CHECKOUT
from tests.tools.quantize.conftest import NAME, left_behind
from tests.tools.quantize.whisper_checkpoints import random_checkpoint

pytestmark = pytest.mark.models

SCRIPT = """
import sys
from pathlib import Path
from assistant.tools.quantize import dialogues, making
from assistant.cli.main import main
texts = Path(sys.argv[1])
dialogues.shipped = lambda name: texts / name
print("It begins.", file=sys.stderr, flush=True)
sys.exit(main(sys.argv[2:]))
"""
SIGNALS = (signal.SIGINT, signal.SIGKILL, signal.SIGTERM)


def start(store: Store, texts: Path, *words: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "ASSISTANT__STORE__MODELS": str(store.models_dir)}
    command = [sys.executable, "-c", SCRIPT, str(texts), "quantize", *words, "--force", "--json"]
    process = subprocess.Popen(
        command, cwd=CHECKOUT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "It begins.\n"  # before that Python itself would be interrupted
    return process


def interrupt_and_finish(store: Store, texts: Path, longest_s: float, *words: str) -> None:
    chance = random.Random(7)  # noqa: S311  not for secrets
    for how in SIGNALS:
        with start(store, texts, *words) as process:
            time.sleep(chance.uniform(0.2, longest_s))
            process.send_signal(how)
            _, complaints = process.communicate(timeout=600)
        assert "Traceback" not in complaints
        for entry in open_store(store.models_dir).entries():
            assert entry.state in ("installed", "missing")
        if how != signal.SIGKILL:
            assert left_behind(store.models_dir) == []
    with start(store, texts, *words) as process:
        said, complaints = process.communicate(timeout=600)
    assert process.returncode == 0, complaints
    assert said.count("\n") == 1
    assert left_behind(store.models_dir) == []
    open_store(store.models_dir).verify("mine")


@pytest.mark.usefixtures("few_dialogues")
def test_a_language_model(store: Store, tmp_path: Path) -> None:
    interrupt_and_finish(store, tmp_path / "texts", 12, NAME, "--to", "q8_0", "--as", "mine")


def test_ears(tmp_path: Path) -> None:
    source = random_checkpoint(
        tmp_path / "tiny", paths.models() / "whisper-tiny.en" / "tokenizer.json", words=51864
    )
    store = open_store(tmp_path / "models")
    store.models_dir.mkdir()
    interrupt_and_finish(store, tmp_path, 8, "whisper", str(source), "--as", "mine")


def test_an_interruption_inside_a_callback_is_not_lost(tmp_path: Path) -> None:
    """Python prints and forgets what is raised in a function that a C library called."""
    text = ctypes.CFUNCTYPE(None)
    calls = 0

    def _receive() -> None:
        nonlocal calls
        calls += 1
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), workspace(tmp_path, Unwatched()) as work_dir:  # noqa: PT012
        text(_receive)()
        (work_dir / "half").touch()
        began_s = time.monotonic()
        try:
            time.sleep(30)
        finally:
            waited_s = time.monotonic() - began_s
    assert calls == 1
    assert waited_s < 20, "the wait went on to its end"
    assert left_behind(tmp_path) == []
