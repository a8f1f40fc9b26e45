"""Folders of voices: a VITS voice in ONNX with its description, or Coqui's own format for torch.

A Piper voice is ``NAME.onnx`` with ``NAME.onnx.json``; a Coqui voice is the output of ``Vits.export_onnx``
with the ``config.json`` from training. The files' contents are untrusted.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from assistant.core.errors import ModelCorrupt, ModelMissing
from assistant.engines.tts.voice import Voice, read_coqui, read_piper
from assistant.runtime.json_file import read_object

_MAX_BYTES = 4_000_000
"""Fifty times the largest real description, which has a thousand speakers."""

_JSON_SPEAKERS = ("speaker_ids.json", "speakers.json")
"""Coqui's speaker table in JSON; its ``.pth`` is a pickle and is never opened."""


def read_voice(folder: Path) -> tuple[Path, Voice]:
    """Return the ONNX file in ``folder`` and the voice it contains.

    Raises ModelMissing, ModelCorrupt, or EngineUnavailable for a voice with unsupported phonemes.
    """
    found = sorted(folder.glob("*.onnx")) if folder.is_dir() else []
    if not found:
        raise ModelMissing(
            f"The voice '{folder.name}' is not installed: {folder} has no .onnx file.",
            f"Fetch it with: assistant models pull {folder.name}",
        )
    if len(found) > 1:
        raise ModelCorrupt(
            f"The voice folder {folder} has {len(found)} .onnx files.", "Keep only one voice per folder."
        )
    onnx = found[0]
    piper = onnx.with_name(f"{onnx.name}.json")
    coqui = folder / "config.json"
    try:
        if piper.is_file():
            return onnx, read_piper(read_object(piper, _MAX_BYTES))
        if coqui.is_file():
            speakers = next(filter(Path.is_file, map(folder.joinpath, _JSON_SPEAKERS)), None)
            named = read_object(speakers, _MAX_BYTES) if speakers else None
            return onnx, read_coqui(read_object(coqui, _MAX_BYTES), named)
    except (ValidationError, ValueError, KeyError, OSError) as error:
        raise ModelCorrupt(
            f"The description of the voice in {folder} cannot be used: {_first_line(error)}.",
            f"Fetch the voice again with: assistant models pull {folder.name}",
        ) from error
    raise ModelMissing(
        f"The voice in {folder} has no description: both {piper.name} and config.json are missing.",
        "Put the file that came with the voice next to it.",
    )


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        fault = error.errors()[0]
        return f"{'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg'].lower()}"
    if isinstance(error, KeyError):
        return f"it has no symbol {error}"
    return (str(error).splitlines() or [type(error).__name__])[0]


_COQUI_CHECKPOINTS = ("model_file.pth", "model_file.pth.tar", "model.pth", "checkpoint.pth", "best_model.pth")
COQUI_SPEAKERS = ("speaker_ids.json", "speakers.json", "speaker_ids.pth", "speakers.pth")
"""File names in a Coqui model."""


def find_coqui(name: str, model: Path) -> Path:
    """Find the voice's folder: in the model store, given as a path, or in Coqui's own store."""
    home = os.environ.get("TTS_HOME") or os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    in_coquis_store = Path(home, "tts", name.replace("/", "--")).expanduser()
    for folder in (model, Path(name).expanduser(), in_coquis_store):
        if (folder / "config.json").is_file() and coqui_checkpoint(folder):
            return folder
    fetch = f"tts --model_name {name} --text hello --out_path hello.wav" if name.count("/") == 3 else ""
    raise ModelMissing(
        f"The Coqui voice '{name}' is not installed: there is no config.json "
        f"with a model file in {model} or {in_coquis_store}.",
        f"With internet access, fetch it with: {fetch}. Otherwise, copy that folder here."
        if fetch
        else "Set tts.model to one of Coqui's names, such as tts_models/en/ljspeech/vits, or to its folder.",
    )


def coqui_size_bytes(name: str, model: Path) -> int:
    """Return the size of the file that torch would load for this voice; 0 if it isn't installed."""
    try:
        file = coqui_checkpoint(find_coqui(name, model))
    except ModelMissing:
        return 0
    return file.stat().st_size if file else 0


def coqui_checkpoint(folder: Path) -> Path | None:
    return next((folder / name for name in _COQUI_CHECKPOINTS if (folder / name).is_file()), None)
