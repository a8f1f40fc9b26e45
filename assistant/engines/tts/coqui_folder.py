"""Where a voice in Coqui's own format lies on this disk, for its torch runtime."""

from __future__ import annotations

import os
from pathlib import Path

from assistant.core.errors import ModelMissing

CHECKPOINTS = ("model_file.pth", "model_file.pth.tar", "model.pth", "checkpoint.pth", "best_model.pth")
SPEAKERS = ("speaker_ids.json", "speakers.json", "speaker_ids.pth", "speakers.pth")
"""What the files of a Coqui model are called."""


def find(name: str, model: Path) -> Path:
    """The folder of the voice: in the model store, given as a path, or where Coqui keeps its own."""
    home = os.environ.get("TTS_HOME") or os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    in_coquis_store = Path(home, "tts", name.replace("/", "--")).expanduser()
    for folder in (model, Path(name).expanduser(), in_coquis_store):
        if (folder / "config.json").is_file() and checkpoint(folder):
            return folder
    fetch = f"tts --model_name {name} --text hello --out_path hello.wav" if name.count("/") == 3 else ""
    raise ModelMissing(
        f"The Coqui voice '{name}' is not on this disk: no config.json with a model file in {model}"
        f" or {in_coquis_store}.",
        f"Where there is internet, fetch it with: {fetch}; elsewhere, copy that folder here."
        if fetch
        else "Set tts.model to one of Coqui's names, such as tts_models/en/ljspeech/vits, or to its folder.",
    )


def size_bytes(name: str, model: Path) -> int:
    """Of the file that torch would load for this voice; 0 when it is not on this disk."""
    try:
        file = checkpoint(find(name, model))
    except ModelMissing:
        return 0
    return file.stat().st_size if file else 0


def checkpoint(folder: Path) -> Path | None:
    return next((folder / name for name in CHECKPOINTS if (folder / name).is_file()), None)
