"""What runs in the environment "torch", with a Llama of two layers: converted, rounded, packed and trained.

The first of these tests installs the environment where it is not in the cache yet: about a minute.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from assistant.core.errors import EngineFailed, ModelRefused
from assistant.runtime import paths
from assistant.store import open_store
from assistant.store.formats.gguf import read_header
from assistant.store.kinds import CARD
from assistant.store.progress import Unwatched
from assistant.tools.quantize import card, dialogues, gate, making, safetensors
from assistant.tools.quantize.building import build
from assistant.tools.quantize.checkpoint import convert
from assistant.tools.quantize.dialogues import Texts
from assistant.tools.quantize.inputs import Inputs
from assistant.tools.quantize.loss import Loss, Reference
from assistant.tools.quantize.recipe import FORMATS, Recipe
from assistant.tools.quantize.request import Request
from assistant.tools.quantize.safetensors import Planned
from assistant.tools.quantize.scorers import opened
from assistant.tools.quantize.scoring import Passage
from assistant.tools.quantize.source import Source
from assistant.tools.quantize.torch_child import TorchChild
from assistant.tools.quantize.trial import QUESTIONS, hold_conversation
from tests.tools.quantize import tiny
from tests.tools.quantize.conftest import left_behind

pytestmark = [pytest.mark.models, pytest.mark.extra("prepare")]

WATCHER = Unwatched()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint."""
    return tiny.checkpoint(tmp_path_factory.mktemp("tiny") / "checkpoint")


@pytest.fixture(scope="module")
def file(folder: Path) -> Path:
    """What llama.cpp's converter makes of it."""
    made = folder.with_name("gguf") / "tiny.gguf"
    made.parent.mkdir()
    convert(folder, made, WATCHER)
    return made


@pytest.fixture(scope="module")
def spoken() -> Texts:
    """A few of the dialogues that are measured on."""
    return Texts(dialogues.read(dialogues.shipped("validation.txt")).conversations[:6], ())


@pytest.fixture(scope="module")
def inputs(file: Path, spoken: Texts) -> Inputs:
    source = Source("tiny", file.parent, file, read_header(file), "tiny", "", 0)
    work_dir = file.parent.with_name("shop")
    work_dir.mkdir()
    return Inputs(source, dialogues.shipped("calibration.txt"), spoken, 1, work_dir, WATCHER)


@pytest.fixture(scope="module")
def reference(file: Path, spoken: Texts) -> Iterator[Reference]:
    with gate.reference(file.parent, spoken, 1, file.parent, WATCHER) as kept:
        yield kept


