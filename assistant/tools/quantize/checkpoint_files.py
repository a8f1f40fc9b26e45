"""What a Hugging Face folder has beside its weights: config, tokenizer and chat template of a GGUF model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from assistant.store.formats.gguf import GgufHeader
from assistant.tools.quantize.onnx_shape import Shape
from assistant.tools.quantize.onnx_tokenizer import mark, tokenizer


def write(header: GgufHeader, folder: Path) -> None:
    """Raises ModelCorrupt for a vocabulary of a kind that is not known here, OSError."""
    save(folder / "tokenizer.json", tokenizer(header.metadata))
    marks = {f"{name}_token": found[1] for name in ("bos", "eos") if (found := mark(header.metadata, name))}
    # The class that reads any tokenizer.json; others make up a tokenizer of their own.
    save(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **marks})
    template = str(header.metadata.get("tokenizer.chat_template"))
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")


def config(header: GgufHeader, shape: Shape, kind: str) -> dict[str, Any]:
    """What every config.json says of a network; ``kind`` is the class that computes it."""
    marks = {
        f"{name}_token_id": found[0] for name in ("bos", "eos") if (found := mark(header.metadata, name))
    }
    return {
        "architectures": [kind],
        "model_type": shape.architecture,
        "hidden_size": shape.width,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_heads,
        "head_dim": shape.head_width,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.positions,
        "rms_norm_eps": shape.epsilon,
        "rope_theta": shape.rope_base,
        **marks,
    }


def save(file: Path, content: dict[str, Any]) -> None:
    """Raises OSError."""
    file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
