"""Opens a model to be looked at, by what lies in its folder: GGUF, ONNX, or a checkpoint for torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from assistant.store.progress import Watcher
from assistant.tools.quantize.onnx_probe import OnnxProbe
from assistant.tools.quantize.passages import Scorer
from assistant.tools.quantize.probe import Probe
from assistant.tools.quantize.torch_child import TorchProbe


def engine_of(folder: Path) -> str:
    """What ``llm.engine`` must be for the model in ``folder``; empty when no engine runs it."""
    if any(folder.glob("*.gguf")):
        return "llama_cpp"
    return "onnx" if any(folder.glob("*.onnx")) else ""


@contextmanager
def opened(folder: Path, threads: int, watcher: Watcher) -> Iterator[Scorer]:
    """The model in ``folder``; closed at the end. Raises ModelMissing, ModelCorrupt or EngineFailed."""
    scorer: Scorer
    match engine_of(folder):
        case "llama_cpp":
            scorer = Probe(folder, threads)
        case "onnx":
            scorer = OnnxProbe(folder, threads)
        case _:
            scorer = TorchProbe(folder, threads, watcher)
    try:
        yield scorer
    finally:
        scorer.close()
