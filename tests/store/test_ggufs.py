"""GGUF files as people have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assistant.core.errors import ModelCorrupt
from assistant.store.ggufs import gathered
from assistant.store.kinds import recognise
from tests.gguf_writer import gguf

WEIGHT = {"token_embd.weight": np.ones((4, 32), np.float32)}


def put(folder: Path, name: str, architecture: str = "llama", **more: object) -> Path:
    """A small file of that name."""
    weights = {} if more.pop("empty", False) else WEIGHT
    path = folder / name
    metadata = {"general.architecture": architecture, **{key.replace("__", "."): more[key] for key in more}}
    path.write_bytes(gguf(metadata, weights))  # type: ignore[arg-type]
    return path


def taken(path: Path) -> list[str]:
    """What is imported of it. Raises ModelCorrupt."""
    paths = sorted(path.iterdir()) if path.is_dir() else [path]
    files = gathered(path, {each.name: each for each in paths if each.stat().st_size})
    recognise("llm", files)
    return sorted(files)


@pytest.mark.parametrize("name", ["sha256-3c168af1", "MODEL.GGUF", "ggml-model-q4_1.bin", "m.gguf"])
def test_the_content_says_what_it_is(tmp_path: Path, name: str) -> None:
    (only,) = taken(put(tmp_path, name))
    assert only.endswith(".gguf")


def test_all_parts_are_taken_by_their_folder_and_by_the_first(tmp_path: Path) -> None:
    first = put(tmp_path, "m-00001-of-00002.gguf")
    with pytest.raises(ModelCorrupt, match="only 1 of its 2 parts"):
        taken(first)
    put(tmp_path, "m-00002-of-00002.gguf")
    assert len(taken(first)) == len(taken(tmp_path)) == 2


def test_a_projector_beside_the_model_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, "mmproj-model-f16.gguf", "clip")
    put(tmp_path, "m.gguf")
    assert taken(tmp_path) == ["m.gguf"]


@pytest.mark.parametrize(
    ("architecture", "more", "problem"),
    [
        ("clip", {}, "vision part"),
        ("whisper", {}, "Whisper"),
        ("bert", {}, "embeddings"),
        ("llama", {"general__type": "imatrix"}, "importance matrix"),
        ("llama", {"empty": True, "tokenizer__ggml__tokens": ["a"]}, "vocabulary only"),
    ],
)
def test_what_is_no_language_model_is_named(
    tmp_path: Path, architecture: str, more: dict[str, object], problem: str
) -> None:
    with pytest.raises(ModelCorrupt, match=problem):
        taken(put(tmp_path, "m.gguf", architecture, **more))


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("m.gguf", b"", "empty"),
        ("model.safetensors", b"12345678{}", "assistant quantize"),
        ("ggml-old.bin", b"tjgg" + bytes(20), "before GGUF"),
    ],
)
def test_what_is_no_gguf_is_named(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelCorrupt, match=problem):
        taken(tmp_path)
