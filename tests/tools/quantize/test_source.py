"""What a source says about itself is held against what became of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from assistant.core.errors import LicenceNotAccepted, ModelCorrupt
from assistant.runtime import paths
from assistant.store import licences, open_store
from assistant.store.progress import Unwatched
from assistant.tools.quantize import source as sources
from tests.gguf_writer import gguf

LLAMA: dict[str, Any] = {
    "general.architecture": "llama",
    "llama.block_count": 1,
    "tokenizer.chat_template": "{{ messages }}",
}


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def converted(rope: float | None) -> Any:
    """A conversion that writes this base of the rotary positions, or none."""
    said = {} if rope is None else {"llama.rope.freq_base": rope}

    def convert(_folder: Path, to: Path) -> None:
        to.write_bytes(gguf({**LLAMA, **said}, {"blk.0.x": (32, 2)}))

    return convert


def find(
    folder: Path, rope: float | None = 100_000.0, licence: bool = True, named: str = ""
) -> sources.Source:
    store = open_store(folder / "models")
    work_dir = folder / "shop"
    work_dir.mkdir(parents=True, exist_ok=True)
    agree = licences.agreement(store.models_dir, accept=licence)
    named = named or str(folder / "checkpoint")
    return sources.find(named, store, work_dir, converted(rope), agree, Unwatched())


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"rope_theta": 100_000}))
    return folder


def test_a_conversion_that_read_the_rotary_positions_is_used(checkpoint: Path) -> None:
    assert find(checkpoint.parent).stem == "checkpoint"


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of maker/model, which was fetched before; the package that fetches is not installed."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    folder = paths.data() / "checkpoints" / "maker--model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"rope_parameters": {"rope_theta": 100_000}}))
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    (folder / ".fetched").write_text(COMMIT)
    return folder


@pytest.mark.parametrize(
    "config",
    [
        {"rope_theta": 10_000.0},
        {"rope_parameters": {"rope_theta": 10_000.0}},
        {"rope_parameters": {"rope_theta": 10_000.0}, "rope_theta": 100_000},
        {"rope_parameters": {"rope_theta": 100_000}, "rope_theta": 10_000.0},
        {"rope_parameters": {"full_attention": {"rope_theta": 10_000.0}, "sliding_attention": {}}},
        {"text_config": {"rope_theta": 10_000.0}, "rope_theta": 100_000},
    ],
)
def test_a_conversion_that_misread_them_is_not(checkpoint: Path, config: dict[str, Any]) -> None:
    (checkpoint / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelCorrupt, match=r"rope_theta is 10000 in config\.json and 100000 here"):
        find(checkpoint.parent)


def test_a_conversion_that_says_nothing_of_them_means_what_is_usual(checkpoint: Path) -> None:
    with pytest.raises(ModelCorrupt, match=r"rope_theta is 100000 in config\.json and 10000 here"):
        find(checkpoint.parent, None)
    (checkpoint / "config.json").write_text(json.dumps({"rope_theta": 10_000}))
    (checkpoint.parent / "shop" / "converted" / "model.gguf").unlink()
    (checkpoint.parent / "shop" / "converted").rmdir()
    assert find(checkpoint.parent, None).stem == "checkpoint"


@pytest.mark.parametrize(
    ("config", "rope"),
    [
        ({}, 1_000_000.0),
        ({"rope_theta": None, "rope_scaling": None}, 1_000_000.0),
        ({"rope_theta": 11_158_839.925}, 11_158_840.0),  # with 32 bits
        ({"rope_theta": 10_000.0, "rope_scaling": {"type": "dynamic", "alpha": 1000.0}}, 11_158_839.9),
    ],
)
def test_bases_that_may_be_another(checkpoint: Path, config: dict[str, Any], rope: float) -> None:
    (checkpoint / "config.json").write_text(json.dumps(config))
    assert find(checkpoint.parent, rope).stem == "checkpoint"


def test_what_was_fetched_by_its_name_needs_no_network(fetched: Path) -> None:
    found = find(fetched.parent, named="maker/model")
    assert (found.named, found.stem) == ("maker/model", "model")
    assert (found.revision, found.licence) == (COMMIT, "apache-2.0")


@pytest.mark.parametrize("rope", [10_000.0, None])
def test_its_rotary_positions_are_looked_at_too(fetched: Path, rope: float | None) -> None:
    with pytest.raises(ModelCorrupt, match=r"rope_theta is 100000 in config\.json and 10000 here"):
        find(fetched.parent, rope, named="maker/model")


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
