"""The whole way with a real, small model: made, measured, installed; or nothing at all."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from assistant import engines
from assistant.core.errors import ModelMissing, ModelRefused, ModelUnknown, SettingsError, StorageFull
from assistant.core.types import Message
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import LlmSettings
from assistant.store import Store
from assistant.store.formats.gguf import read_header
from assistant.store.kinds import CARD
from assistant.store.progress import Unwatched
from assistant.tools.quantize import card, dialogues, making
from assistant.tools.quantize.recipe import FORMATS
from assistant.tools.quantize.request import Request
from assistant.tools.quantize.workspace import workspace
from tests.conftest import CHECKOUT
from tests.tools.quantize.conftest import NAME, left_behind

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("few_dialogues")]

Q4_0 = "q4_0"


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def make(store: Store, **changes: Any) -> dict[str, Any]:
    request = Request(
        **{"source": NAME, "format": Q4_0, "name": "mine", "imatrix": False, "threads": 1, **changes}
    )
    return making.make(request, store, Unwatched())


def test_what_is_sound_is_installed(store: Store) -> None:
    result = make(store, keep_f16=r"blk\.[01]\.attn_v", name="")
    assert result["name"] == "smollm2-135m-instruct-q4_0"
    assert store.path(result["name"], "llm") == Path(result["path"])
    entry = next(entry for entry in store.entries() if entry.name == result["name"])
    assert (entry.state, entry.licence) == ("installed", "Apache-2.0")
    store.verify(result["name"])
    assert entry.licence == next(entry.licence for entry in store.entries() if entry.name == result["name"])
    header = read_header(Path(result["path"]) / f"{result['name']}.gguf")
    types = {tensor.name: tensor.type for tensor in header.tensors}
    assert (types["blk.0.attn_v.weight"], types["blk.2.attn_v.weight"]) == ("F16", "Q4_0")
    assert result["kept_f16"] == ["blk.0.attn_v.weight", "blk.1.attn_v.weight"]
    assert result["fell_back_types"] == {"token_embd.weight": ("Q6_K", "Q8_0")}
    facts = json.loads((Path(result["path"]) / CARD).read_text(encoding="utf-8"))
    assert 0.05 < facts["kl"] < 1
    assert facts["perplexity"] > 2
    assert facts["licence"] == "Apache-2.0"
    assert facts["files"] == {
        f"{result['name']}.gguf": sha256(Path(result["path"]) / f"{result['name']}.gguf")
    }
    assert facts["source_sha256"] == sha256(next((store.models_dir / NAME).glob("*.gguf")))
    assert (facts["calibration_sha256"], facts["adapter_sha256"]) == ("", "")
    assert facts["runtime"] == "llama_cpp"
    assert "torch" not in facts["versions"]
    assert facts["command"].startswith(f"assistant quantize {NAME} --to q4_0 --method rtn --no-imatrix")
    written = (Path(result["path"]) / card.MARKDOWN).read_text(encoding="utf-8")
    assert f"({card.PICTURE})" in written
    assert f"{facts['kl']:.4f}" in written
    assert "q4_0" in (Path(result["path"]) / card.PICTURE).read_text(encoding="utf-8")
    assert not left_behind(store.models_dir)


def test_what_is_made_for_onnx_is_installed_and_answers(store: Store) -> None:
    pytest.importorskip("onnx", reason="the package that writes ONNX is not installed")
    result = make(store, format="onnx-int4", name="")
    assert result["name"] == "smollm2-135m-instruct-onnx-int4"
    store.verify(result["name"])
    assert result["types"] == {"int4": 210, "int8": 1}
    assert 0.05 < result["kl"] < 0.7
    assert result["tokens"] > 100
    assert result["bytes"] < 1.1 * result["source_bytes"]
    folder = store.path(result["name"], "llm")
    assert not list(folder.glob("*.gguf"))
    llm = engines.load("llm", "onnx", settings=LlmSettings(engine="onnx"), model=folder, threads=1)
    answer = "".join(llm.stream([Message("user", "What is the capital of France?")], Cancel()))
    # Which facts a model of 135 M knows at 4 bits differs from processor to processor.
    assert "Paris" in answer or "France" in answer
    llm.close()


def test_onnx_has_no_tensors_of_other_types(store: Store) -> None:
    with pytest.raises(SettingsError, match="apply only to GGUF formats"):
        make(store, format="onnx-int8", output_type=8)
    assert not left_behind(store.models_dir)


def test_an_importance_matrix_makes_it_better_and_gptq_better_still(store: Store) -> None:
    plain, weighed = make(store), make(store, name="weighed", imatrix=True, method="rtn")
    assert weighed["imatrix"]
    assert weighed["kl"] < 0.9 * plain["kl"]
    words = dialogues.shipped("calibration.txt")
    result = make(store, name="better", method="gptq", calibration=words)
    assert result["method"] == "gptq"
    assert result["types"] == plain["types"]
    assert result["bytes"] == plain["bytes"]
    assert result["kl"] < 0.8 * plain["kl"]
    assert result["calibration_sha256"] == sha256(words)
    assert f"`{sha256(words)}`" in (Path(result["path"]) / card.MARKDOWN).read_text(encoding="utf-8")


def test_a_checkpoint_for_elsewhere_needs_torch_to_be_measured(store: Store, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--output FOLDER"):
        make(store, format="hf-f16")
    (tmp_path / "there").mkdir()
    with pytest.raises(SettingsError, match="already exists"):
        make(store, format="hf-f16", output=tmp_path / "there")
    assert not left_behind(store.models_dir)


def test_what_lost_too_much_is_refused_but_for_force(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, Q4_0, dataclasses.replace(FORMATS[Q4_0], kl_limit=0.001))
    with pytest.raises(ModelRefused, match=r"nats per token, but the limit is 0\.001"):
        make(store)
    assert not (store.models_dir / "mine").exists()
    assert not left_behind(store.models_dir)
    result = make(store, force=True)
    assert result["forced"]
    assert next(entry for entry in store.entries() if entry.name == "mine").description.endswith("--force")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"keep_f16": "blk.(0"}, "not a regular expression"),
        ({"keep_f16": "layer9"}, "No tensor name matches"),
        ({"name": "whisper-tiny.en"}, "is used by a model in the catalog"),
        ({"name": "../out"}, "isn't a valid model name"),
        ({"calibration": Path("missing.txt"), "imatrix": True, "method": "rtn"}, "cannot be read"),
    ],
)
def test_impossible_requests_are_refused(store: Store, changes: dict[str, Any], error: str) -> None:
    with pytest.raises(SettingsError, match=error):
        make(store, **changes)
    assert not left_behind(store.models_dir)


def test_names_that_mean_nothing_here(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ModelUnknown):
        make(store, source="some-model")
    with pytest.raises(ModelMissing, match=r"neither a \.gguf file nor"):
        make(store, source=str(tmp_path))


@contextmanager
def _files_no_longer_than(size_bytes: int) -> Iterator[None]:
    """As on a full disk, for this process and its children."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size_bytes", [5_000_000, 60_000_000])
