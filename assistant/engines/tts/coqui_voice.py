"""Coqui's description of a voice, the ``config.json`` of its training -> ``Voice``.

The ids are those that Coqui's own classes of characters and its tokenizer give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter

from assistant.engines.tts.vits_voice import EspeakVoice, SampleRate, Scale, Voice, other_phonemes


def read_coqui(description: object, speaker_ids: object) -> Voice:
    """``speaker_ids`` is what its table of speakers holds, None without one.

    Raises ValueError or KeyError for a description that cannot be used, EngineUnavailable.
    """
    said = _CoquiDescription.model_validate(description)
    return _voice(said, _speakers(said, speaker_ids))


class _CoquiAudio(BaseModel):
    sample_rate: SampleRate = 22_050


class _CoquiCharacters(BaseModel):
    characters_class: str | None = None
    vocab_dict: list[str] | None = None
    pad: str | None = None
    eos: str | None = None
    bos: str | None = None
    blank: str | None = None
    characters: str = ""
    punctuations: str = ""
    phonemes: str | None = None
    is_unique: bool = False
    is_sorted: bool = True


class _CoquiModelArgs(BaseModel):
    inference_noise_scale: Scale = 0.667
    length_scale: Scale = 1.0
    inference_noise_scale_dp: Scale = 1.0
    num_speakers: Annotated[int, Field(ge=0, le=100_000)] | None = None


class _CoquiDescription(BaseModel):
    model: Literal["vits"]
    audio: _CoquiAudio = _CoquiAudio()
    use_phonemes: bool = False
    phonemizer: str | None = None
    phoneme_language: EspeakVoice | None = None
    text_cleaner: str | None = None
    enable_eos_bos_chars: bool = False
    add_blank: bool = True
    characters: _CoquiCharacters
    model_args: _CoquiModelArgs = _CoquiModelArgs()
    speakers: list[str] | None = None


_BLANK = "<BLNK>"

# Coqui's names for what espeak-ng calls otherwise.
_LANGUAGES = {"en": "en-us", "zh-cn": "cmn"}

# Coqui's cleaners that keep the case; all others lower it.
_KEEPS_CASE = (None, "no_cleaners", "phoneme_cleaners", "multilingual_phoneme_cleaners")

# Coqui's cleaners that turn colons and semicolons into commas, so that the voice never heard them.
_HEARS_COMMAS = (
    *("english_cleaners", "phoneme_cleaners", "multilingual_phoneme_cleaners"),
    *("french_cleaners", "italian_cleaners", "portuguese_cleaners", "multilingual_cleaners"),
)


def _voice(said: _CoquiDescription, speakers: Mapping[str, int]) -> Voice:
    # Coqui asks gruut for espeak's phonemes, so espeak-ng can stand in for it.
    if said.use_phonemes and said.phonemizer not in (None, "espeak", "gruut"):
        raise other_phonemes(said.phonemizer)
    if said.use_phonemes and said.phoneme_language is None:
        raise ValueError("phoneme_language is missing")
    language = said.phoneme_language or ""
    letters, framed = said.characters, said.enable_eos_bos_chars
    ids = {symbol: [number] for number, symbol in enumerate(_symbols(said))}
    blank = _BLANK if _class_name(letters) == "VitsCharacters" else letters.blank or ""
    return Voice(
        sample_rate_hz=said.audio.sample_rate,
        espeak_voice=_LANGUAGES.get(language, language) if said.use_phonemes else None,
        start=ids[letters.bos or ""] if framed else (),
        blank=ids[blank] if said.add_blank else (),
        end=ids[letters.eos or ""] if framed else (),
        symbols=_with_one_pause(ids) if said.text_cleaner in _HEARS_COMMAS else ids,
        decomposes=False,
        lowers=not said.use_phonemes and said.text_cleaner not in _KEEPS_CASE,
        noise_scale=said.model_args.inference_noise_scale,
        length_scale=said.model_args.length_scale,
        noise_width_scale=said.model_args.inference_noise_scale_dp,
        speaker_count=max(1, said.model_args.num_speakers or 0, len(speakers)),
        speakers=speakers,
    )


def _symbols(said: _CoquiDescription) -> list[str]:
    """The symbols in the order of their ids, as Coqui's classes of characters lay them out."""
    letters = said.characters
    class_name = _class_name(letters)
    if letters.vocab_dict is not None:
        return letters.vocab_dict
    if class_name == "VitsCharacters":
        # They are not sorted, and the blank is the last whatever the description says.
        return [
            letters.pad or "",
            *letters.punctuations,
            *letters.characters,
            *(letters.phonemes or ""),
            _BLANK,
        ]
    is_ipa = class_name == "IPAPhonemes" or (not class_name and said.use_phonemes)
    symbols: Sequence[str] = (letters.phonemes if is_ipa else None) or letters.characters
    symbols = list(dict.fromkeys(symbols)) if letters.is_unique else symbols
    symbols = sorted(symbols) if letters.is_sorted else symbols
    special = (letters.pad, letters.eos, letters.bos, letters.blank)
    return [*(symbol for symbol in special if symbol), *symbols, *letters.punctuations]


def _with_one_pause(ids: Mapping[str, Sequence[int]]) -> dict[str, Sequence[int]]:
    comma = ids.get(",", ())
    return {**ids, ";": comma, ":": comma}


def _class_name(letters: _CoquiCharacters) -> str:
    return (letters.characters_class or "").rpartition(".")[2]


def _speakers(said: _CoquiDescription, speaker_ids: object) -> dict[str, int]:
    if said.speakers:
        return {name: number for number, name in enumerate(said.speakers)}
    return TypeAdapter(dict[str, int]).validate_python(speaker_ids or {})
