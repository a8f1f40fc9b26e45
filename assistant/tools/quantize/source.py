"""Finds a model by a name in the store, a GGUF file, or a folder, and collects what is known about it.

It always becomes a folder with one GGUF model in the workspace: a GGUF file is linked, a Hugging Face
checkpoint is converted. The original files are never modified.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.core.errors import ModelCorrupt, ModelMissing, SettingsError
from assistant.engines.llm.llama_cpp.gguf import find_model
from assistant.store import Store
from assistant.store.formats.gguf import GgufHeader
from assistant.store.licences import Agree
from assistant.store.progress import Watcher
from assistant.tools.quantize.checkpoint import HUB_NAME, find_checkpoint, read_json
from assistant.tools.quantize.workspace import fit_for_store

FORMAT_IN_NAME = re.compile(r"[-._](f16|f32|bf16|i?q\d[a-z0-9_]*|onnx-[a-z0-9]+)$", re.IGNORECASE)
"""The end of names such as "model-q4_k_m", which is removed for the new file."""

USUAL_ROPE_BASE = 10_000.0
"""llama.cpp's default if a file doesn't state it."""


@dataclass(frozen=True, slots=True)
class Source:
    """A model to be quantized."""

    named: str
    """As the user specified it."""
    folder: Path
    """Contains the one GGUF model."""
    file: Path
    header: GgufHeader
    stem: str
    """Its name without the format, usable as a name in the store."""
    licence: str
    """From the catalog or the file; empty if neither states it."""
    size_bytes: int
    revision: str = ""
    """The commit on the hub; empty for a local source."""

    @property
    def weights(self) -> int:
        """Return the number of weights."""
        return sum(math.prod(tensor.shape) for tensor in self.header.tensors)


def find(  # noqa: PLR0917
    named: str,
    store: Store,
    work_dir: Path,
    convert: Callable[[Path, Path], None],
    agree: Agree,
    watcher: Watcher,
) -> Source:
    """Find the source that the user specified; links and conversions are made in ``work_dir``.

    A name on Hugging Face is downloaded once. ``convert`` converts a checkpoint folder to a GGUF file;
    ``agree`` is asked about the license first. Raises LicenceNotAccepted, ModelMissing, ModelCorrupt,
    ModelUnknown, SettingsError, DownloadFailed, StorageFull, and the errors of ``convert``.
    """
    path = Path(named).expanduser()
    licence = revision = ""
    described = path
    if path.is_file():
        _only_gguf(path)
        folder = _linked(path, work_dir)
        stem = path.stem
    elif path.is_dir() and list(path.glob("*.gguf")):
        folder, stem = path, path.resolve().name
    elif path.is_dir() and (path / "config.json").is_file():
        folder, stem = work_dir / "converted", path.resolve().name
        licence = find_checkpoint(named, watcher, agree).licence
        folder.mkdir()
        convert(path, folder / "model.gguf")
    elif path.is_dir():
        raise ModelMissing(
            f"There is no model in {path}: it has neither a .gguf file nor a config.json.",
            "Specify the folder with the checkpoint's files.",
        )
    elif named in {entry.name for entry in store.entries()}:
        folder, stem = store.path(named, "llm"), named
        licence = next(entry.licence for entry in store.entries() if entry.name == named)
    elif HUB_NAME.fullmatch(named):
        checkpoint = find_checkpoint(named, watcher, agree)
        folder, stem, licence = work_dir / "converted", named.rpartition("/")[2], checkpoint.licence
        described, revision = checkpoint.folder, checkpoint.revision
        folder.mkdir()
        convert(checkpoint.folder, folder / "model.gguf")
    else:
        store.path(named, "llm")  # Its error lists the available names.
        raise ModelMissing(
            f"There is no file or model named {named}.", "Run `assistant models list` to see the models."
        )
    found = find_model(folder)
    _check_rope(described / "config.json", found.header)
    licence = licence or found.header.licence
    agree(named, licence)
    return Source(
        named,
        folder,
        found.file,
        found.header,
        fit_for_store(FORMAT_IN_NAME.sub("", stem)),
        licence,
        sum(part.stat().st_size for part in folder.glob("*.gguf")),
        revision,
    )


def _check_rope(config: Path, header: GgufHeader) -> None:
    """Raises ModelCorrupt if a conversion misread the base of the rotary positions.

    Versions of transformers store it in different places. A converter that looks in the wrong one reports no
    error: the model is slightly worse, and much worse with long texts.
    """
    if not config.is_file():
        return
    value = header.hyperparameter("rope.freq_base")
    got = value if isinstance(value, (int, float)) else USUAL_ROPE_BASE
    for wanted in _rope_bases(read_json(config)):
        if not math.isclose(wanted, got, rel_tol=1e-6):  # It is stored as a 32-bit float.
            raise ModelCorrupt(
                f"The rotary positions don't match: rope_theta is {wanted:g} in "
                f"config.json and {got:g} here.",
                "Check the checkpoint's config.json.",
            )


def _rope_bases(config: dict[str, Any]) -> Iterator[float]:
    """Yield the base of the rotary positions from each place that states it; a vision model has its own."""
    text = config.get("text_config")
    config = {**config, **text} if isinstance(text, dict) else config
    rope = config.get("rope_parameters") or config.get("rope_scaling")
    rope = rope.get("full_attention", rope) if isinstance(rope, dict) else {}  # Gemma 3 has two kinds.
    if "alpha" in rope:  # Hunyuan computes its base from it.
        return
    for place in (config, rope):
        if isinstance(base := place.get("rope_theta"), (int, float)):
            yield base


def _only_gguf(path: Path) -> None:
    if path.suffix != ".gguf":
        raise SettingsError(
            f"{path.name} is not a GGUF file.",
            "Specify a .gguf file, or a checkpoint's folder with its config.json.",
        )


def _linked(path: Path, work_dir: Path) -> Path:
    """Return a folder that contains only this file, whatever is next to it."""
    folder = work_dir / "source"
    folder.mkdir()
    (folder / path.name).symlink_to(path.resolve())
    return folder
