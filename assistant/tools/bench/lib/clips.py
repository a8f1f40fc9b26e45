"""A folder of recordings, and their manifest.

``manifest.jsonl`` is in the folder or above it and has one object per line: ``path`` relative to the
manifest's folder and, where known, ``text`` (the transcript) and ``kind``. The manifest is optional.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from assistant.audio.files import read_sound
from assistant.core.errors import AudioFileInvalid
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16
from assistant.tools.bench.lib import speech_end
from assistant.tools.bench.lib.speech_end import Spoken

_ENDINGS = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3"})
_MANIFEST = "manifest.jsonl"


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One recording."""

    name: str
    """Path within the folder."""
    pcm: Pcm16
    """Samples at 16 kHz."""
    spoken: Spoken
    """Where the speech is."""
    text: str = ""
    """The transcript; empty if unknown."""
    kind: str = ""

    @property
    def duration_s(self) -> float:
        return len(self.pcm) / SAMPLE_RATE_HZ


def read_set(folder: Path, limit: int | None = None) -> list[Clip]:
    """Read every recording below ``folder`` that contains speech, by name; ``limit`` picks an even spread of
    them.

    Raises AudioFileInvalid if there are none or one cannot be read; EngineUnavailable without Silero.
    """
    files = sound_files(folder)
    if limit is not None and limit < len(files):
        # Files of one speaker or kind are often adjacent.
        files = [files[number * len(files) // limit] for number in range(limit)]
    known = _manifest(folder.resolve())
    network = speech_end.load_network()
    clips = []
    for file in files:
        pcm = read_sound(file)
        spoken = speech_end.find(pcm, network)
        if spoken is None:
            continue
        text, kind = known.get(file.resolve(), ("", ""))
        clips.append(Clip(str(file.relative_to(folder)), pcm, spoken, text, kind))
    if not clips:
        raise AudioFileInvalid(f"The recordings in {folder} contain no speech.", "Use other recordings.")
    return clips


def sound_files(folder: Path) -> list[Path]:
    """List every recording below ``folder``, by name. Raises AudioFileInvalid if there are none."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _ENDINGS and file.is_file())
    if not files:
        raise AudioFileInvalid(
            f"{folder} contains no recordings.", "Specify a folder with WAV or FLAC files."
        )
    return files


def _manifest(folder: Path) -> dict[Path, tuple[str, str]]:
    """Return file -> text and kind, from the nearest manifest; empty without one. Raises AudioFileInvalid."""
    for place in (folder, *folder.parents):
        manifest = place / _MANIFEST
        if manifest.is_file():
            return dict(_entries(manifest))
    return {}


def _entries(manifest: Path) -> Iterator[tuple[Path, tuple[str, str]]]:
    with manifest.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                path, text, kind = (entry.get(key) or "" for key in ("path", "text", "kind"))
                file = (manifest.parent / path).resolve()
            except (ValueError, AttributeError, TypeError, RecursionError, OSError) as error:
                raise AudioFileInvalid(
                    f"Line {number} of {manifest} is not an entry of a manifest.",
                    'It should be like {"path": "hello.wav", "text": "hello"}.',
                ) from error
            yield file, (str(text), str(kind))
