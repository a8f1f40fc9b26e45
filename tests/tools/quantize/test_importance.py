"""Importance matrices: gathered from a real model, carried to the quantizer, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assistant.core.errors import SettingsError
from assistant.store.progress import Unwatched
from assistant.tools.quantize.dialogues import Exchange, Texts
from assistant.tools.quantize.importance import gather_importance, load_importance, save_importance
from tests.tools.quantize.conftest import REAL

TALK = Texts(
    ((Exchange("Why is the sky blue?", "Because blue light is scattered more than red light."),) * 40,), ()
)


@pytest.mark.models
def test_every_matrix_of_every_layer_is_watched() -> None:
    found = gather_importance(REAL, TALK, TALK, 1, Unwatched())
    assert len(found) == 30 * 7
    assert found["blk.0.attn_q.weight"].shape == (576,)
    assert found["blk.29.ffn_down.weight"].shape == (1536,)
    # The same input goes into all three, so the library was watched at the right places.
    assert np.array_equal(found["blk.5.attn_q.weight"], found["blk.5.attn_v.weight"])
    assert all(
        np.isfinite(values).all() and (values >= 0).all() and values.any() for values in found.values()
    )


@pytest.mark.models
def test_a_short_text_is_refused() -> None:
    with pytest.raises(SettingsError, match="tokens, but at least 1000 are needed"):
        gather_importance(REAL, Texts((), ("Too short.",)), TALK, 1, Unwatched())


def test_it_survives_its_file(tmp_path: Path) -> None:
    matrix = {"blk.0.attn_q.weight": np.array([1.5, 2.5], np.float32), "blk.1.x": np.zeros(3, np.float32)}
    save_importance(matrix, tmp_path / "matrix.npz")
    loaded = load_importance(tmp_path / "matrix.npz")
    assert set(loaded) == set(matrix)
    assert all(np.array_equal(loaded[name], matrix[name]) for name in matrix)
