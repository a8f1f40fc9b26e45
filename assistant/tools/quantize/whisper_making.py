"""A Whisper checkpoint of Hugging Face becomes a model for the ears: written, heard with, judged, installed.

The checkpoint in 32 bits is the reference, written by the same hand; the round trip in the tests says
that this hand is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ctranslate2

from assistant.core.errors import ModelCorrupt, SettingsError
from assistant.store import Store, licences
from assistant.store.disk import writing
from assistant.store.own import check_name
from assistant.store.progress import Watcher, timed
from assistant.tools.quantize import card, whisper_gate
from assistant.tools.quantize.checkpoint import check_checkpoint, find_checkpoint, read_json
from assistant.tools.quantize.record import checksum, files_of
from assistant.tools.quantize.whisper_folder import TYPES, Whisper
from assistant.tools.quantize.workspace import install, plan, refuse, stem_of, workspace

COMPUTE = {"ct2-int8": "int8", "ct2-float16": "float32", "ct2-float32": "float32"}
"""Format -> how it is tried: a processor computes no 16-bit floats."""

BYTES = {"ct2-int8": 1.1, "ct2-float16": 2.0, "ct2-float32": 4.0}
"""A weight's, with scales."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked for."""

    source: str
    """A folder, or a name on Hugging Face."""
    format: str
    name: str = ""
    threads: int = 1
    accept_licence: bool = False
    force: bool = False


def make(wish: Wish, store: Store, watcher: Watcher) -> dict[str, Any]:
    """Do all of it; the model's card with its ``path``. On any error the store is as it was.

    Raises SettingsError, ModelMissing, LicenceNotAccepted, ModelCorrupt, ModelRefused, DownloadFailed,
    StorageFull, EngineFailed.
    """
    if wish.format not in TYPES:
        raise SettingsError(f"Whisper cannot become {wish.format[:40]!r}.", f"There are {', '.join(TYPES)}.")
    if wish.name:
        check_name(store.catalog, wish.name)
    agree = licences.agreement(store.models_dir, accept=wish.accept_licence)
    source = find_checkpoint(wish.source, watcher, agree)
    whisper = opened(source.folder)
    name = wish.name or f"{stem_of(source.named)}-{wish.format.removeprefix('ct2-')}"
    check_name(store.catalog, name)
    elements = whisper.tensors.elements
    with workspace(store.models_dir, watcher) as work_dir:
        written_bytes = int(elements * (BYTES[wish.format] + BYTES["ct2-float32"]))
        plan(written_bytes, 2 * 4 * elements, work_dir, watcher)
        made, reference = work_dir / "made" / name, work_dir / "reference"
        for folder, kind in ((reference, "ct2-float32"), (made, wish.format)):
            folder.mkdir(parents=True)
            with writing(store.models_dir):
                whisper.write(folder, kind, watcher)
        with timed("Listening with the source", watcher):
            before = whisper_gate.hear(reference, "float32", wish.threads)
        with timed("Listening with what was made", watcher):
            after = whisper_gate.hear(made, COMPUTE[wish.format], wish.threads)
        doubts = whisper_gate.doubts(before, after, wish.format)
        refuse(doubts, f"The model {name} was not installed", force=wish.force)
        options: dict[str, str | bool] = {"to": wish.format, "as": wish.name, "force": wish.force}
        about = card.stamped(
            {
                "name": name,
                "kind": "stt",
                "format": wish.format,
                "command": card.command("whisper", wish.source, options=options),
                "source": source.named,
                "revision": source.revision,
                "source_sha256": checksum(files_of(source.folder), watcher),
                "licence": source.licence,
                "source_bytes": sum(file.stat().st_size for file in source.folder.glob("*.safetensors")),
                "bytes": (made / "model.bin").stat().st_size,
                "said": whisper_gate.SAID,
                "source_heard": before.text,
                "source_word_error": round(before.error, 4),
                "heard": after.text,
                "word_error": round(after.error, 4),
                "encoder_drift": round(whisper_gate.drift(before, after), 5),
                "hearing_s": round(after.seconds, 2),
                "source_hearing_s": round(before.seconds, 2),
                "memory_mb": after.memory_mb,
                "forced": doubts,
            },
            f"ctranslate2 {ctranslate2.__version__}",
        )
        place = install(store, "stt", made, about, watcher)
    return {**about, "path": str(place)}


def opened(folder: Path) -> Whisper:
    """The checkpoint, which is data only. Raises ModelCorrupt."""
    check_checkpoint(folder)
    architectures = read_json(folder / "config.json")["architectures"]
    if "WhisperForConditionalGeneration" not in architectures:
        raise ModelCorrupt(
            f"The checkpoint in {folder} is no Whisper model: its architecture is {architectures!r:.80}.",
            "A language model is quantized without the word `whisper`.",
        )
    return Whisper(folder)
