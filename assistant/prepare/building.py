"""Makes a model of another format: GGUF by llama.cpp's quantizer, ONNX by a writer of our own.

For ONNX llama.cpp first unpacks the weights to 16 bits, in a file that is gone afterwards.
"""

from __future__ import annotations

import importlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from assistant.errors import EngineUnavailable, SettingsError
from assistant.gguf import read_header
from assistant.prepare import importance
from assistant.prepare.formats import FORMATS, Format
from assistant.prepare.gguf_weights import is_plain
from assistant.prepare.quantizer import Job, Made, quantize
from assistant.store.disk import writing
from assistant.store.progress import Watcher


def build(job: Job, chosen: Format, watcher: Watcher) -> Made:
    """Do ``job``; what is made lies alone in the folder of its target.

    Raises StorageFull, EngineFailed; for ONNX also EngineUnavailable without the package ``onnx``,
    ModelCorrupt for a network of a kind that cannot be written, SettingsError for options that it lacks.
    """
    if chosen.runtime == "llama_cpp":
        return quantize(job, chosen, watcher)
    if job.keep_f16 or job.output_type is not None or job.embedding_type is not None:
        raise SettingsError(
            "--keep-f16, --output-type and --embedding-type are for GGUF formats only.",
            f"Leave them out for {chosen.name}.",
        )
    onnx_folder = _writer()
    source, folder = Path(job.source), Path(job.target).parent
    plain = source if is_plain(read_header(source)) else folder / "plain.gguf"
    weighed = importance.load(Path(job.importance)) if job.importance else {}
    try:
        if plain != source:
            unpacked = replace(job, target=str(plain), format=FORMATS["f16"].number, importance="")
            quantize(unpacked, FORMATS["f16"], watcher)
        with writing(folder):
            types: Counter[str] = onnx_folder.write(plain, folder, chosen.name, weighed, watcher)
    finally:
        if plain != source:
            plain.unlink(missing_ok=True)
    return Made(folder / onnx_folder.MODEL, {}, dict(types.most_common()))


def _writer() -> Any:
    try:
        return importlib.import_module("assistant.prepare.onnx_folder")
    except ImportError as error:
        raise EngineUnavailable(
            f"Writing ONNX needs the Python package '{error.name}', which is not installed.",
            "Install it (`pip install onnx`), or the assistant with the extra `prepare`.",
        ) from error
