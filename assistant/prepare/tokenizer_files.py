"""Writes a GGUF model's vocabulary and chat template as the files that a Hugging Face folder has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from assistant.gguf import GgufHeader
from assistant.prepare.onnx_tokenizer import mark, tokenizer


def write(header: GgufHeader, folder: Path) -> None:
    """Raises ModelCorrupt for a vocabulary of a kind that is not known here, OSError."""
    save(folder / "tokenizer.json", tokenizer(header.metadata))
    marks = {f"{name}_token": found[1] for name in ("bos", "eos") if (found := mark(header.metadata, name))}
    # The class that reads any tokenizer.json; others make up a tokenizer of their own.
    save(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **marks})
    template = str(header.metadata.get("tokenizer.chat_template"))
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")


def save(file: Path, content: dict[str, Any]) -> None:
    """Raises OSError."""
    file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
