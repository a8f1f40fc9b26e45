"""Opens a model to be looked at, by what lies in its folder: GGUF in llama.cpp, the rest in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from assistant.prepare.onnx_probe import OnnxProbe
from assistant.prepare.passages import Scorer
from assistant.prepare.probe import Probe


def engine_of(folder: Path) -> str:
    """What ``llm.engine`` must be for the model in ``folder``."""
    return "llama_cpp" if any(folder.glob("*.gguf")) else "onnx"


@contextmanager
def opened(folder: Path, threads: int) -> Iterator[Scorer]:
    """The model in ``folder``; closed at the end. Raises ModelMissing, ModelCorrupt or EngineFailed."""
    kind = Probe if engine_of(folder) == "llama_cpp" else OnnxProbe
    scorer: Scorer = kind(folder, threads)
    try:
        yield scorer
    finally:
        scorer.close()
