"""What the gate thinks of figures and answers; real models are in test_making and test_damaged."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.core.errors import ModelCorrupt, SettingsError
from assistant.runtime import paths
from assistant.store.progress import Unwatched
from assistant.tools.quantize import gate, safetensors
from assistant.tools.quantize.dialogues import Texts
from assistant.tools.quantize.gate import doubts, doubts_about_source, gibberish
from assistant.tools.quantize.loss import Loss
from assistant.tools.quantize.recipe import FOR_BOARDS, FORMATS, find_format, tensor_number
from assistant.tools.quantize.trial import Answer
from tests.tools.quantize.whisper_checkpoints import write_safetensors

SOURCE = Loss(900, 3.0)
GOOD = [Answer("Why?", "Because the sky scatters blue light more than red light.")]


def test_a_small_loss_passes() -> None:
    assert not doubts(SOURCE, Loss(900, 3.1, kl=0.2), 1.0, GOOD)


@pytest.mark.parametrize(
    ("made", "figure"),
    [
        (Loss(900, 3.1, kl=1.2), "1.200 nats"),
        (Loss(900, 4.5, kl=0.9), "4.48 times"),
        (Loss(900, math.nan, kl=0.1), "nan times"),
        (Loss(900, 3.0, kl=math.nan), "nan nats"),
    ],
)
def test_a_large_loss_or_none_at_all_is_doubted_with_its_figure(made: Loss, figure: str) -> None:
    assert figure in doubts(SOURCE, made, 1.0, GOOD)[0]


def test_answers_are_looked_at() -> None:
    assert "answers nothing" in doubts(SOURCE, SOURCE, 1.0, [Answer("Why?", "")])[0]
    assert "'Why?'" in doubts(SOURCE, SOURCE, 1.0, [Answer("Why?", "the " * 20)])[0]


@pytest.mark.parametrize(
    "text",
    ["Paris.", "", "No, no, no!", "12 plus 30 is 42, because 2 and 0 make 2.", "日本の首都は東京です。"],
)
def test_language_is_no_gibberish(text: str) -> None:
    assert not gibberish(text)


@pytest.mark.parametrize("text", ["the the the the the the the the", "#@!%^&*()_+{}|:<>?[];',./`~1234567890"])
def test_gibberish_is_noticed(text: str) -> None:
    assert gibberish(text)


def test_a_source_that_knows_no_english_is_doubted() -> None:
    assert not doubts_about_source(SOURCE)
    assert "49,152" in doubts_about_source(Loss(900, math.log(49_152)))[0]


def test_every_board_has_a_format() -> None:
    assert set(FOR_BOARDS) == set(paths.shipped_files("devices"))
    assert set(FOR_BOARDS.values()) <= set(FORMATS)


def test_formats_are_found_by_name() -> None:
    assert find_format("Q4-K-M").number == 15
    assert tensor_number("Q8_0") == 8
    with pytest.raises(SettingsError, match="Did you mean 'q4_k_m'"):
        find_format("q4km")
    with pytest.raises(SettingsError, match="q6_k"):
        tensor_number("i32")


def packed() -> dict[str, np.ndarray[Any, Any]]:
    """Tensors as compressed-tensors and bitsandbytes have them, some that are plain, and a bias of 0."""
    return {
        "a.weight_packed": np.full((4, 2), -5, np.int32),
        "a.weight_scale": np.full((4, 1), 0.5, np.float16),
        "a.weight_shape": np.array([4, 16]),
        "b.weight": np.full((4, 8), 3, np.int8),
        "b.SCB": np.ones(4, np.float32),
        "b.weight_format": np.zeros(1, np.uint8),
        "c.weight": np.full((4, 4), 0x3F80, np.uint16),
        "c.bias": np.zeros(4, np.float16),
    }


def test_a_sound_checkpoint_of_few_bits_is_none_that_was_damaged(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model.safetensors", packed())
    safetensors.check_weights(tmp_path)


@pytest.mark.parametrize(
    ("name", "damage", "why"),
    [
        ("a.weight_packed", 0, "only zeros"),
        ("a.weight_scale", 0, "only zeros"),
        ("a.weight_scale", math.nan, "NaN"),
        ("b.weight", 0, "only zeros"),
        ("b.SCB", 0, "only zeros"),
        ("b.SCB", math.inf, "infinity"),
        ("c.weight", 0, "only zeros"),
        ("c.weight", 0x7FC0, "NaN"),
        ("c.bias", math.nan, "NaN"),
    ],
)
def test_a_damaged_checkpoint_does_not_pass_the_gate(
    tmp_path: Path, name: str, damage: float, why: str
) -> None:
    tensors = packed()
    tensors[name][...] = damage
    write_safetensors(tmp_path / "model.safetensors", tensors)
    nothing: Any = None  # it is not asked for: this is looked at first
    with pytest.raises(ModelCorrupt, match=f"{name}.*{why}"):
        gate.measure(tmp_path, Texts((), ()), nothing, 1, Unwatched())
