"""A folder of recordings, and what a manifest says of them.

``manifest.jsonl`` lies in the folder or above it and holds an object a line: ``path`` from the manifest's
own folder, and where known ``text`` (what is said) and ``kind``. A folder without one will do.
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
    """Its path within the folder."""
    pcm: Pcm16
    """Samples at 16 kHz."""
    spoken: Spoken
    """Where in it somebody speaks."""
    text: str = ""
    """What is said; empty when that is not known."""
    kind: str = ""

    @property
    def duration_s(self) -> float:
        return len(self.pcm) / SAMPLE_RATE_HZ


def read_set(folder: Path, limit: int | None = None) -> list[Clip]:
    """Every recording below ``folder`` in which somebody speaks, by name; ``limit`` takes a spread of them.

    Raises AudioFileInvalid when there are none, or one cannot be read; EngineUnavailable without Silero.
    """
    files = sound_files(folder)
    if limit is not None and limit < len(files):
        # The files of one speaker or kind often follow each other.
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
    """Every recording below ``folder``, by name. Raises AudioFileInvalid when there are none."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _ENDINGS and file.is_file())
    if not files:
        raise AudioFileInvalid(
            f"{folder} contains no recordings.", "Specify a folder with WAV or FLAC files."
        )
    return files


def _manifest(folder: Path) -> dict[Path, tuple[str, str]]:
    """File -> text and kind, from the nearest manifest; empty without one. Raises AudioFileInvalid."""
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
