"""What making a model takes is known, said and asked for before any work is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.board import health
from assistant.core.errors import EngineFailed, StorageFull
from assistant.store import disk
from assistant.store.formats.gguf import read_header
from assistant.tools.quantize import environments
from assistant.tools.quantize.recipe import FORMATS, Recipe
from assistant.tools.quantize.record import needed_disk_bytes, plan_making
from assistant.tools.quantize.source import Source
from tests.gguf_writer import gguf

WEIGHTS = {
    "token_embd.weight": (64, 1000),
    "blk.0.ffn_down.weight": (256, 64),
    "blk.0.attn_q.weight": (64, 64),
}


class Notes:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def progress(self, progress: object) -> None:
        pass

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    file = tmp_path / "m.gguf"
    file.write_bytes(gguf({"general.architecture": "llama"}, WEIGHTS))
    return Source("m", tmp_path, file, read_header(file), "m", "", file.stat().st_size)


def test_what_methods_leave_lying_counts_once(source: Source) -> None:
    plain = Recipe(FORMATS["q4_0"], "rtn")
    gptq = Recipe(FORMATS["q4_0"], "gptq")
    awq = Recipe(FORMATS["q8_0"], "awq")
    alone = [needed_disk_bytes([recipe], source) for recipe in (plain, gptq, awq)]
    assert alone[1] - alone[0] == 4 * (256**2 + 64**2)
    assert needed_disk_bytes([gptq, gptq], source) == alone[1]
    assert alone[1] < needed_disk_bytes([gptq, awq], source) == alone[2]


def test_needs_and_has_are_said(source: Source, tmp_path: Path) -> None:
    notes = Notes()
    plan_making([Recipe(FORMATS["q4_0"], "rtn")], source, tmp_path, notes)
    (said,) = notes.notes
    assert said.startswith("This needs at most ")
    assert "of disk space (" in said
    assert said.count("free") == 2


def test_too_little_of_either_is_refused(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = [Recipe(FORMATS["q4_0"], "awq")]
    monkeypatch.setattr(health, "available_mb", lambda: 1_000)
    with pytest.raises(EngineFailed, match=r"needs 2,2\d\d MB of memory, but only 1,000 MB is free"):
        plan_making(recipes, source, tmp_path, Notes())
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: 1_000_000)
    with pytest.raises(StorageFull, match="This needs"):
        plan_making(recipes, source, tmp_path, Notes())


def test_what_needs_torch_says_so_before_it_is_installed(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    notes = Notes()
    plan_making([Recipe(FORMATS["q4_0"], "rtn")], source, tmp_path, notes)
    assert len(notes.notes) == 1
    plan_making([Recipe(FORMATS["f16"], through="hf-f16")], source, tmp_path, notes)
    assert notes.notes[2].startswith("Installing the environment 'torch' first needs at most 7")
    monkeypatch.setattr(environments, "NEEDED_BYTES", 10**15)
    with pytest.raises(StorageFull):
        plan_making([Recipe(FORMATS["hf-nf4"])], source, tmp_path, notes)
    assert not (tmp_path / "cache" / "assistant" / "environments").exists()
