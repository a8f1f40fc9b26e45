"""Checkpoints of Hugging Face: what is refused unread, and the converter's unpacking.

Real conversions are in test_with_torch.
"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from assistant.errors import DownloadFailed, ModelCorrupt
from assistant.prepare import checkpoint, converter


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


def test_a_long_description_is_read_and_an_endless_one_is_not(folder: Path) -> None:
    """Gemma 3 describes thousands of marks."""
    marks = {str(number): {"content": f"<unused{number}>", "special": True} for number in range(25_000)}
    described = folder / "tokenizer_config.json"
    described.write_text(json.dumps({"added_tokens_decoder": marks}))
    assert described.stat().st_size > 1_300_000
    assert checkpoint.check(folder) == "bfloat16"
    described.write_bytes(b'{"a": 1' + b" " * checkpoint.MAX_JSON_BYTES + b"}")
    with pytest.raises(ModelCorrupt, match=r"tokenizer_config\.json cannot be read"):
        checkpoint.check(folder)


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
