"""What is advised for a board are settings that are valid there and fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.runtime import paths
from assistant.settings.schema import Settings
from assistant.store.formats.gguf import GgufHeader, read_header
from assistant.tools.quantize import boards
from tests.gguf_writer import gguf


def header(folder: Path, layers: int, width: int = 1024) -> GgufHeader:
    """A decoder of so many layers, whose weights are in 32 bits."""
    facts: dict[str, int | str] = {"general.architecture": "llama", "llama.block_count": layers}
    facts |= {"llama.embedding_length": width, "llama.attention.head_count": 8, "llama.context_length": 4096}
    facts |= {"llama.feed_forward_length": 4 * width}
    tensors = {f"blk.{layer}.ffn_up.weight": (width, 256) for layer in range(layers)}
    (folder / "m.gguf").write_bytes(gguf(facts, tensors))
    return read_header(folder / "m.gguf")


def test_every_board_of_the_profiles_has_advice(tmp_path: Path) -> None:
    small = header(tmp_path, 2)
    for board in paths.shipped_files("devices"):
        advice = boards.advise(board, Settings(), small, "mine")
        assert advice.sizes[-1].context_tokens == 2048
        settings = {"llm": {**advice.document()["settings"]["llm"]}}
        assert Settings.model_validate(settings).llm.context_tokens == advice.context_tokens
        assert "model: mine" in str(advice)
        assert f"{advice.needed_mb} MB" in str(advice)


def test_more_memory_never_holds_less(tmp_path: Path) -> None:
    advice = boards.advise("raspberry-pi-4", Settings(), header(tmp_path, 32), "mine")
    contexts = [size.context_tokens or 0 for size in advice.sizes]
    assert contexts == sorted(contexts)


def test_what_does_not_fit_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "SYSTEM_BYTES", int(0.8 * boards.GIB))
    advice = boards.advise("raspberry-pi-4", Settings(), header(tmp_path, 8), "mine")
    assert advice.sizes[0] == boards.Size(1, None)
    assert "1 GB: does not fit" in str(advice)


def test_rearranged_weights_count_twice(tmp_path: Path) -> None:
    from assistant.board.llm_memory import REPACKED  # noqa: PLC0415

    for abilities in boards.ABILITIES.values():
        assert abilities <= REPACKED.keys()
