"""A VITS voice's parameters, read from Piper's or Coqui's description: symbol ids, rate, scales, speakers.

Piper's description is ``NAME.onnx.json``, Coqui's the ``config.json`` from training; for Coqui, the ids
follow from its own character classes and tokenizer. ``voice_folder`` finds these files. Independent of sound,
and of how text becomes phonemes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter

from assistant.core.errors import EngineUnavailable, SettingsError

SampleRate = Annotated[int, Field(ge=8000, le=48_000)]
SymbolId = Annotated[int, Field(ge=0, lt=100_000)]
Scale = Annotated[float, Field(ge=0, le=10)]
EspeakVoice = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+-]+$")]  # a path would be read as a file


@dataclass(frozen=True, slots=True)
class Voice:
    """The input format and parameters of one voice."""

    sample_rate_hz: int
    espeak_voice: str | None
    """The espeak-ng voice that provides its phonemes; None if it reads letters."""
    symbols: Mapping[str, Sequence[int]]
    """Phoneme, letter or mark -> its ids."""
    start: Sequence[int]
    """Ids before the first symbol."""
    blank: Sequence[int]
    """Ids after ``start`` and after each symbol."""
    end: Sequence[int]
    """Ids after the last symbol."""
    decomposes: bool
    """True if accents are separate symbols."""
    lowers: bool
    """True if it was trained only on lowercase."""
    noise_scale: float
    length_scale: float
    noise_width_scale: float
    speaker_count: int
    speakers: Mapping[str, int]

    def ids(self, text: str) -> list[int]:
        """Convert ``text``, phonemes or letters with marks, to ids; unknown symbols are skipped."""
        text = text.lower() if self.lowers else text
        text = unicodedata.normalize("NFD", text) if self.decomposes else text
        ids = [*self.start, *self.blank]
        for symbol in text:
            if symbol in self.symbols:
                ids += [*self.symbols[symbol], *self.blank]
        return [*ids, *self.end]

    def speaker_id(self, speaker: str | int | None) -> int:
        """Return the number of ``speaker``, given by name or number; the first if None. Raises
        SettingsError.
        """
        number = 0 if speaker is None else self.speakers.get(str(speaker), speaker)
        if isinstance(number, int) and 0 <= number < self.speaker_count:
            return number
        names = ", ".join(list(self.speakers)[:12]) or "none by name"
        raise SettingsError(
            f"The voice has no speaker '{speaker}'; it has {self.speaker_count} ({names}).",
            f"Set tts.speaker to one of them or to a number below {self.speaker_count}, or remove it.",
        )


def _other_phonemes(kind: str | None) -> EngineUnavailable:
    return EngineUnavailable(
        f"The voice was made for '{kind}' phonemes, but this engine has only those of espeak-ng.",
        "Choose a different voice in the settings (tts.model), or set tts.runtime to torch.",
    )


def read_piper(description: object) -> Voice:
    """Parse Piper's description. Raises ValueError or KeyError if it is invalid, EngineUnavailable."""
    return _piper_voice(_PiperDescription.model_validate(description))


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


def _piper_voice(said: _PiperDescription) -> Voice:
    if said.phoneme_type not in ("espeak", "text"):
        raise _other_phonemes(said.phoneme_type)
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


def read_coqui(description: object, speaker_ids: object) -> Voice:
    """Parse Coqui's description; ``speaker_ids`` is the content of its speaker table, or None.

    Raises ValueError or KeyError if it is invalid, EngineUnavailable.
    """
    said = _CoquiDescription.model_validate(description)
    return _coqui_voice(said, _coqui_speakers(said, speaker_ids))


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


_COQUI_BLANK = "<BLNK>"

# Coqui's names for languages that espeak-ng names differently.
_COQUI_LANGUAGES = {"en": "en-us", "zh-cn": "cmn"}

# Coqui's cleaners that preserve case; all others convert to lowercase.
_COQUI_KEEPS_CASE = (None, "no_cleaners", "phoneme_cleaners", "multilingual_phoneme_cleaners")

# Coqui's cleaners that turn colons and semicolons into commas, so the voice was never trained on them.
_COQUI_HEARS_COMMAS = (
    *("english_cleaners", "phoneme_cleaners", "multilingual_phoneme_cleaners"),
    *("french_cleaners", "italian_cleaners", "portuguese_cleaners", "multilingual_cleaners"),
)


def _coqui_voice(said: _CoquiDescription, speakers: Mapping[str, int]) -> Voice:
    # Coqui asks gruut for espeak's phonemes, so espeak-ng can replace it.
    if said.use_phonemes and said.phonemizer not in (None, "espeak", "gruut"):
        raise _other_phonemes(said.phonemizer)
    if said.use_phonemes and said.phoneme_language is None:
        raise ValueError("phoneme_language is missing")
    language = said.phoneme_language or ""
    letters, framed = said.characters, said.enable_eos_bos_chars
    ids = {symbol: [number] for number, symbol in enumerate(_coqui_symbols(said))}
    blank = _COQUI_BLANK if _coqui_class_name(letters) == "VitsCharacters" else letters.blank or ""
    return Voice(
        sample_rate_hz=said.audio.sample_rate,
        espeak_voice=_COQUI_LANGUAGES.get(language, language) if said.use_phonemes else None,
        start=ids[letters.bos or ""] if framed else (),
        blank=ids[blank] if said.add_blank else (),
        end=ids[letters.eos or ""] if framed else (),
        symbols=_with_one_pause(ids) if said.text_cleaner in _COQUI_HEARS_COMMAS else ids,
        decomposes=False,
        lowers=not said.use_phonemes and said.text_cleaner not in _COQUI_KEEPS_CASE,
        noise_scale=said.model_args.inference_noise_scale,
        length_scale=said.model_args.length_scale,
        noise_width_scale=said.model_args.inference_noise_scale_dp,
        speaker_count=max(1, said.model_args.num_speakers or 0, len(speakers)),
        speakers=speakers,
    )


def _coqui_symbols(said: _CoquiDescription) -> list[str]:
    """Return the symbols in the order of their ids, as laid out by Coqui's character classes."""
    letters = said.characters
    class_name = _coqui_class_name(letters)
    if letters.vocab_dict is not None:
        return letters.vocab_dict
    if class_name == "VitsCharacters":
        # They are not sorted, and the blank is last whatever the description says.
        return [
            letters.pad or "",
            *letters.punctuations,
            *letters.characters,
            *(letters.phonemes or ""),
            _COQUI_BLANK,
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


def _coqui_class_name(letters: _CoquiCharacters) -> str:
    return (letters.characters_class or "").rpartition(".")[2]


def _coqui_speakers(said: _CoquiDescription, speaker_ids: object) -> dict[str, int]:
    if said.speakers:
        return {name: number for number, name in enumerate(said.speakers)}
    return TypeAdapter(dict[str, int]).validate_python(speaker_ids or {})