def test_a_full_disk_leaves_nothing_behind(store: Store, size_bytes: int) -> None:
    """The smaller one is full while the source is measured, the larger one while the file is made."""
    with (
        _files_no_longer_than(size_bytes),
        pytest.raises(Exception, match=r"is full|could not write") as raised,
    ):
        make(store)
    assert isinstance(raised.value, StorageFull) or "llama.cpp" in str(raised.value)
    assert not (store.models_dir / "mine").exists()
    assert not left_behind(store.models_dir)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_killed_process_leaves_nothing_behind(store: Store, number: int) -> None:
    run = "import sys; from assistant.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", run]
    environment = os.environ | {"ASSISTANT__STORE__MODELS": str(store.models_dir)}
    with subprocess.Popen(
        [*command, "quantize", NAME, "--to", "q8_0"], cwd=CHECKOUT, env=environment, stderr=subprocess.DEVNULL
    ) as process:
        working = store.models_dir / ".incoming" / ".quantize"
        limit_s = time.monotonic() + 60
        while not working.exists():
            assert process.poll() is None
            assert time.monotonic() < limit_s
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(60) != 0
    if number == signal.SIGKILL:  # nobody could clean up; the next one does
        with workspace(store.models_dir, Unwatched()) as work_dir:
            assert not list(work_dir.iterdir())
    assert not left_behind(store.models_dir)
    assert not (store.models_dir / "smollm2-135m-instruct-q8_0").exists()
