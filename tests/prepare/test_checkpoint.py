"""Checkpoints of Hugging Face: what is refused unread, the converter's unpacking, and a real conversion."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.errors import DownloadFailed, EngineUnavailable, ModelCorrupt, StorageFull
from assistant.gguf import read_header
from assistant.prepare import checkpoint, converter, making
from assistant.prepare.passages import Passage
from assistant.prepare.probe import Probe
from assistant.store.progress import Unwatched

TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a checkpoint looks like from outside."""
    here = tmp_path / "tiny"
    here.mkdir()
    (here / "config.json").write_text('{"architectures": ["LlamaForCausalLM"], "dtype": "bfloat16"}')
    (here / "tokenizer.json").write_text("{}")
    (here / "model.safetensors").write_bytes(b"weights")
    return here


def test_a_checkpoint_says_its_number_format(folder: Path) -> None:
    assert checkpoint.check(folder) == "bfloat16"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("modeling.py", "import os", "code of its own"),
        ("tokenizer_config.json", '{"auto_map": {"AutoTokenizer": "x--y.Z"}}', "code of its own"),
        ("config.json", "{}", "no architecture"),
        ("config.json", "[" * 5000, "cannot be read"),
        ("model.safetensors", None, "safetensors"),
        ("tokenizer.json", None, "no tokenizer"),
    ],
)
def test_what_is_unsafe_or_incomplete_is_refused(
    folder: Path, name: str, content: str | None, reason: str
) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(ModelCorrupt, match=reason):
        checkpoint.check(folder)


def test_a_missing_package_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "NEEDED", ("no_such_package",))
    with pytest.raises(EngineUnavailable, match=r"no_such_package.*extra `prepare`"):
        checkpoint.convert(folder, tmp_path / "to.gguf", Unwatched())


def package(path: Path, **files: bytes) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(converter.INSIDE + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_only_the_converter_is_unpacked(tmp_path: Path) -> None:
    files = {converter.SCRIPT: b"1", "conversion/base.py": b"2", "src/llama.cpp": b"3", "conversion.py": b"4"}
    converter.unpack(package(tmp_path / "package", **files), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.*")) == ["base.py", converter.SCRIPT]


@pytest.mark.parametrize(
    "files",
    [
        {converter.SCRIPT: b"1", "conversion/../../../evil.py": b"2"},
        {converter.SCRIPT: b"1", "conversion/large.py": bytes(converter.MAX_FILE_BYTES + 1)},
        {"conversion/base.py": b"2"},
    ],
)
def test_a_strange_package_is_refused(tmp_path: Path, files: dict[str, bytes]) -> None:
    with pytest.raises(DownloadFailed):
        converter.unpack(package(tmp_path / "package", **files), tmp_path / "a" / "b" / "out")
    assert not list(tmp_path.rglob("evil.py"))


def test_a_damaged_package_is_refused(tmp_path: Path) -> None:
    whole = package(tmp_path / "package", **{converter.SCRIPT: bytes(range(256)) * 400}).read_bytes()
    (tmp_path / "package").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DownloadFailed):
        converter.unpack(tmp_path / "package", tmp_path)


def _tiny_llama(folder: Path) -> Any:
    """A Llama of random weights with a vocabulary of its own, as a checkpoint; the model itself."""
    spm = pytest.importorskip("sentencepiece", reason="part of the extra 'prepare'")
    torch = pytest.importorskip("torch", reason="part of the extra 'prepare'")
    transformers = pytest.importorskip("transformers", reason="part of the extra 'prepare'")
    folder.mkdir()
    spm.SentencePieceTrainer.train(
        input=str(making.text("calibration.txt")),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=600,
        model_type="bpe",
        byte_fallback=True,
        minloglevel=2,
    )
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "LlamaTokenizer", "chat_template": TEMPLATE, "add_bos_token": True})
    )
    (folder / "README.md").write_text("---\nlicense: cc0-1.0\n---\nA toy.\n")
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=600,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        rope_theta=50_000.0,
        initializer_range=0.3,
    )
    model = transformers.LlamaForCausalLM(config).eval()
    model.save_pretrained(folder)
    return model


@pytest.mark.filterwarnings("ignore")  # transformers and torch warn of each other
def test_a_converted_checkpoint_computes_the_same(tmp_path: Path) -> None:
    model = _tiny_llama(tmp_path / "tiny")
    made = tmp_path / "made"
    made.mkdir()
    try:
        checkpoint.convert(tmp_path / "tiny", made / "tiny.gguf", Unwatched())
    except (DownloadFailed, StorageFull) as error:
        pytest.skip(str(error))
    assert read_header(made / "tiny.gguf").metadata["general.license"] == "cc0-1.0"
    tokens = tuple(np.random.default_rng(1).integers(3, 600, 60).tolist())
    with Probe(made, 1) as probe:
        ours = np.concatenate(list(probe.scores(Passage(tokens, tuple(range(1, 60))))))
    import torch  # noqa: PLC0415

    with torch.no_grad():
        theirs = model(torch.tensor([tokens])).logits[0, :-1].numpy()
    assert np.abs(ours - theirs).max() < 0.02 * np.abs(theirs).max()
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).mean() > 0.95


@pytest.mark.filterwarnings("ignore")
def test_a_checkpoint_that_cannot_be_converted_leaves_nothing(tmp_path: Path) -> None:
    _tiny_llama(tmp_path / "tiny")
    config = json.loads((tmp_path / "tiny" / "config.json").read_text())
    (tmp_path / "tiny" / "config.json").write_text(json.dumps({**config, "architectures": ["NoSuchModel"]}))
    with pytest.raises(Exception, match=r"could not be (converted|fetched)"):
        checkpoint.convert(tmp_path / "tiny", tmp_path / "to.gguf", Unwatched())
    assert not (tmp_path / "to.gguf").exists()
