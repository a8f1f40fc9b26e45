"""The Coqui engine: VITS voices on ONNX Runtime, or Coqui's own library on torch.

``tts.runtime`` chooses. ``onnx`` is ``vits``. ``torch`` is ``TTS.api`` from the extra ``coqui``, for voices
that were not exported; it runs any Coqui model that needs only text. Nothing is downloaded here: a voice is
on this disk, in the model store or in Coqui's own, or it is missing.
"""

from __future__ import annotations

import importlib
import logging
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from assistant.core.errors import EngineFailed, EngineUnavailable, ModelCorrupt, SettingsError
from assistant.core.types import Pcm16, Sentence
from assistant.engines import Tts
from assistant.engines.tts.sound import BREATH, gain_for, pause_after, to_pcm, trim
from assistant.engines.tts.voice_folder import COQUI_SPEAKERS, coqui_checkpoint, find_coqui
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import TtsSettings

log = logging.getLogger(__name__)

_NOTHING: Pcm16 = np.zeros(0, dtype=np.int16)


def create(settings: TtsSettings, model: Path, threads: int) -> Tts:
    """Load the voice in the folder ``model``, or for torch the one named in ``settings.model``.

    Raises ModelMissing, ModelCorrupt, EngineUnavailable or SettingsError.
    """
    if settings.runtime == "onnx":
        vits_tts = importlib.import_module("assistant.engines.tts.vits")
        voice: Tts = vits_tts.create(settings, model, threads)
        return voice
    # Importing torch takes seconds, and kills the process on boards it wasn't built for.
    missing = [name for name in ("TTS", "torch", "torchaudio") if find_spec(name) is None]
    if missing:
        raise EngineUnavailable(
            f"The voice's torch runtime needs the Python package '{missing[0]}', which is not installed.",
            "Install it with: pip install 'shelf-assistant[coqui]', or set tts.runtime to onnx.",
        )
    return TorchTts(find_coqui(settings.model, model), settings, threads)


class TorchTts:
    """A model loaded by Coqui's library.

    A sentence is synthesized in one piece: ``cancel`` is checked before and after it.
    """

    def __init__(self, folder: Path, settings: TtsSettings, threads: int) -> None:
        self._api = _load(folder, threads)
        self._speaker = _speaker(self._api.speakers if self._api.is_multi_speaker else None, settings.speaker)
        self.sample_rate_hz = int(self._api.synthesizer.output_sample_rate)
        self._gain = 0.0
        """Volume factor for everything this voice says; 0 until it has been measured."""
        _set_scales(self._api.synthesizer.tts_model, settings)

    def warm_up(self) -> None:
        """Synthesize once and discard the sound; this also measures the voice's volume."""
        self._gain = gain_for(self._speak("one, two, three, four, five."), self.sample_rate_hz)
        log.debug("voice_ready sample_rate_hz=%d gain=%.2f", self.sample_rate_hz, self._gain)

    def synthesize(self, sentence: Sentence, cancel: Cancel) -> Pcm16:
        """Return samples at ``sample_rate_hz``; empty if nothing is pronounceable or ``cancel`` is set.

        The sound ends with the pause that belongs after the sentence. Raises EngineFailed.
        """
        if cancel or not any(map(str.isalnum, sentence.text)):
            return _NOTHING
        if not self._gain:
            self.warm_up()
        text = sentence.text.rstrip()
        wave = self._speak(f"{text}," if sentence.goes_on else text)
        if cancel:
            return _NOTHING
        mark = BREATH if sentence.goes_on else text[-1]
        return np.concatenate([to_pcm(wave * self._gain), pause_after(mark, self.sample_rate_hz)])

    def close(self) -> None:
        self._api = None

    def _speak(self, text: str) -> Any:
        try:
            wave = self._api.tts(text, speaker=self._speaker)
        except Exception as error:  # torch and Coqui raise anything
            raise EngineFailed(
                f"The voice failed to speak: {_first_line(error)}.",
                "Set tts.runtime to onnx, or choose a different voice.",
            ) from error
        return trim(np.asarray(wave, dtype=np.float32).ravel(), self.sample_rate_hz)


def _load(folder: Path, threads: int) -> Any:
    try:
        torch = importlib.import_module("torch")
        api = importlib.import_module("TTS.api")
    except ImportError as error:
        raise EngineUnavailable(
            f"The torch runtime of the voice cannot be loaded: {_first_line(error)}.",
            "Reinstall it with: pip install 'shelf-assistant[coqui]', or set tts.runtime to onnx.",
        ) from error
    if threads:
        torch.set_num_threads(threads)
    speakers = next((folder / name for name in COQUI_SPEAKERS if (folder / name).is_file()), None)
    try:
        # By path: asked by name, Coqui would look for newer files on the internet.
        return api.TTS(
            model_path=str(coqui_checkpoint(folder)),
            config_path=str(folder / "config.json"),
            speakers_file_path=str(speakers) if speakers else None,
            progress_bar=False,
        )
    except Exception as error:  # torch and Coqui raise anything
        raise ModelCorrupt(
            f"The Coqui voice in {folder} cannot be loaded: {_first_line(error)}.", "Fetch it again."
        ) from error


def _speaker(names: list[str] | None, wanted: str | int | None) -> str | None:
    """Return Coqui's name for the speaker ``wanted`` by name or number."""
    if not names:
        return None
    if wanted is None:
        return names[0]
    if wanted in names:
        return str(wanted)
    if isinstance(wanted, int) and 0 <= wanted < len(names):
        return names[wanted]
    raise SettingsError(
        f"The voice has no speaker '{wanted}'.", f"Set tts.speaker to one of: {', '.join(names[:12])}."
    )


def _set_scales(model: Any, settings: TtsSettings) -> None:
    """Set speed and variation, if the model has VITS's settings."""
    if hasattr(model, "length_scale"):
        model.length_scale /= settings.speed
    if hasattr(model, "inference_noise_scale") and settings.noise_scale is not None:
        model.inference_noise_scale = settings.noise_scale
    if hasattr(model, "inference_noise_scale_dp") and settings.noise_width_scale is not None:
        model.inference_noise_scale_dp = settings.noise_width_scale


def _first_line(error: Exception) -> str:
    # In torch's explanations, the first sentence says what is wrong.
    return re.split(r"\.\s|\n", f"{str(error).strip() or type(error).__name__}\n")[0].rstrip(".")
