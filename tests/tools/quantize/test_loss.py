"""The arithmetic of losses, on distributions whose divergence is known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from assistant.core.errors import ModelCorrupt
from assistant.tools.quantize.loss import Loss, Reference
from assistant.tools.quantize.scoring import Passage

PASSAGES = [Passage((0, 1, 0, 1, 1), (1, 2, 3, 4)), Passage((1, 0, 1), (1, 2))]


class Coin:
    """Thinks that token 1 comes with the same probability everywhere; tells in pieces of two."""

    def __init__(self, probability: float) -> None:
        self.logits = np.array([0.0, math.log(probability / (1 - probability))], dtype=np.float32)

    def scores(self, passage: Passage) -> Iterator[npt.NDArray[np.float32]]:
        for start in range(0, len(passage.scored), 2):
            yield np.tile(self.logits + 5, (len(passage.scored[start : start + 2]), 1))


def compared(reference: float, made: float, folder: Path) -> Loss:
    counted: list[int] = []
    with Reference(PASSAGES, folder) as kept:
        kept.record(Coin(reference), counted.append)  # type: ignore[arg-type]
        loss = kept.compare(Coin(made), counted.append)  # type: ignore[arg-type]
    assert sum(counted) == 2 * 6
    return loss


def test_a_model_loses_nothing_against_itself(tmp_path: Path) -> None:
    loss = compared(0.25, 0.25, tmp_path)
    assert loss.kl == pytest.approx(0, abs=1e-4)
    assert loss.same_first == 1
    assert loss.nats == pytest.approx(-(4 * math.log(0.25) + 2 * math.log(0.75)) / 6)


def test_a_known_divergence_is_found(tmp_path: Path) -> None:
    loss = compared(0.25, 0.5, tmp_path)
    assert loss.kl == pytest.approx(0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5), abs=1e-3)
    assert loss.kl_error == pytest.approx(0, abs=1e-3)
    assert loss.perplexity == pytest.approx(2)


def test_what_is_no_number_is_refused(tmp_path: Path) -> None:
    broken = Coin(0.5)
    broken.logits[0] = np.nan
    with Reference(PASSAGES, tmp_path) as kept, pytest.raises(ModelCorrupt, match="NaN"):
        kept.record(broken, lambda _: None)  # type: ignore[arg-type]


def test_nothing_lies_in_the_folder(tmp_path: Path) -> None:
    with Reference(PASSAGES, tmp_path) as kept:
        kept.record(Coin(0.5), lambda _: None)  # type: ignore[arg-type]
        assert not list(tmp_path.iterdir())
