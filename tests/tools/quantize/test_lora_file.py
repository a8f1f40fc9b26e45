"""LoRA adapters as GGUF files: the model with one on it says what the model says that it was worked into."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.app import memory_fit as fit
from assistant.core.errors import ModelCorrupt, ModelMissing, ModelRefused, SettingsError
from assistant.settings.schema import Settings
from assistant.store import Store
from assistant.store.formats.gguf import read_header
from assistant.store.progress import Unwatched
from assistant.tools.bench.lib.variants import changed
from assistant.tools.quantize import gate, lora, safetensors
from assistant.tools.quantize import source as sources
from assistant.tools.quantize.dialogues import Texts
from assistant.tools.quantize.gguf_io import write_adapter
from assistant.tools.quantize.lora import Change, Strength
from assistant.tools.quantize.quantizer import Job, quantize
from assistant.tools.quantize.recipe import FORMATS
from assistant.tools.quantize.request import Request
from assistant.tools.quantize.safetensors import Planned, SafetensorsFolder
from assistant.tools.quantize.scorers import LlamaCppScorer
from tests.engines.conftest import said
from tests.store.site import Heard
from tests.tools.quantize.conftest import NAME, left_behind

RANK, ALPHA = 4, 6.0
WIDTH, KEYS, FEED_FORWARD = 576, 192, 1536
"""Of SmolLM2-135M."""
SIZES = {
    "self_attn.q_proj": (WIDTH, WIDTH),
    "self_attn.k_proj": (KEYS, WIDTH),
    "self_attn.v_proj": (KEYS, WIDTH),
    "mlp.down_proj": (WIDTH, FEED_FORWARD),
}
"""Rows and columns of what is changed, in every fifth layer."""

WATCHER = Unwatched()


def adapter(folder: Path, *, strength: float = 0.1, **config: Any) -> Path:
    """A folder as PEFT writes it, of random numbers."""
    folder.mkdir()
    random = np.random.default_rng(3)
    arrays = {}
    for layer in range(0, 30, 5):
        for name, (rows, columns) in SIZES.items():
            at = f"base_model.model.model.layers.{layer}.{name}"
            arrays[f"{at}.lora_A.weight"] = random.normal(size=(RANK, columns)) * strength
            arrays[f"{at}.lora_B.weight"] = random.normal(size=(rows, RANK)) * strength
    planned = {name: Planned(np.float16, array.shape, array.copy) for name, array in arrays.items()}
    safetensors.write(folder / "adapter_model.safetensors", planned, lambda _: None)
    about = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, **config}
    (folder / "adapter_config.json").write_text(json.dumps(about))
    (folder / "README.md").write_text("---\nlicense: cc0-1.0\n---\n")
    return folder


@pytest.mark.models
def test_on_the_model_or_in_it_is_the_same(store: Store, few_dialogues: Texts, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "peft", use_rslora=True)
    found = sources.find(NAME, store, tmp_path, lambda *_: None, lambda *_: None, WATCHER)
    merged = lora.merged(found, folder, tmp_path / "merged", 1, WATCHER)
    plain = tmp_path / "plain" / "plain.gguf"
    plain.parent.mkdir()
    quantize(Job(str(found.file), str(plain), FORMATS["f16"].number, 1), FORMATS["f16"], WATCHER)
    strength = lora.strength_of(folder)
    assert strength.scale == ALPHA / RANK**0.5
    changes = lora.changes_of(found.header, SafetensorsFolder(folder), RANK)
    lora.write_adapter_file(tmp_path / "mine.gguf", "llama", changes, strength)
    with gate.reference(merged.folder, few_dialogues, 1, tmp_path, WATCHER) as reference:
        with LlamaCppScorer(plain.parent, 1, adapter=tmp_path / "mine.gguf") as scorer:
            worn = reference.compare(scorer, lambda _: None)
        with LlamaCppScorer(plain.parent, 1) as scorer:
            without = reference.compare(scorer, lambda _: None)
    assert without.kl > 0.01, "it changes the model"
    assert worn.kl < without.kl / 100
    assert worn.same_first > 0.98


@pytest.mark.models
def test_made_installed_and_worn(store: Store, few_dialogues: Texts, tmp_path: Path) -> None:
    folder, watcher = adapter(tmp_path / "peft"), Heard()
    about = lora.make(Request(str(folder), lora.FORMAT, "mine", base=NAME), store, watcher)
    needs = re.match(r"This needs at most (\d+) MB of disk space \(.+ is free\) and \d+ MB", watcher.notes[0])
    assert needs, "what it takes is said first"
    assert int(needs[1]) * 1e6 > about["bytes"]
    assert (about["rank"], about["alpha"], about["matrices"]) == (RANK, ALPHA, 24)
    assert about["for_model"] == NAME
    files = (folder / "adapter_config.json", folder / "adapter_model.safetensors")
    whole = b"".join(file.read_bytes() for file in files)
    assert about["source_sha256"] == hashlib.sha256(whole).hexdigest()
    assert about["tokens_per_s"] > 0
    assert about["kl"] > 0.001
    entry = next(entry for entry in store.entries() if entry.name == "mine")
    assert (entry.kind, entry.state, entry.licence) == ("llm", "installed", "cc0-1.0")
    settings = changed(
        Settings(),
        {
            "llm": {"model": NAME, "temperature": 0, "max_tokens": 24},
            "store": {"models": str(store.models_dir)},
        },
    )
    assert said(changed(settings, {"llm": {"adapter": "mine"}})) != said(settings)
    assert not left_behind(store.models_dir)
    with pytest.raises(ModelCorrupt, match="mine is an adapter, not a model"):
        fit.plan(changed(settings, {"llm": {"model": "mine"}}))
    with pytest.raises(ModelCorrupt, match="mine is an adapter, not a model"):
        sources.find("mine", store, tmp_path, lambda *_: None, lambda *_: None, WATCHER)


@pytest.mark.models
def test_one_that_makes_nonsense_is_refused(store: Store, few_dialogues: Texts, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "peft", strength=1.0)
    with pytest.raises(
        ModelRefused, match=r"The adapter mine was not installed: with it, the perplexity .* times"
    ):
        lora.make(Request(str(folder), lora.FORMAT, "mine", base=NAME), store, WATCHER)
    assert not (store.models_dir / "mine").exists()
    assert not left_behind(store.models_dir)
    about = lora.make(Request(str(folder), lora.FORMAT, "mine", base=NAME, force=True), store, WATCHER)
    assert about["forced"]


@pytest.mark.models
def test_one_for_another_model_is_refused(store: Store, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "peft", r=8)
    with pytest.raises(ModelCorrupt, match="a different rank than the stated 8"):
        lora.make(Request(str(folder), lora.FORMAT, base=NAME), store, WATCHER)
    assert not left_behind(store.models_dir)


def test_what_is_no_adapter(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    with pytest.raises(SettingsError, match="is already a GGUF file"):
        lora.make(Request(str(tmp_path / "a.gguf"), lora.FORMAT, base=NAME), store, WATCHER)
    with pytest.raises(ModelMissing, match=r"adapter_config\.json is missing"):
        lora.make(Request(str(tmp_path), lora.FORMAT, base=NAME), store, WATCHER)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelMissing, match="no weights in safetensors"):
        lora.make(Request(str(tmp_path), lora.FORMAT, base=NAME), store, WATCHER)


def test_the_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    down, up = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones((5, 2), np.float32)
    lora.write_adapter_file(
        tmp_path / "a.gguf", "llama", {"blk.0.ffn_up.weight": Change(down, up)}, Strength(2, 1.5)
    )
    header = read_header(tmp_path / "a.gguf")
    assert header.metadata["adapter.lora.alpha"] == 3.0
    assert {tensor.name: tensor.shape for tensor in header.tensors} == {
        "blk.0.ffn_up.weight.lora_a": (3, 2),
        "blk.0.ffn_up.weight.lora_b": (2, 5),
    }
    content = (tmp_path / "a.gguf").read_bytes()
    first = header.tensors[0]
    read = np.frombuffer(content[first.offset : first.offset + first.size_bytes], "<f2").reshape(2, 3)
    assert (read == down).all()


def test_numbers_that_16_bits_cannot_hold(tmp_path: Path) -> None:
    huge = Change(np.full((1, 1), 1e6, np.float32), np.ones((1, 1), np.float32))
    with pytest.raises(ModelCorrupt, match="too large for 16 bits"):
        lora.write_adapter_file(tmp_path / "a.gguf", "llama", {"blk.0.ffn_up.weight": huge}, Strength(1, 1.0))
    assert not (tmp_path / "a.gguf").exists()


def test_an_empty_file_has_a_head(tmp_path: Path) -> None:
    write_adapter(tmp_path / "a.gguf", "llama", 16.0, {})
    assert read_header(tmp_path / "a.gguf").metadata == {
        "general.type": "adapter",
        "general.architecture": "llama",
        "adapter.type": "lora",
        "adapter.lora.alpha": 16.0,
    }
