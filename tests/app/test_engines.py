"""A new engine beside the one at work is weighed by its own files, whether a catalogue knows them or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assistant.app import engines as loading
from assistant.app import proof
from assistant.board import memory_plan
from assistant.board.memory_plan import Room
from assistant.core.errors import OrderRefused
from assistant.settings.schema import Settings
from assistant.store import open_store
from assistant.tools.bench.lib.variants import changed
from tests import gguf_writer
from tests.board.test_memory_plan import LLAMA_2_7B
from tests.store.test_ctranslate2 import array, model

MB = 1_000_000


class Engine:
    is_warm = False

    def warm_up(self) -> None:
        self.is_warm = True


def own(folder: Path, kind: Any, files: dict[str, bytes]) -> Settings:
    """Settings with a model of one's own of that kind."""
    source = folder / "source"
    source.mkdir()
    for name, content in files.items():
        (source / name).write_bytes(content)
    open_store(folder / "models").import_from(source, "mine", kind)
    return changed(Settings(), {"store": {"models": str(folder / "models")}, kind: {"model": "mine"}})


def a_llm(folder: Path) -> Settings:
    """A tiny file, whose 2048 tokens take a gigabyte."""
    content = gguf_writer.gguf({**LLAMA_2_7B, "tokenizer.ggml.tokens": ["a"]}, {"token_embd.weight": (32, 2)})
    return own(folder, "llm", {"model.gguf": content})


def a_stt(folder: Path) -> Settings:
    files = {"model.bin": model(array("a", (1000, 1000), 1)), "config.json": b"{}", "vocabulary.txt": b"a"}
    return own(folder, "stt", files)


def a_tts(folder: Path) -> Settings:
    files = {"voice.onnx": b"\x08\x0a" + bytes(3_000_000), "voice.onnx.json": b'{"audio": {}}'}
    return own(folder, "tts", files)


@pytest.mark.parametrize(
    ("kind", "made", "least_mb", "most_mb"),
    [("llm", a_llm, 1000, 1500), ("stt", a_stt, 70, 80), ("tts", a_tts, 16, 20)],
)
def test_a_model_of_ones_own_is_not_loaded_where_it_does_not_fit(  # noqa: PLR0917 - one table
    kind: str,
    made: Callable[[Path], Settings],
    least_mb: int,
    most_mb: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine()
    monkeypatch.setattr(loading, f"load_{kind}", lambda _: engine)
    settings = made(tmp_path)

    def with_free(count: int) -> None:
        monkeypatch.setattr(memory_plan, "room", lambda: Room(count, count, "free on this machine"))

    with_free(least_mb * MB)
    with pytest.raises(OrderRefused, match="mine needs about"):
        loading.load_beside(kind, settings, ())
    assert not engine.is_warm
    with_free(most_mb * MB)
    assert loading.load_beside(kind, settings, ()) is engine
    assert engine.is_warm


def test_a_stand_in_changes_its_own_section_only(monkeypatch: pytest.MonkeyPatch) -> None:
    voice = {"tts": {"model": "spare"}}
    monkeypatch.setattr(proof, "usable", lambda settings, *_: changed(settings, voice))
    used = loading.with_stand_ins(Settings())
    assert (used.llm.model, used.tts.model) == ("auto", "spare")
