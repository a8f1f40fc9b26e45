"""What a source says about itself is held against what became of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assistant.errors import LicenceNotAccepted, ModelCorrupt
from assistant.prepare import source as sources
from assistant.store import licences, open_store
from assistant.store.progress import Unwatched
from tests.gguf_writer import gguf

LLAMA: dict[str, Any] = {
    "general.architecture": "llama",
    "llama.block_count": 1,
    "tokenizer.chat_template": "{{ messages }}",
}


def converted(rope: float) -> Any:
    def convert(_folder: Path, to: Path) -> None:
        to.write_bytes(gguf({**LLAMA, "llama.rope.freq_base": rope}, {"blk.0.x": (32, 2)}))

    return convert


def find(folder: Path, rope: float = 100_000.0, licence: bool = True) -> sources.Source:
    store = open_store(folder / "models")
    shop = folder / "shop"
    shop.mkdir(parents=True, exist_ok=True)
    agree = licences.agreement(store.models_dir, accept=licence)
    return sources.find(str(folder / "checkpoint"), store, shop, converted(rope), agree, Unwatched())


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"rope_theta": 100_000}))
    return folder


def test_a_conversion_that_read_the_rotary_positions_is_used(checkpoint: Path) -> None:
    assert find(checkpoint.parent).stem == "checkpoint"


@pytest.mark.parametrize("config", [{"rope_theta": 10_000.0}, {"rope_parameters": {"rope_theta": 10_000.0}}])
def test_a_conversion_that_misread_them_is_not(checkpoint: Path, config: dict[str, Any]) -> None:
    (checkpoint / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelCorrupt, match=r"rope_theta is 10000 in config\.json, and 100000 here"):
        find(checkpoint.parent)


def test_conditions_are_agreed_to_before_a_checkpoint_is_converted(checkpoint: Path) -> None:
    (checkpoint / "README.md").write_text("---\nlicense: llama3.2\n---\n")
    with pytest.raises(LicenceNotAccepted, match=r"Llama 3\.2 Community License, which has conditions"):
        find(checkpoint.parent, licence=False)
    assert not (checkpoint.parent / "shop" / "converted").exists()
    assert find(checkpoint.parent).licence == "llama3.2"


def test_the_licence_that_a_gguf_file_names_is_asked_about(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    facts: dict[str, Any] = {**LLAMA, "general.license": "other", "general.license.name": "gemma"}
    (folder / "m.gguf").write_bytes(gguf(facts, {"blk.0.x": (32, 2)}))
    with pytest.raises(LicenceNotAccepted, match="Gemma Terms of Use"):
        find(tmp_path, licence=False)
    assert find(tmp_path).licence == "gemma"
