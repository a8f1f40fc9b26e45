"""Piper's description of a voice, ``NAME.onnx.json`` -> ``Voice``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from assistant.engines.tts.vits_voice import EspeakVoice, SampleRate, Scale, SymbolId, Voice, other_phonemes


def read_piper(description: object) -> Voice:
    """Raises ValueError or KeyError for a description that cannot be used, EngineUnavailable."""
    return _voice(_PiperDescription.model_validate(description))


class _PiperAudio(BaseModel):
    sample_rate: SampleRate


class _PiperEspeak(BaseModel):
    voice: EspeakVoice


class _PiperInference(BaseModel):
    noise_scale: Scale = 0.667
    length_scale: Scale = 1.0
    noise_w: Scale = 0.8


class _PiperDescription(BaseModel):
    audio: _PiperAudio
    phoneme_type: str = "espeak"
    espeak: _PiperEspeak | None = None
    phoneme_id_map: dict[str, list[SymbolId]]
    inference: _PiperInference = _PiperInference()
    num_speakers: Annotated[int, Field(ge=1, le=100_000)] = 1
    speaker_id_map: dict[str, SymbolId] = {}


def _voice(said: _PiperDescription) -> Voice:
    if said.phoneme_type not in ("espeak", "text"):
        raise other_phonemes(said.phoneme_type)
    if said.phoneme_type == "espeak" and said.espeak is None:
        raise ValueError("espeak.voice is missing")
    symbols = dict(said.phoneme_id_map)
    return Voice(
        sample_rate_hz=said.audio.sample_rate,
        espeak_voice=said.espeak.voice if said.phoneme_type == "espeak" and said.espeak else None,
        start=symbols.pop("^"),
        blank=symbols.pop("_"),
        end=symbols.pop("$"),
        symbols=symbols,
        decomposes=True,
        lowers=said.phoneme_type == "text",
        noise_scale=said.inference.noise_scale,
        length_scale=said.inference.length_scale,
        noise_width_scale=said.inference.noise_w,
        speaker_count=said.num_speakers,
        speakers=said.speaker_id_map,
    )
