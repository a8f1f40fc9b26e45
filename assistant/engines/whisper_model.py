"""Opens a Whisper model from a folder, or says in one sentence why it cannot be opened.

Nothing here touches a network: faster-whisper would fetch a tokenizer that is not in the folder,
so a folder without one is refused.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel

from assistant.errors import EngineFailed, EngineUnavailable, ModelCorrupt, ModelMissing, SettingsError
from assistant.settings_engines import SttSettings

_NEEDED = ("model.bin", "config.json", "tokenizer.json")
_FETCH_AGAIN = "Fetch it again: `assistant models pull`; `assistant models verify` tells which file is wrong."


def open_model(folder: Path, settings: SttSettings, threads: int) -> WhisperModel:
    """Load the CTranslate2 model in ``folder`` with one worker of ``threads`` threads.

    Raises ModelMissing, ModelCorrupt, EngineUnavailable when the device or the number format is
    not there, SettingsError when the model does not know the language.
    """
    _check_files(folder)
    _check_device(settings)
    ctranslate2.set_log_level(logging.ERROR)
    try:
        model = WhisperModel(
            str(folder),
            device=settings.device,
            compute_type=settings.compute_type,
            cpu_threads=threads,
            num_workers=1,
            local_files_only=True,
        )
        _try(model)
    except MemoryError as error:
        raise EngineFailed(
            f"There is not enough memory for the speech model in {folder}.",
            "Choose a smaller one (stt.model).",
        ) from error
    except Exception as error:  # tokenizers raises bare Exceptions
        raise ModelCorrupt(
            f"The speech model in {folder} cannot be read ({_first_sentence(error)}).", _FETCH_AGAIN
        ) from error
    _check_language(model, settings)
    return model


def _check_files(folder: Path) -> None:
    if not folder.is_dir():
        raise ModelMissing(f"There is no speech model at {folder}.", "Fetch it: `assistant models pull`.")
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    if len(missing) == len(_NEEDED):
        raise ModelMissing(f"There is no Whisper model in {folder}.", "Fetch it: `assistant models pull`.")
    if missing:
        raise ModelCorrupt(f"The speech model in {folder} lacks {', '.join(missing)}.", _FETCH_AGAIN)


def _check_device(settings: SttSettings) -> None:
    if settings.device == "auto":
        return  # CTranslate2 takes what there is
    try:
        supported = ctranslate2.get_supported_compute_types(settings.device)
    except (RuntimeError, ValueError) as error:
        raise EngineUnavailable(
            f"Speech recognition cannot run on '{settings.device}' here ({_first_sentence(error)}).",
            "Set stt.device to cpu.",
        ) from error
    if settings.compute_type not in supported | {"auto"}:
        raise EngineUnavailable(
            f"Speech recognition cannot compute in {settings.compute_type} on this {settings.device}.",
            f"Set stt.compute_type to one of {', '.join(sorted(supported))}.",
        )


def _try(model: WhisperModel) -> None:
    """Take one step of recognition: only that finds a vocabulary that was cut off."""
    silence = np.zeros((1, model.model.n_mels, 2), dtype=np.float32)
    begin = model.hf_tokenizer.token_to_id("<|startoftranscript|>")
    model.model.generate(ctranslate2.StorageView.from_array(silence), [[begin]], beam_size=1, max_length=2)


def _check_language(model: WhisperModel, settings: SttSettings) -> None:
    known = model.supported_languages
    if settings.language != "auto" and settings.language not in known:
        raise SettingsError(
            f"The speech model '{settings.model}' does not know the language '{settings.language}'.",
            f"Set stt.language to one it knows ({', '.join(known)}), or choose another model (stt.model).",
        )


def _first_sentence(error: Exception) -> str:
    return re.split(r"\.\s|\n", str(error).strip())[0].rstrip(".") or type(error).__name__
