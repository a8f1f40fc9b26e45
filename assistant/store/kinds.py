"""Checks that files look like a model of their kind, for models that aren't in the catalog.

Reads only the first bytes and the small JSON files, and never trusts a length. Passing this check does not
mean that a model is any good.
"""

from __future__ import annotations

import struct
from pathlib import Path

from assistant.core.errors import ModelCorrupt
from assistant.runtime.engine_spec import specs
from assistant.runtime.extensions import imported
from assistant.runtime.json_file import facts, read_object
from assistant.store import ggufs
from assistant.store.catalog import Kind, ModelFile
from assistant.store.formats.gguf import read_header
from assistant.store.sealed import SUFFIX, read_head

CTRANSLATE2_VERSIONS = range(1, 16)
"""The current converter writes version 6."""

CARD = "model-card.json"
"""Written by `assistant quantize` beside a model."""

MAX_LICENCE_LETTERS = 100


def recognise(kind: Kind, files: dict[str, Path]) -> None:
    """Check ``files`` (name -> path). Raises ModelCorrupt, which says what a model of that kind must have.

    What isn't a model of the engines here may be one of another package's.
    """
    others = [imported(each.recognises) for each in specs(kind).values() if each.recognises]
    if any(not problem_of(files) for problem_of in others):
        return
    problem = {"stt": _stt, "llm": _llm, "tts": _tts, "knowledge": _tables}.get(kind, _network)(files)
    if problem:
        raise ModelCorrupt(f"This is not a model of kind {kind}: {problem}.", NEEDS[kind])


def recognise_sealed(kind: Kind, files: dict[str, Path]) -> dict[str, ModelFile]:
    """Return the decrypted form of an encrypted model's files, as given by their headers; empty if not
    encrypted.

    Raises ModelCorrupt for damaged files, or if their names don't fit the kind.
    """
    if not files or not all(name.endswith(SUFFIX) for name in files):
        return {}
    heads = [read_head(path) for path in files.values()]
    telling = {"llm": (".gguf", ".onnx"), "stt": ("model.bin",)}.get(kind, (".onnx", ".tflite"))
    if not any(head.name.endswith(telling) for head in heads):
        raise ModelCorrupt(f"This is not an encrypted model of kind {kind}.", NEEDS[kind])
    if not all(head.size_bytes > 0 for head in heads):
        raise ModelCorrupt("A file of this encrypted model is empty.", NEEDS[kind])
    return {head.name: ModelFile(bytes=head.size_bytes, sha256=head.sha256) for head in heads}


def licence_of(files: dict[str, Path]) -> str:
    """Return the license named in the model's own files (its card, or a GGUF header); empty if none."""
    card = facts(files[CARD]) if CARD in files else {}
    if isinstance(card.get("licence"), str):
        return str(card["licence"])[:MAX_LICENCE_LETTERS]
    for path in _ending(files, ".gguf"):
        if declared := read_header(path).licence:
            return declared[:MAX_LICENCE_LETTERS]
    return ""


NEEDS: dict[Kind, str] = {
    "stt": "It must be a CTranslate2 folder with model.bin, config.json, and vocabulary.txt (or .json).",
    "llm": "It must be one GGUF file, or a folder with one ONNX decoder and its tokenizer.json.",
    "tts": "It must be one VITS voice: an .onnx file and its .onnx.json (or config.json).",
    "wake": "It must be an .onnx or .tflite file.",
    "vad": "It must be an .onnx or .tflite file.",
    "turn": "It must be an .onnx file.",
    "knowledge": "It must be the file knowledge.db that `scripts/knowledge` makes.",
}


def _llm(files: dict[str, Path]) -> str:
    models, decoders = _ending(files, ".gguf"), _ending(files, ".onnx")
    if not models and decoders:
        return _decoder(files, decoders)
    return ggufs.problem_of(files, models)


def _decoder(files: dict[str, Path], decoders: list[Path]) -> str:
    if len(decoders) != 1:
        return f"there are {len(decoders)} .onnx files instead of one"
    if "tokenizer.json" not in files:
        return "tokenizer.json is missing"
    return "" if _is_onnx(decoders[0]) else f"{decoders[0].name} is not an ONNX file"


def _stt(files: dict[str, Path]) -> str:
    if missing := {"model.bin", "config.json"} - set(files):
        return f"{' and '.join(sorted(missing))} missing"
    if not {"vocabulary.txt", "vocabulary.json"} & set(files):
        return "vocabulary.txt is missing"
    try:
        read_object(files["config.json"])
    except ValueError:
        return "config.json is not valid JSON"
    head = _head(files["model.bin"], 64)
    name = head[6 : 6 + struct.unpack("<H", head[4:6])[0]].rstrip(b"\0") if len(head) == 64 else b""
    if name != b"WhisperSpec" or struct.unpack("<I", head[:4])[0] not in CTRANSLATE2_VERSIONS:
        return "model.bin is not a CTranslate2 Whisper model"
    return ""


def _tts(files: dict[str, Path]) -> str:
    voices = _ending(files, ".onnx")
    if len(voices) != 1:
        return f"there are {len(voices)} .onnx files instead of one"
    description = files.get(f"{voices[0].name}.json") or files.get("config.json")
    if description is None:
        return f"{voices[0].name}.json is missing"
    if not isinstance(facts(description).get("audio"), dict):
        return f"{description.name} does not describe a voice"
    return "" if _is_onnx(voices[0]) else f"{voices[0].name} is not an ONNX file"


def _tables(files: dict[str, Path]) -> str:
    if set(files) != {"knowledge.db"}:
        return "it is not one file named knowledge.db"
    return "" if _head(files["knowledge.db"], 16) == b"SQLite format 3\0" else "knowledge.db is not SQLite"


def _network(files: dict[str, Path]) -> str:
    networks = [*_ending(files, ".onnx"), *_ending(files, ".tflite")]
    if not networks:
        return "there is no .onnx or .tflite file"
    for path in networks:
        if path.suffix == ".onnx" and not _is_onnx(path):
            return f"{path.name} is not an ONNX file"
        if path.suffix == ".tflite" and _head(path, 8)[4:] != b"TFL3":
            return f"{path.name} is not a TensorFlow Lite file"
    return ""


def _is_onnx(path: Path) -> bool:
    """True for ONNX: a protobuf whose first field is the format's version, a small number."""
    head = _head(path, 2)
    return len(head) == 2 and head[0] == 0x08 and 1 <= head[1] < 0x80


def _ending(files: dict[str, Path], suffix: str) -> list[Path]:
    return [path for name, path in files.items() if name.endswith(suffix)]


def _head(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)
