"""What became of a model that was made: the figures, and all that its card says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import llama_cpp

from assistant.tools.quantize import card
from assistant.tools.quantize.loss import Loss
from assistant.tools.quantize.quantizer import Made
from assistant.tools.quantize.trial import Spoken


@dataclass(frozen=True, slots=True)
class Result:
    """What became of it."""

    name: str
    path: Path
    format: str
    command: str
    source: str
    revision: str
    """The commit on the hub that the source came from; empty for what lay here."""
    source_sha256: str
    calibration_sha256: str
    """Of the text that showed which weights matter; empty where none was read."""
    adapter_sha256: str
    """Of what became part of the model first; empty where nothing did."""
    licence: str
    source_bytes: int
    size_bytes: int
    source_loss: Loss
    loss: Loss
    imatrix: bool
    method: str
    kept_f16: tuple[str, ...]
    """Tensors that a person wanted to stay at 16 bits."""
    made: Made
    spoken: Spoken
    used: Mapping[str, str]
    """Versions of what worked on it in other environments."""
    doubts: tuple[str, ...] = field(default=())
    """Why it was installed by force only."""

    def document(self) -> dict[str, Any]:
        """All of it as plain values: the model's card, and what ``--json`` prints."""
        facts = {
            "name": self.name,
            "kind": "llm",
            "format": self.format,
            "command": self.command,
            "source": self.source,
            "revision": self.revision,
            "source_sha256": self.source_sha256,
            "calibration_sha256": self.calibration_sha256,
            "adapter_sha256": self.adapter_sha256,
            "licence": self.licence,
            "source_bytes": self.source_bytes,
            "bytes": self.size_bytes,
            "source_perplexity": round(self.source_loss.perplexity, 3),
            **figures(self.loss),
            "imatrix": self.imatrix,
            "method": self.method,
            "kept_f16": list(self.kept_f16),
            "types": self.made.types,
            "fell_back": len(self.made.fell_back),
            "answers": [asdict(answer) for answer in self.spoken.answers],
            "runtime": self.spoken.runtime,
            "tokens_per_s": self.spoken.tokens_per_s,
            "memory_mb": self.spoken.memory_mb,
            "forced": list(self.doubts),
        }
        return card.stamped(facts, f"llama-cpp-python {llama_cpp.__version__}", self.used)


def figures(loss: Loss) -> dict[str, Any]:
    """A loss as plain values; nats per token."""
    return {
        "perplexity": round(loss.perplexity, 3),
        "kl": round(loss.kl, 5),
        "kl_error": round(loss.kl_error, 5),
        "same_first": round(loss.same_first, 4),
        "tokens": loss.tokens,
    }
