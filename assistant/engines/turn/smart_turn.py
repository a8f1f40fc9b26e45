"""Tells by sound whether a person has finished: Smart Turn v3 (BSD-2, Daily) on ONNX Runtime.

It wraps a recognizer and listens to the same audio, which ends in the first short pause. Words alone cannot
distinguish "And so, my fellow Americans." from a finished sentence; the voice can. It is right about nine of
ten finished sentences and takes some unfinished ones for finished, so it shortens only a wait that the words
leave open, and lengthens one that they would end (``dialog.endpointer``). Takes 30 to 50 ms.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from faster_whisper.feature_extractor import FeatureExtractor

from assistant.core.errors import ModelCorrupt, ModelMissing
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16, Transcript
from assistant.engines import Stt
from assistant.runtime.cancel import Cancel

_HEARD_S = 8
"""The network hears the last 8 s; shorter sound is padded with leading silence."""


def create(stt: Stt, model: Path, threads: int) -> SmartTurn:
    """Wrap ``stt`` with the network in the folder ``model``. Raises ModelMissing, ModelCorrupt."""
    again = f"Fetch it with: assistant models pull {model.name}"
    file = next(iter(sorted(model.glob("*.onnx"))), None)
    if file is None:
        raise ModelMissing(f"There is no turn model in {model}.", again)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        network = SmartTurn(stt, session)
        network.finished_probability(np.zeros(SAMPLE_RATE_HZ, np.int16))
    except Exception as error:  # ONNX Runtime's exceptions have no common base class
        reason = (str(error).splitlines() or ["it cannot be read"])[0].rstrip(".")
        raise ModelCorrupt(f"{file.name} is not a Smart Turn model: {reason}.", again) from error
    return network


class SmartTurn:
    """A recognizer that also tells whether the user has finished."""

    def __init__(self, stt: Stt, session: Any) -> None:
        self._stt = stt
        self._session = session
        self._features = FeatureExtractor(chunk_length=_HEARD_S)

    def transcribe(self, pcm: Pcm16, cancel: Cancel) -> Transcript:
        """Transcribe with the wrapped recognizer, and add ``finished_probability``."""
        transcript = self._stt.transcribe(pcm, cancel)
        if cancel or not transcript.text:
            return transcript
        return replace(transcript, finished_probability=self.finished_probability(pcm))

    def finished_probability(self, pcm: Pcm16) -> float:
        """Judge int16 samples at 16 kHz, shape (n,), that end in a short pause; 0 to 1."""
        length = _HEARD_S * SAMPLE_RATE_HZ
        heard = np.zeros(length, np.float32)
        latest = pcm[-length:]
        heard[length - len(latest) :] = latest
        # The network was trained on normalized sound (mean 0, variance 1), silence included.
        heard = (heard - heard.mean()) / np.sqrt(heard.var() + np.float32(1e-7))
        features: npt.NDArray[np.float32] = self._features(heard, padding=0)
        (answer,) = self._session.run(None, {"input_features": features[np.newaxis].astype(np.float32)})
        return float(np.clip(np.ravel(answer)[0], 0.0, 1.0))

    def warm_up(self) -> None:
        self._stt.warm_up()  # this network already ran when it was created

    def close(self) -> None:
        self._stt.close()
        self._session = None
