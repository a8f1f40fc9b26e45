"""A store that holds SmolLM2 by a link, and a few dialogues instead of all: a test takes seconds."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

from assistant.store import Store, open_store
from assistant.tools.quantize import dialogues

REAL = Path("~/.local/share/assistant/models/smollm2-135m-instruct-q4_1").expanduser()
NAME = REAL.name


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An own folder of models with the real SmolLM2 in it."""
    here = tmp_path / "models"
    (here / NAME).mkdir(parents=True)
    for file in REAL.iterdir():
        (here / NAME / file.name).symlink_to(file)
    return open_store(here)


@pytest.fixture
def few_dialogues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dialogues.Texts:
    """The first of the dialogues that ship take the place of all; a calibration text wants 1000 tokens."""
    folder = tmp_path / "texts"
    folder.mkdir()
    for name, count in (("validation.txt", 8), ("calibration.txt", 24)):
        whole = dialogues.shipped(name).read_text(encoding="utf-8")
        parts = itertools.islice(whole.split("---\n"), count)
        (folder / name).write_text("---\n".join(parts), encoding="utf-8")
    monkeypatch.setattr(dialogues, "shipped", lambda name: folder / name)
    return dialogues.read(folder / "validation.txt")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the real model's file, alone in a folder, to be damaged."""
    folder = tmp_path / "copied"
    folder.mkdir()
    return Path(shutil.copy(next(REAL.glob("*.gguf")), folder / "copied.gguf"))


def left_behind(models_dir: Path) -> list[str]:
    """What lies in the store beside models and its lock."""
    return [path.name for path in models_dir.iterdir() if path.name.startswith(".") and path.name != ".lock"]
