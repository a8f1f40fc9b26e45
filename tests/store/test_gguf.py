"""Headers of GGUF files: what is there is read, and nothing in them can do harm."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.core.errors import ModelCorrupt, ModelMissing
from assistant.store.formats.gguf import GgufHeader, LongArray, read_header
from tests.gguf_writer import Value, entry, gguf, tensor_line, text

METADATA: dict[str, Value] = {
    "general.architecture": "toy",
    "toy.block_count": 2,
    "toy.attention.head_count_kv": [1, 2],
    "toy.offset": -3,
    "toy.epsilon": 1e-5,
    "toy.tied": True,
    "general.languages": ["en", "de"],
    "tokenizer.ggml.tokens": [f"t{n}" for n in range(1500)],
    "tokenizer.ggml.scores": [0.5] * 1500,
}
TENSORS = {"token_embd.weight": (8, 3), "output_norm.weight": (8,)}
WHOLE = gguf(METADATA, TENSORS)

on_disk = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

scalars = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False), st.text(max_size=30)
)
lists = st.one_of(
    st.lists(st.text(max_size=5), max_size=8),
    st.lists(st.integers(0, 2**64 - 1), max_size=8),
    st.lists(st.floats(allow_nan=False), max_size=8),
    st.lists(st.booleans(), max_size=8),
)


def read(folder: Path, data: bytes) -> GgufHeader:
    file = folder / "model.gguf"
    file.write_bytes(data)
    return read_header(file)


def test_everything_in_a_header_is_read(tmp_path: Path) -> None:
    header = read(tmp_path, WHOLE)

    assert header.version == 3
    assert header.architecture == "toy"
    assert header.hyperparameter("block_count") == 2
    assert header.hyperparameter("attention.head_count_kv") == (1, 2)
    assert header.hyperparameter("offset") == -3
    assert header.hyperparameter("absent") is None
    assert header.metadata["general.languages"] == ("en", "de")
    assert header.metadata["tokenizer.ggml.tokens"] == LongArray(1500)
    assert header.metadata["tokenizer.ggml.scores"] == LongArray(1500)
    embedding, norm = header.tensors
    assert (embedding.name, embedding.shape, embedding.type) == ("token_embd.weight", (8, 3), "F32")
    assert (embedding.offset, embedding.size_bytes) == (header.data_offset, 96)
    assert (norm.offset, norm.size_bytes) == (header.data_offset + 96, 32)
    assert header.tensor_bytes == 128
    assert header.data_offset + 128 == len(WHOLE)


@on_disk
@given(st.dictionaries(st.text(min_size=1, max_size=20), st.one_of(scalars, lists), max_size=6))
def test_any_metadata_come_back_as_they_were_written(tmp_path: Path, metadata: dict[str, Value]) -> None:
    metadata.pop("general.alignment", None)
    expected = {key: tuple(value) if isinstance(value, list) else value for key, value in metadata.items()}
    assert read(tmp_path, gguf(metadata)).metadata == expected


def test_a_file_cut_anywhere_is_corrupt(tmp_path: Path) -> None:
    lengths = {*range(400), *range(400, len(WHOLE), 97), len(WHOLE) - 1}
    for length in sorted(lengths):
        with pytest.raises(ModelCorrupt):
            read(tmp_path, WHOLE[:length])


@on_disk
@given(st.data())
def test_damaged_bytes_raise_nothing_but_corrupt(tmp_path: Path, data: st.DataObject) -> None:
    damaged = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(WHOLE) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ModelCorrupt):
        read(tmp_path, bytes(damaged))


@on_disk
@given(st.binary(max_size=300))
def test_any_bytes_raise_nothing_but_corrupt(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ModelCorrupt):
        read(tmp_path, b"GGUF\x03\0\0\0" + data[:8] + b"\x01\0\0\0\0\0\0\0" + data[8:] + b"\xff")


HUGE = struct.pack("<Q", 2**63)
ONE = struct.pack("<QQ", 0, 1)
ONE_TENSOR = b"GGUF\x03\0\0\0" + struct.pack("<QQ", 1, 0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "ends in the middle"),
        (b"PK\x03\x04" + bytes(100), "not a GGUF file"),
        (gguf(version=1), "version is 1"),
        (b"GGUF\0\0\0\x03" + bytes(100), "made for big-endian machines"),
        (b"GGUF\x03\0\0\0" + HUGE * 2, "tensors"),
        (b"GGUF\x03\0\0\0" + bytes(8) + HUGE, "metadata entries"),
        (b"GGUF\x03\0\0\0" + ONE + HUGE + bytes(20), "characters in one string"),
        (b"GGUF\x03\0\0\0" + ONE + text("key") + struct.pack("<I", 99) + bytes(8), "type 99"),
        (b"GGUF\x03\0\0\0" + ONE + text("key") + struct.pack("<II", 9, 9) + bytes(8), "list of type 9"),
        (b"GGUF\x03\0\0\0" + ONE + text("key") + struct.pack("<II", 9, 8) + HUGE, "strings in one list"),
        (b"GGUF\x03\0\0\0" + ONE + text("key") + struct.pack("<II", 9, 0) + HUGE, "numbers in one list"),
        (b"GGUF\x03\0\0\0" + struct.pack("<QQ", 0, 2) + entry("k", 1) * 2, "same key twice"),
        (b"GGUF\x03\0\0\0" + ONE + entry("", 1), "no name"),
        (b"GGUF\x03\0\0\0" + ONE + b"\x01\0\0\0\0\0\0\0\xff" + bytes(20), "not UTF-8"),
        (gguf({"general.alignment": 3}, {}), "power of two"),
        (gguf({"general.alignment": "32"}, {}), "power of two"),
        (ONE_TENSOR + tensor_line("t", (), 0, 0) + bytes(64), "0 dimensions"),
        (ONE_TENSOR + tensor_line("t", (1,) * 5, 0, 0) + bytes(64), "5 dimensions"),
        (ONE_TENSOR + tensor_line("t", (0,), 0, 0) + bytes(64), "shape"),
        (ONE_TENSOR + tensor_line("t", (33,), 2, 0) + bytes(64), "impossible for Q4_0"),
        (ONE_TENSOR + tensor_line("t", (8,), 4, 0) + bytes(64), "Q4_2 is no longer known"),
        (ONE_TENSOR + tensor_line("t", (8,), 0, 32) + bytes(64), "not where it should be"),
        (ONE_TENSOR + tensor_line("t", (2**62, 2**62), 0, 0) + bytes(64), "part of it is missing"),
    ],
)
def test_each_kind_of_damage_is_named(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(ModelCorrupt, match=reason):
        read(tmp_path, data)


def test_two_tensors_of_one_name_are_corrupt(tmp_path: Path) -> None:
    lines = tensor_line("t", (8,), 0, 0) + tensor_line("t", (8,), 0, 32)
    with pytest.raises(ModelCorrupt, match="same name"):
        read(tmp_path, b"GGUF\x03\0\0\0" + struct.pack("<QQ", 2, 0) + lines + bytes(200))


def test_a_file_that_cannot_be_opened_is_missing(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.gguf", tmp_path):
        with pytest.raises(ModelMissing, match="cannot be read"):
            read_header(path)


@pytest.mark.models
def test_a_real_model_says_what_it_is() -> None:
    folder = Path("~/.local/share/assistant/models/smollm2-135m-instruct-q4_1").expanduser()
    header = read_header(next(folder.glob("*.gguf")))
    assert header.architecture == "llama"
    assert header.hyperparameter("block_count") == 30
    assert header.hyperparameter("attention.head_count_kv") == 3
    assert header.metadata["tokenizer.ggml.tokens"] == LongArray(49_152)
    assert len(header.tensors) == 272
    assert header.tensor_bytes == 96_576_768
