"""LoRA adapters: worked into a network that then computes W + B A, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.core.errors import ModelCorrupt
from assistant.tools.quantize import lora, safetensors
from assistant.tools.quantize.gguf_io import GgufWeights
from assistant.tools.quantize.safetensors import Planned, SafetensorsFolder
from tests.engines.onnx_toys import FEED_FORWARD, WIDTH, RandomWeights
from tests.tools.quantize.test_hf_folder import turned_halves

RANK = 2
AT = "base_model.model.model.layers"
SIZES = {
    f"{AT}.0.self_attn.q_proj": (WIDTH, WIDTH),
    f"{AT}.1.mlp.down_proj": (WIDTH, FEED_FORWARD),
}
"""Layer -> rows and columns of what is changed."""

Array = np.ndarray[Any, Any]


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A folder as PEFT writes it."""
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": 6, "use_rslora": False, "modules_to_save": None}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    write(tmp_path, halves())
    return tmp_path


def halves() -> dict[str, Array]:
    random = np.random.default_rng(5)
    arrays = {}
    for name, (rows, columns) in SIZES.items():
        arrays[f"{name}.lora_A.weight"] = random.normal(size=(RANK, columns)).astype(np.float16)
        arrays[f"{name}.lora_B.weight"] = random.normal(size=(rows, RANK)).astype(np.float16)
    return arrays


def write(folder: Path, arrays: dict[str, Array]) -> None:
    planned = {name: Planned(np.float16, array.shape, array.copy) for name, array in arrays.items()}
    safetensors.write(folder / "adapter_model.safetensors", planned, lambda _: None)


def model() -> tuple[RandomWeights, GgufWeights]:
    weights = RandomWeights()
    toy: Any = weights
    toy.tensor = lambda name: weights.arrays[name].copy()
    result: GgufWeights = toy
    return weights, result


def test_it_becomes_part_of_the_weights(adapter: Path) -> None:
    weights, toy = model()
    assert lora.strength_of(adapter) == lora.Strength(RANK, 3.0)
    changed = lora.changed(toy, lora.changes_of(toy.header, SafetensorsFolder(adapter), RANK), 3.0)
    assert changed.keys() == {"blk.0.attn_q.weight", "blk.1.ffn_down.weight"}
    arrays = {name: array.astype(np.float32) for name, array in halves().items()}
    query, down = (arrays[f"{name}.lora_B.weight"] @ arrays[f"{name}.lora_A.weight"] for name in SIZES)
    expected = weights.arrays["blk.0.attn_q.weight"] + 3 * turned_halves(query, heads=4)
    assert np.allclose(changed["blk.0.attn_q.weight"], expected, atol=1e-4)
    expected = weights.arrays["blk.1.ffn_down.weight"] + 3 * down
    assert np.allclose(changed["blk.1.ffn_down.weight"], expected, atol=1e-4)


def test_a_scale_that_is_stable_by_rank(adapter: Path) -> None:
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "use_rslora": True, "r": 4}))
    assert lora.strength_of(adapter).scale == 3.0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"peft_type": "IA3"}, "not of the type LORA"),
        ({"use_dora": True}, "use_dora is not supported"),
        ({"rank_pattern": {"q_proj": 4}}, "rank_pattern is not supported"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save is not supported"),
        ({"r": 0}, "rank and alpha"),
        ({"r": 2.5}, "rank and alpha"),
        ({"lora_alpha": "much"}, "rank and alpha"),
    ],
)
def test_what_is_not_understood_is_refused(adapter: Path, change: dict[str, Any], reason: str) -> None:
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(ModelCorrupt, match=reason):
        lora.strength_of(adapter)


def test_a_folder_without_an_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelCorrupt, match="cannot be read"):
        lora.strength_of(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({f"{AT}.0.self_attn.q_proj.lora_A.weight": None}, "half of the change"),
        ({f"{AT}.1.mlp.down_proj.lora_A.weight": np.ones((RANK, 5), np.float16)}, "does not fit"),
        ({f"{AT}.1.mlp.down_proj.lora_B.weight": np.ones((WIDTH, 3), np.float16)}, "a different rank"),
        ({f"{AT}.1.mlp.down_proj.lora_B.weight": np.ones((WIDTH + 1, RANK), np.float16)}, "does not fit"),
        ({f"{AT}.7.mlp.up_proj.lora_A.weight": np.ones((RANK, WIDTH), np.float16)}, "does not have"),
        ({f"{AT}.0.mlp.up_proj.lora_magnitude_vector": np.ones((3,), np.float16)}, "does not have"),
    ],
)
def test_what_does_not_fit_is_refused(adapter: Path, change: dict[str, Any], reason: str) -> None:
    arrays = {name: array for name, array in {**halves(), **change}.items() if array is not None}
    write(adapter, arrays)
    with pytest.raises(ModelCorrupt, match=reason):
        lora.changes_of(model()[1].header, SafetensorsFolder(adapter), RANK)
