"""From a checkpoint to an installed model in one call; and back from one whose weights were rounded."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from assistant.core.errors import ModelCorrupt, ModelRefused
from assistant.runtime import paths
from assistant.store import Store
from assistant.store.formats.gguf import read_header
from assistant.store.kinds import CARD
from assistant.store.progress import Unwatched
from assistant.tools.quantize import converter, dialogues, hf_folder, making
from assistant.tools.quantize.building import build
from assistant.tools.quantize.checkpoint import convert
from assistant.tools.quantize.dialogues import Texts
from assistant.tools.quantize.gguf_io import GgufWeights
from assistant.tools.quantize.inputs import Inputs
from assistant.tools.quantize.recipe import FORMATS, Recipe
from assistant.tools.quantize.request import Request
from assistant.tools.quantize.source import Source
from tests.tools.quantize import tiny
from tests.tools.quantize.conftest import left_behind
from tests.tools.quantize.test_hf_folder import Array, read, turned_halves

pytestmark = [pytest.mark.models, pytest.mark.extra("prepare")]

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WATCHER = Unwatched()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a network that was never trained."""
    return tiny.checkpoint(tmp_path_factory.mktemp("tiny") / "my-model")


@pytest.fixture
def fetched(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Its name on Hugging Face, from where it was fetched before."""
    here = converter.unpacked(WATCHER)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    there = paths.data() / "checkpoints" / "maker--my-model"
    there.mkdir(parents=True)
    (paths.data() / here.name).symlink_to(here)
    for file in folder.iterdir():
        os.link(file, there / file.name)
    (there / ".fetched").write_text(COMMIT)
    return "maker/my-model"


@pytest.fixture(scope="module")
def inputs(folder: Path) -> Inputs:
    """Of the same in GGUF."""
    file, work_dir = folder.with_name("gguf") / "tiny.gguf", folder.with_name("shop")
    file.parent.mkdir()
    work_dir.mkdir()
    convert(folder, file, WATCHER)
    source = Source("tiny", file.parent, file, read_header(file), "tiny", "", 0)
    spoken = Texts(dialogues.read(dialogues.shipped("validation.txt")).conversations[:6], ())
    return Inputs(source, dialogues.shipped("calibration.txt"), spoken, 1, work_dir, WATCHER)


@pytest.mark.usefixtures("few_dialogues")
@pytest.mark.parametrize("by_name", [False, True])
def test_one_call_installs_it(
    folder: Path, store: Store, by_name: bool, request: pytest.FixtureRequest
) -> None:
    named = request.getfixturevalue("fetched") if by_name else str(folder)
    wanted = Request(named, "q4_k_m", force=True)
    result = making.make(wanted, store, WATCHER)
    assert result["name"] == "my-model-q4_k_m"
    assert "isn't for English" in result["forced"][0]
    store.verify(result["name"])
    entry = next(entry for entry in store.entries() if entry.name == result["name"])
    assert (entry.state, entry.licence) == ("installed", "cc0-1.0")
    header = read_header(Path(result["path"]) / "my-model-q4_k_m.gguf")
    assert header.hyperparameter("rope.freq_base") == tiny.ROPE_BASE
    assert {"F32", "Q6_K"} < {tensor.type for tensor in header.tensors}
    facts = json.loads((Path(result["path"]) / CARD).read_text(encoding="utf-8"))
    assert (facts["source"], facts["licence"], facts["imatrix"]) == (named, "cc0-1.0", True)
    assert facts["revision"] == (COMMIT if by_name else "")
    assert 0 < facts["kl"] < FORMATS["q4_k_m"].kl_limit
    assert not left_behind(store.models_dir)


@pytest.mark.usefixtures("few_dialogues")
def test_without_force_it_is_not_used(folder: Path, store: Store) -> None:
    with pytest.raises(ModelRefused, match=r"isn't for English: its perplexity is \d+,\d{3}"):
        making.make(Request(str(folder), "q8_0"), store, WATCHER)
    assert not (store.models_dir / "my-model-q8_0").exists()
    assert not left_behind(store.models_dir)


def unpacked(tensors: dict[str, Array], at: str) -> Array:
    """What a packed matrix stands for."""
    numbers, scales = tensors[f"{at}_packed"], tensors[f"{at}_scale"].astype(np.float32)
    numbers = np.stack([numbers >> 4 * place & 15 for place in range(8)], axis=-1).reshape(len(numbers), -1)
    return (numbers - 8) * np.repeat(scales, 32, axis=1)


@pytest.mark.parametrize("method", ["rtn", "gptq"])
def test_packed_weights_come_back_as_they_were_rounded(inputs: Inputs, tmp_path: Path, method: str) -> None:
    (tmp_path / "packed").mkdir()
    made = build(Recipe(FORMATS["hf-int4"], method), inputs, tmp_path / "packed" / "made.gguf")
    convert(made.file.parent, tmp_path / "back.gguf", WATCHER)
    tensors, back = read(made.file), GgufWeights(tmp_path / "back.gguf")
    packed = 0
    for tensor in inputs.source.header.tensors:
        at = hf_folder.name_of(tensor.name)
        if f"{at}_packed" not in tensors:
            assert np.array_equal(back.tensor(tensor.name), tensors[at].astype(np.float32))
            continue
        packed += 1
        matrix = unpacked(tensors, at)
        if hf_folder.TURNED.fullmatch(tensor.name):
            matrix = turned_halves(matrix, tiny.HEADS if "attn_q" in tensor.name else tiny.KEY_HEADS)
        assert np.array_equal(back.tensor(tensor.name), matrix.astype(np.float16).astype(np.float32))
    assert packed == 7 * tiny.LAYERS
    assert back.unused == []


def test_what_bitsandbytes_packed_is_refused(inputs: Inputs, tmp_path: Path) -> None:
    (tmp_path / "packed").mkdir()
    made = build(Recipe(FORMATS["hf-nf4"]), inputs, tmp_path / "packed" / "made.gguf")
    with pytest.raises(ModelCorrupt, match="packed with bitsandbytes, which isn't supported"):
        convert(made.file.parent, tmp_path / "back.gguf", WATCHER)
