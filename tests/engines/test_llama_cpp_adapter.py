"""LoRA adapters: a small random one, what it changes, what it leaves, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import settings as with_settings
from hypothesis import strategies as st

from assistant.core.errors import ModelCorrupt, ModelError, ModelMissing
from assistant.engines import AdaptableLlm, load
from assistant.engines.llm.llama_cpp.engine import LlamaCppLlm
from assistant.engines.llm.llama_cpp.gguf import check_adapter, find_adapter
from tests.engines.conftest import FRANCE, SMOLLM2, ask, settings
from tests.gguf_writer import Float32, Value, gguf

needs_model = pytest.mark.models

RANK = 4
WIDTH, FEED_FORWARD = 576, 1536
"""Of SmolLM2-135M."""
ABOUT: Mapping[str, Value] = {
    "general.type": "adapter",
    "general.architecture": "llama",
    "adapter.type": "lora",
    "adapter.lora.alpha": Float32(8.0),
}
SHAPES = {"blk.0.ffn_up.weight": (WIDTH, FEED_FORWARD), "token_embd.weight": (WIDTH, 49_152)}
PAIR = {"blk.0.ffn_up.weight.lora_a": (WIDTH, RANK), "blk.0.ffn_up.weight.lora_b": (RANK, FEED_FORWARD)}


def adapter(folder: Path, *, layers: int = 30, seed: int = 0) -> Path:
    """Random matrices, strong enough to change what is said."""
    draw = np.random.default_rng(seed)
    tensors: dict[str, npt.NDArray[np.float32]] = {}
    for layer in range(layers):
        name = f"blk.{layer}.ffn_up.weight"
        tensors[f"{name}.lora_a"] = draw.normal(size=(RANK, WIDTH)).astype(np.float32) * 0.2
        tensors[f"{name}.lora_b"] = draw.normal(size=(FEED_FORWARD, RANK)).astype(np.float32) * 0.2
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"adapter-{seed}.gguf"
    file.write_bytes(gguf(ABOUT, tensors))
    return file


def create(**changes: Any) -> LlamaCppLlm:
    llm: LlamaCppLlm = load(
        "llm", "llama_cpp", settings=settings(max_tokens=16, **changes), model=SMOLLM2, threads=1
    )
    return llm


def scores(llm: LlamaCppLlm) -> npt.NDArray[np.float32]:
    llm._context.read(llm._tokens(llm._prompt(FRANCE)))
    return llm._context.scores().copy()


@needs_model
def test_at_scale_0_it_changes_nothing_and_at_1_much(tmp_path: Path) -> None:
    file = adapter(tmp_path)
    plain, silent, loud = (
        create(),
        create(adapter=str(file), adapter_scale=0),
        create(adapter=str(file), adapter_scale=1),
    )
    base = scores(plain)
    np.testing.assert_array_equal(scores(silent), base)
    assert np.abs(scores(loud) - base).max() > 1
    for llm in (plain, silent, loud):
        llm.close()


@needs_model
def test_exchanged_while_loaded_and_taken_off_again(tmp_path: Path) -> None:
    llm = create()
    assert isinstance(llm, AdaptableLlm)
    model = llm._model.handle
    base = ask(llm, FRANCE)
    said = [base]
    for seed in (1, 2):
        llm.apply_adapter(llm.load_adapter(adapter(tmp_path, seed=seed), 1.0))
        said.append(ask(llm, FRANCE))
        assert llm.usage.tokens_reused == 0, "what was read with other weights is of no use"
    assert len(set(said)) == 3
    llm.apply_adapter(None)
    assert ask(llm, FRANCE) == base
    assert llm._model.handle is model
    llm.close()


@needs_model
def test_what_was_read_is_kept_for_each_adapter(tmp_path: Path) -> None:
    file = adapter(tmp_path)
    cache = tmp_path / "prompts"
    plain = create()
    plain.prime(FRANCE, cache)
    plain.close()
    for changes, reused in (({"adapter": str(file)}, False), ({}, False), ({}, True)):
        llm = create(**changes)
        read = MagicMock(wraps=llm._context.read)
        llm._context.read = read  # type: ignore[method-assign]
        llm.prime(FRANCE, cache)
        assert read.called is not reused
        llm.close()


@needs_model
def test_one_that_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    llm = create()
    base = ask(llm, FRANCE)
    (tmp_path / "wrong.gguf").write_bytes(gguf({**ABOUT, "general.architecture": "qwen2"}, PAIR))
    with pytest.raises(ModelCorrupt, match="'qwen2' models"):
        llm.load_adapter(tmp_path / "wrong.gguf", 1.0)
    with pytest.raises(ModelMissing):
        llm.load_adapter(tmp_path / "nowhere.gguf", 1.0)
    assert ask(llm, FRANCE) == base
    llm.close()


@needs_model
def test_an_engine_is_not_loaded_with_one_that_does_not_fit(tmp_path: Path) -> None:
    (tmp_path / "wrong.gguf").write_bytes(gguf(ABOUT, {**PAIR, "blk.0.ffn_up.weight.lora_b": (RANK, 7)}))
    with pytest.raises(ModelCorrupt, match="a different size"):
        create(adapter=str(tmp_path / "wrong.gguf"))


def check(folder: Path, about: Mapping[str, Value], tensors: Mapping[str, tuple[int, ...]]) -> None:
    file = folder / "adapter.gguf"
    file.write_bytes(gguf(about, tensors))
    check_adapter(file, "llama", SHAPES)


def test_one_that_fits_is_taken(tmp_path: Path) -> None:
    check(tmp_path, ABOUT, PAIR)
    check(tmp_path, ABOUT, {**PAIR, "blk.0.attn_norm.weight": (WIDTH,)})


@pytest.mark.parametrize(
    ("about", "tensors", "why"),
    [
        ({"general.type": "model"}, {}, "isn't a LoRA adapter"),
        ({"adapter.type": "control_vector"}, {}, "isn't a LoRA adapter"),
        ({"general.architecture": "gemma"}, {}, "made for 'gemma'"),
        ({"adapter.lora.alpha": 8.0}, {}, "isn't a 32-bit number"),
        ({"adapter.lora.alpha": "strong"}, {}, "isn't a 32-bit number"),
        ({"adapter.lora.alpha": Float32("nan")}, {}, "isn't a 32-bit number"),
        ({"adapter.alora.invocation_tokens": [1, 2]}, {}, "aLoRA"),
        ({}, {"blk.0.ffn_up.weight": (8,)}, "isn't part of an adapter"),
        ({}, {"blk.9.ffn_up.weight.lora_a": (WIDTH, RANK)}, "is missing"),
        ({}, {"x.lora_a": (WIDTH, RANK), "x.lora_b": (RANK, WIDTH)}, "has no 'x'"),
        ({}, {"blk.0.ffn_up.weight.lora_a": (WIDTH, RANK + 1)}, "a different size"),
        ({}, {"blk.0.ffn_up.weight.lora_a": (WIDTH, RANK, 2)}, "a different size"),
        (
            {},
            {"token_embd.weight.lora_a": (RANK, 49_152), "token_embd.weight.lora_b": (RANK, WIDTH)},
            "also uses as output layer",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(
    tmp_path: Path, about: Mapping[str, Value], tensors: Mapping[str, tuple[int, ...]], why: str
) -> None:
    with pytest.raises(ModelCorrupt, match=why) as caught:
        check(tmp_path, {**ABOUT, **about}, {**PAIR, **tensors})
    assert "llm.adapter" in caught.value.next_step


def test_one_that_changes_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelCorrupt, match="changes nothing"):
        check(tmp_path, ABOUT, {})


def test_a_folder_holds_one_file(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="0 GGUF files"):
        find_adapter(tmp_path)
    file = adapter(tmp_path, layers=1)
    assert find_adapter(tmp_path) == file
    assert check_adapter(tmp_path, "llama", SHAPES).size_bytes == 4 * RANK * (WIDTH + FEED_FORWARD)


@with_settings(max_examples=200)
@given(at=st.integers(0, 400), value=st.integers(0, 255))
def test_a_damaged_header_ends_in_no_other_error(
    at: int, value: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(gguf(ABOUT, PAIR))
    content[at] = value
    file = tmp_path_factory.mktemp("damaged") / "adapter.gguf"
    file.write_bytes(content)
    with suppress(ModelError):
        check_adapter(file, "llama", SHAPES)