def sha256(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def lost(recipe: Recipe, inputs: Inputs, reference: Reference, to: Path) -> Loss:
    to.mkdir()
    made = build(recipe, inputs, to / "made.gguf")
    return gate.measure(made.file.parent, inputs.spoken, reference, 1, WATCHER)


def scores(folder: Path, tokens: tuple[int, ...]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    with opened(folder, 1, WATCHER) as scorer:
        whole = np.concatenate(list(scorer.scores(Passage(tokens, tuple(range(1, len(tokens)))))))
        assert whole.shape[1] == scorer.vocabulary_size
    return whole.reshape(len(tokens) - 1, -1)


def test_a_converted_checkpoint_computes_the_same(folder: Path, file: Path) -> None:
    assert read_header(file).metadata["general.license"] == "cc0-1.0"
    tokens = tuple(np.random.default_rng(1).integers(3, 40_000, 60).tolist())
    ours, theirs = scores(file.parent, tokens), scores(folder, tokens)
    assert np.abs(ours - theirs).max() < 0.02 * np.abs(theirs).max()
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).mean() > 0.95


def test_a_checkpoint_that_cannot_be_converted_leaves_nothing(tmp_path: Path) -> None:
    wrong = tiny.checkpoint(tmp_path / "wrong")
    config = json.loads((wrong / "config.json").read_text())
    (wrong / "config.json").write_text(json.dumps({**config, "architectures": ["NoSuchModel"]}))
    with pytest.raises(EngineFailed, match="cannot be converted"):
        convert(wrong, tmp_path / "to.gguf", WATCHER)
    assert not (tmp_path / "to.gguf").exists()


def test_the_way_back_changes_nothing(inputs: Inputs, reference: Reference, tmp_path: Path) -> None:
    loss = lost(Recipe(FORMATS["hf-f16"]), inputs, reference, tmp_path / "hf")
    assert loss.kl < 1e-4
    assert loss.same_first > 0.99


@pytest.mark.parametrize(
    ("name", "method"),
    [("hf-int8", "rtn"), ("hf-nf4", "rtn"), ("hf-int4", "rtn"), ("hf-int4", "gptq"), ("hf-int4", "awq")],
)
def test_rounded_checkpoints_load_and_predict_nearly_the_same(
    inputs: Inputs, reference: Reference, tmp_path: Path, name: str, method: str
) -> None:
    loss = lost(Recipe(FORMATS[name], method), inputs, reference, tmp_path / "made")
    assert 1e-6 < loss.kl < FORMATS[name].kl_limit


def test_training_loses_less_than_rounding(inputs: Inputs, reference: Reference, tmp_path: Path) -> None:
    rounded = lost(Recipe(FORMATS["q4_0"]), inputs, reference, tmp_path / "rounded")
    trained = lost(Recipe(FORMATS["q4_0"], "qat"), inputs, reference, tmp_path / "trained")
    assert trained.kl < 0.95 * rounded.kl


def test_it_answers_in_transformers_as_in_llama_cpp(folder: Path, file: Path) -> None:
    ours, theirs = (hold_conversation(place, 1, WATCHER) for place in (file.parent, folder))
    assert [answer.question for answer in theirs.answers] == list(QUESTIONS)
    for one, other in zip(ours.answers, theirs.answers, strict=True):
        # Rounding makes them part some time: the network is of random weights, and sure of nothing.
        assert len(other.text) > 50
        assert one.text[:30] == other.text[:30]
    assert (ours.runtime, theirs.runtime) == ("llama_cpp", "transformers")


@pytest.mark.usefixtures("few_dialogues")
@pytest.mark.parametrize("name", ["hf-f16", "hf-int4", "hf-nf4"])
def test_what_is_made_for_elsewhere_comes_there_with_all_its_figures(
    folder: Path, tmp_path: Path, name: str
) -> None:
    store, there = open_store(tmp_path / "models"), tmp_path / "there"
    request = Request(str(folder), name, method="rtn", imatrix=False, output=there, force=True)
    result = making.make(request, store, WATCHER)
    assert result["path"] == str(there)
    assert result["kl"] < FORMATS[name].kl_limit
    facts = json.loads((there / CARD).read_text(encoding="utf-8"))
    assert [answer["question"] for answer in facts["answers"]] == list(QUESTIONS)
    assert facts["runtime"] == "transformers"
    assert facts["tokens_per_s"] > 0
    assert facts["memory_mb"] > 100, "torch alone takes that"
    assert set(facts["files"]) >= {"config.json", "model.safetensors", "tokenizer.json"}
    assert facts["source_sha256"] == sha256(folder / "config.json", folder / "model.safetensors")
    pins = paths.shipped_folder("models") / "environments" / "torch.txt"
    assert facts["versions"]["environment torch"] == hashlib.sha256(pins.read_bytes()).hexdigest()
    assert f"\ntransformers=={facts['versions']['transformers']} " in pins.read_text(encoding="utf-8")
    more = {"hf-int4": "compressed-tensors", "hf-nf4": "bitsandbytes"}.get(name, "torch")
    assert {"torch", "converter", more} <= facts["versions"].keys()
    assert ("bitsandbytes" in facts["versions"]) == (name == "hf-nf4")
    assert " tokens/s, " in (there / card.MARKDOWN).read_text(encoding="utf-8")
    scores(there, (5, 6, 7))
    assert not left_behind(store.models_dir)
    assert list(store.models_dir.glob("[!.]*")) == []


@pytest.mark.usefixtures("few_dialogues")
def test_what_is_refused_comes_nowhere(file: Path, tmp_path: Path) -> None:
    store, there = open_store(tmp_path / "models"), tmp_path / "there"
    with pytest.raises(ModelRefused, match="isn't for English"):
        making.make(Request(str(file), "hf-f16", output=there), store, WATCHER)
    assert not there.exists()
    assert not left_behind(store.models_dir)


@pytest.mark.usefixtures("few_dialogues")
def test_the_card_is_of_the_model_before_the_adapter_was_worked_in(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "peft"
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 4, "lora_alpha": 4}')
    at = "base_model.model.model.layers.0.self_attn.o_proj.lora_"
    shapes = {"A": (4, tiny.WIDTH), "B": (tiny.WIDTH, 4)}
    planned = {
        f"{at}{half}.weight": Planned(np.float16, shape, partial(np.full, shape, 0.01))
        for half, shape in shapes.items()
    }
    safetensors.write(folder / "adapter_model.safetensors", planned, lambda _: None)
    request = Request(str(file), "q8_0", adapter=folder, force=True)
    result = making.make(request, open_store(tmp_path / "models"), WATCHER)
    assert result["source_sha256"] == sha256(file)
    assert result["adapter_sha256"] == sha256(
        folder / "adapter_config.json", folder / "adapter_model.safetensors"
    )
    assert f"`{result['adapter_sha256']}`" in (Path(result["path"]) / card.MARKDOWN).read_text(
        encoding="utf-8"
    )
    assert not {"torch", "transformers"} & result["versions"].keys()


def test_what_torch_cannot_do_is_said(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with TorchChild(WATCHER) as child, pytest.raises(EngineFailed, match="torch failed: "):
        child.order("load", folder=str(tmp_path), threads=1)
