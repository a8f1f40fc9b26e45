"""A decoder in ONNX is taken in as a language model when it has what it needs to talk."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.core.errors import ModelCorrupt
from assistant.store.kinds import recognise

WHOLE = {"model.onnx": b"\x08\x0a", "model.onnx.data": b"weights", "tokenizer.json": b"{}"}


def laid(folder: Path, files: dict[str, bytes]) -> dict[str, Path]:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in files}


def test_a_decoder_with_its_tokenizer_is_a_language_model(tmp_path: Path) -> None:
    recognise("llm", laid(tmp_path, WHOLE))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tokenizer.json": None}, "tokenizer.json is missing"),
        ({"second.onnx": b"\x08\x0a"}, "2 .onnx files"),
        ({"model.onnx": b"no network"}, "not an ONNX file"),
    ],
)
def test_what_cannot_talk_is_none(tmp_path: Path, change: dict[str, bytes | None], reason: str) -> None:
    files = {name: content for name, content in {**WHOLE, **change}.items() if content is not None}
    with pytest.raises(ModelCorrupt, match=reason):
        recognise("llm", laid(tmp_path, files))
