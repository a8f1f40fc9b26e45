"""GGUF files of language models as people have them: in parts, without an ending, beside a projector.

``gathered`` finds what belongs to a model before it is imported; ``problem_of`` says what is none.
"""

from __future__ import annotations

import re
from pathlib import Path

from assistant.store.formats.gguf import GgufHeader, read_header

_PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf")
_MAGIC = b"GGUF"
_OLD_MAGIC = (b"ggml", b"ggjt", b"ggmf", b"lmgg", b"tjgg", b"fmgg")
_ENCODERS = frozenset({"bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "t5encoder"})
_OTHERS = {"clip": "a vision part (mmproj)", "whisper": "a Whisper model", "imatrix": "an importance matrix"}


def gathered(path: Path, files: dict[str, Path]) -> dict[str, Path]:
    """The files of the model at ``path``: each named .gguf, all of its parts, and no projector beside it."""
    named = {_name(name, file): file for name, file in files.items()}
    if path.is_file() and len(named) == 1 and (part := _PART.fullmatch(next(iter(named)))):
        beside = path.resolve().parent.glob(f"*-of-{part[3]}.gguf")
        named |= {each.name: each for each in sorted(beside) if each.name.startswith(f"{part[1]}-")}
    models = [name for name in named if name.endswith(".gguf")]
    projectors = [name for name in models if "mmproj" in name.lower()]
    if len(models) > len(projectors):
        named = {name: file for name, file in named.items() if name not in projectors}
    return named


def _name(name: str, file: Path) -> str:
    """The name with the ending that the engine looks for."""
    if name.endswith(".gguf") or _head(file) != _MAGIC:
        return name
    stem, dot, ending = name.rpartition(".")
    return f"{stem if dot and ending.lower() in {'gguf', 'bin'} else name}.gguf"


def _head(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(4)


def problem_of(files: dict[str, Path], models: list[Path]) -> str:
    """What is wrong with the GGUF files of a language model; empty for nothing. Raises ModelCorrupt."""
    if not models:
        return _without_models(files)
    parts = [match for path in models if (match := _PART.fullmatch(path.name))]
    if parts and len(parts) == len(models) and len({(part[1], part[3]) for part in parts}) == 1:
        if len(parts) < int(parts[0][3]):
            return f"only {len(parts)} of its {int(parts[0][3])} parts are here"
    elif len(models) != 1:
        return f"there are {len(models)} .gguf files instead of one"
    return _purpose(read_header(models[0]))


def _without_models(files: dict[str, Path]) -> str:
    if any(name.endswith(".safetensors") for name in files):
        return "it is a checkpoint; make a model of it with `assistant quantize`"
    if any(_head(file) in _OLD_MAGIC for file in files.values()):
        return "it is a GGML file from before GGUF, which llama.cpp no longer reads"
    if not files:
        return "the file is empty"
    return "there are 0 .gguf files instead of one"


def _purpose(header: GgufHeader) -> str:
    kind = str(header.metadata.get("general.type", ""))
    if kind == "imatrix" or any(key.startswith("imatrix.") for key in header.metadata):
        return f"it is {_OTHERS['imatrix']}"
    if header.architecture in _OTHERS:
        return f"it is {_OTHERS[header.architecture]}"
    if header.architecture in _ENCODERS:
        return f"it is a {header.architecture} file, which makes embeddings and no text"
    if not header.tensors and "tokenizer.ggml.tokens" in header.metadata:
        return "it has a vocabulary only, and no weights"
    return ""
