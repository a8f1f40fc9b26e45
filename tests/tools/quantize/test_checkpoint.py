"""Checkpoints of Hugging Face: what is refused unread, and the converter's unpacking.

Real conversions are in test_with_torch.
"""

from __future__ import annotations

import io
import json
import struct
import tarfile
from pathlib import Path
from typing import Any

import pytest

from assistant.core.errors import DownloadFailed, ModelCorrupt, StorageFull
from assistant.runtime import json_file
from assistant.store import disk
from assistant.store.progress import Unwatched
from assistant.tools.quantize import converter, hf_folder
from assistant.tools.quantize.checkpoint import check_checkpoint, convert, weights_of


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
    assert check_checkpoint(folder) == "bfloat16"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("modeling.py", "import os", "running its own code"),
        ("tokenizer_config.json", '{"auto_map": {"AutoTokenizer": "x--y.Z"}}', "running its own code"),
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
        check_checkpoint(folder)


@pytest.mark.parametrize(
    ("packing", "by"),
    [
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes"),
        ({"quant_method": "awq", "bits": 4}, "awq"),
        ({"load_in_8bit": True}, "an unnamed method"),
        (["gptq"], "an unnamed method"),
    ],
)
def test_what_is_packed_in_a_way_that_cannot_be_unpacked_is_refused(
    folder: Path, packing: object, by: str
) -> None:
    describe(folder, packing)
    with pytest.raises(ModelCorrupt, match=f"packed with {by}, which isn't supported") as raised:
        check_checkpoint(folder)
    assert "it was made from" in raised.value.next_step


GPTQ = {
    "at.qweight": ("I32", (512 // 8, 256)),
    "at.qzeros": ("I32", (512 // 32, 256 // 8)),
    "at.scales": ("F16", (512 // 32, 256)),
    "at.g_idx": ("I32", (512,)),
}
PACKED = {
    "at.weight_packed": ("I32", (256, 512 // 8)),
    "at.weight_scale": ("F16", (256, 512 // 32)),
    "at.weight_shape": ("I64", (2,)),
}


def describe(folder: Path, packing: object) -> None:
    """Its config.json says that its weights are packed so."""
    config = {"architectures": ["LlamaForCausalLM"], "dtype": "float16", "quantization_config": packing}
    (folder / "config.json").write_text(json.dumps(config))


def save(file: Path, tensors: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    """A file of safetensors that says so much, and holds no numbers."""
    header = json.dumps({name: {"dtype": kind, "shape": shape} for name, (kind, shape) in tensors.items()})
    file.write_bytes(struct.pack("<Q", len(header)) + header.encode())


@pytest.mark.parametrize(
    ("packing", "tensors"),
    [
        (None, {"at.weight": ("F32", (256, 512))}),
        (None, {"at.weight": ("BF16", (256, 512))}),
        ({"quant_method": "fp8"}, {"at.weight": ("F8_E4M3", (256, 512))}),
        ({"quant_method": "bitnet"}, {"at.weight": ("U8", (256 // 4, 512))}),
        ({"quant_method": "gptq", "bits": 4}, GPTQ),
        (hf_folder.packing(32), PACKED),
    ],
)
def test_the_disk_is_planned_for_the_weights_and_not_for_the_file(
    folder: Path, packing: object, tensors: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(folder, packing)
    save(folder / "model.safetensors", tensors)
    weights = 256 * 512
    assert weights <= weights_of(folder) < 1.2 * weights
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: disk.RESERVE_BYTES + 2 * weights - 1)
    with pytest.raises(StorageFull, match="This needs"):
        convert(folder, folder / "to.gguf", Unwatched())


def test_a_header_of_nonsense_is_refused(folder: Path) -> None:
    for shape in ([1, -1], "long", None, [True]):
        header = json.dumps({"at.weight": {"dtype": "F16", "shape": shape}})
        (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header.encode())
        with pytest.raises(ModelCorrupt, match=r"the shape of the tensor 'at\.weight' cannot be read"):
            convert(folder, folder / "to.gguf", Unwatched())


def test_a_long_description_is_read_and_an_endless_one_is_not(folder: Path) -> None:
    """Gemma 3 describes thousands of marks."""
    marks = {str(number): {"content": f"<unused{number}>", "special": True} for number in range(25_000)}
    described = folder / "tokenizer_config.json"
    described.write_text(json.dumps({"added_tokens_decoder": marks}))
    assert described.stat().st_size > 1_300_000
    assert check_checkpoint(folder) == "bfloat16"
    described.write_bytes(b'{"a": 1' + b" " * json_file.MAX_BYTES + b"}")
    with pytest.raises(ModelCorrupt, match=r"tokenizer_config\.json cannot be read"):
        check_checkpoint(folder)


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
