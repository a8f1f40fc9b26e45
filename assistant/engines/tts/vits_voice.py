"""What a VITS voice wants: the ids of its symbols, its rate, its scales, its speakers.

``voice_folder`` reads it from a folder in Piper's or Coqui's format. Knows nothing of files, of sound,
or of how text becomes phonemes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from assistant.core.errors import EngineUnavailable, SettingsError

SampleRate = Annotated[int, Field(ge=8000, le=48_000)]
SymbolId = Annotated[int, Field(ge=0, lt=100_000)]
Scale = Annotated[float, Field(ge=0, le=10)]
EspeakVoice = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+-]+$")]  # a path would be read as a file


@dataclass(frozen=True, slots=True)
class Voice:
    """How one voice wants to be spoken to."""

    sample_rate_hz: int
    espeak_voice: str | None
    """Which espeak-ng voice pronounces for it; None when it reads letters itself."""
    symbols: Mapping[str, Sequence[int]]
    """Phoneme, letter or mark -> its ids."""
    start: Sequence[int]
    """Ids before the first symbol."""
    blank: Sequence[int]
    """Ids after ``start`` and after each symbol."""
    end: Sequence[int]
    """Ids after the last symbol."""
    decomposes: bool
    """An accent is a symbol of its own."""
    lowers: bool
    """It was trained on lower case only."""
    noise_scale: float
    length_scale: float
    noise_width_scale: float
    speaker_count: int
    speakers: Mapping[str, int]

    def ids(self, text: str) -> list[int]:
        """The sequence for ``text``, phonemes or letters with marks; unknown symbols are left out."""
        text = text.lower() if self.lowers else text
        text = unicodedata.normalize("NFD", text) if self.decomposes else text
        ids = [*self.start, *self.blank]
        for symbol in text:
            if symbol in self.symbols:
                ids += [*self.symbols[symbol], *self.blank]
        return [*ids, *self.end]

    def speaker_id(self, speaker: str | int | None) -> int:
        """The number of ``speaker``, its name or number; the first when None. Raises SettingsError."""
        number = 0 if speaker is None else self.speakers.get(str(speaker), speaker)
        if isinstance(number, int) and 0 <= number < self.speaker_count:
            return number
        names = ", ".join(list(self.speakers)[:12]) or "none by name"
        raise SettingsError(
            f"The voice has no speaker '{speaker}'; it has {self.speaker_count} ({names}).",
            f"Set tts.speaker to one of them or to a number below {self.speaker_count}, or leave it out.",
        )


def other_phonemes(kind: str | None) -> EngineUnavailable:
    return EngineUnavailable(
        f"The voice was made for '{kind}' phonemes, and this engine has those of espeak-ng only.",
        "Choose another voice in the settings (tts.model), or set tts.runtime to torch.",
    )
