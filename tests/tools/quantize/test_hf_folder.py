"""Checkpoints that are written, read back as their formats say; torch reads them in test_with_torch."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.core.errors import ModelCorrupt, StorageFull
from assistant.store.progress import Unwatched
from assistant.tools.quantize import hf_folder, safetensors
from assistant.tools.quantize.block_numbers import rounded
from assistant.tools.quantize.onnx_shape import shape_of
from assistant.tools.quantize.rounding import nearest
from assistant.tools.quantize.safetensors import Planned
from tests.engines.onnx_toys import RandomWeights
from tests.tools.quantize.test_onnx_writer import WORDS

Array = np.ndarray[Any, Any]
TYPES = {"F16": np.float16, "I32": np.int32, "I64": np.int64}


def read(file: Path) -> dict[str, Array]:
    """All tensors of a safetensors file, which has to be without gaps."""
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    assert header.pop("__metadata__") == {"format": "pt"}
    assert length % 8 == 0
    body, end, tensors = data[8 + length :], 0, {}
    for name, each in header.items():
        begin, end_of_this = each["data_offsets"]
        assert begin == end
        end = end_of_this
        tensors[name] = np.frombuffer(body[begin:end], TYPES[each["dtype"]]).reshape(each["shape"])
    assert end == len(body)
    return tensors


def written(
    weights: RandomWeights, folder: Path, chosen: str, monkeypatch: pytest.MonkeyPatch, size: int = 32
) -> dict[str, Array]:
    """The network of these weights as a checkpoint, read back; ``size`` packed weights have one scale."""
    weights.header.metadata.update(WORDS)
    toy: Any = weights
    toy.shape = lambda name: weights.arrays[name].shape
    toy.tensor = lambda name: weights.arrays[name]
    monkeypatch.setattr(hf_folder, "GgufWeights", lambda _: toy)
    hf_folder.write(folder / "unread.gguf", folder, chosen, nearest({}, size), Unwatched(), size=size)
    return read(folder / hf_folder.MODEL)


def turned_halves(matrix: Array, heads: int) -> Array:
    """llama.cpp's order of the rows from that of transformers, as its converter's ``permute`` has it."""
    rows, columns = matrix.shape
    return matrix.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"architecture": "qwen2", "biases": True, "tied": False},
        {"architecture": "qwen3", "head_norms": True},
    ],
)
def test_a_plain_checkpoint(kind: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = RandomWeights(**kind)
    tensors = written(weights, tmp_path, "hf-f16", monkeypatch)
    assert len(tensors) == len(weights.arrays)
    query = tensors["model.layers.1.self_attn.q_proj.weight"].astype(np.float32)
    if weights.architecture == "llama":
        query = turned_halves(query, heads=4)
    assert np.allclose(query, weights.arrays["blk.1.attn_q.weight"], atol=1e-2)
    down = tensors["model.layers.0.mlp.down_proj.weight"]
    assert np.allclose(down, weights.arrays["blk.0.ffn_down.weight"], atol=1e-2)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 100.0
    assert config["tie_word_embeddings"] is weights.tied
    assert config["attention_bias"] is weights.biases
    assert config["architectures"] == [
        {"llama": "Llama"}.get(weights.architecture, weights.architecture.title()) + "ForCausalLM"
    ]
    assert "quantization_config" not in config


def test_a_packed_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = RandomWeights()
    tensors = written(weights, tmp_path, "hf-int4", monkeypatch)
    at, name = "model.layers.1.self_attn.k_proj.weight", "blk.1.attn_k.weight"
    packed, scales = tensors[f"{at}_packed"], tensors[f"{at}_scale"].astype(np.float32)
    rows, columns = tensors[f"{at}_shape"]
    numbers = np.stack([packed >> 4 * place & 15 for place in range(8)], axis=-1).reshape(rows, columns) - 8
    matrix = turned_halves(numbers * np.repeat(scales, 32, axis=1), heads=2)
    expected = rounded(weights.arrays[name], 4).matrix(int(columns))
    assert np.allclose(matrix, expected, atol=1e-2)
    assert tensors["model.embed_tokens.weight"].dtype == np.float16
    config = json.loads((tmp_path / "config.json").read_text())
    group = config["quantization_config"]["config_groups"]["group_0"]["weights"]
    assert (group["num_bits"], group["group_size"], group["symmetric"]) == (4, 32, True)


def test_larger_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = RandomWeights()
    with pytest.raises(ModelCorrupt, match=r"'blk\.0\.ffn_down\.weight' cannot be divided into blocks of 64"):
        written(weights, tmp_path, "hf-int4", monkeypatch, 64)
    for layer in range(2):
        weights.arrays[f"blk.{layer}.ffn_down.weight"] = np.ones((64, 128), np.float32)
    tensors = written(weights, tmp_path, "hf-int4", monkeypatch, 64)
    assert tensors["model.layers.1.self_attn.k_proj.weight_scale"].shape == (32, 1)
    config = json.loads((tmp_path / "config.json").read_text())
    group = config["quantization_config"]["config_groups"]["group_0"]["weights"]
    assert group["group_size"] == 64


def test_a_tensor_of_another_network_is_refused() -> None:
    for name in ("blk.0.ffn_gate_exps.weight", "rope_freqs.weight", "blk.x.attn_q.weight"):
        with pytest.raises(ModelCorrupt, match="no supported network"):
            hf_folder.name_of(name)


def test_rows_are_where_transformers_has_them() -> None:
    shape = shape_of(RandomWeights().header)
    rows = hf_folder.rows_of("blk.0.attn_q.weight", 64, shape)
    there = turned_halves(np.arange(64)[:, None], heads=4)[:, 0]
    assert np.array_equal(there[rows], np.arange(64))
    assert np.array_equal(hf_folder.rows_of("blk.0.attn_v.weight", 32, shape), np.arange(32))
    assert np.array_equal(hf_folder.rows_of("token_embd.weight", 10, shape), np.arange(10))


def test_a_full_disk_is_noticed_before(tmp_path: Path) -> None:
    planned = {"a": Planned(np.float16, (10**9, 10**9), lambda: np.zeros(1))}
    with pytest.raises(StorageFull):
        safetensors.write(tmp_path / "x", planned, lambda _: None)
    assert not (tmp_path / "x").exists()
