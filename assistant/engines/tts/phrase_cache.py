"""A voice that caches phrases which skills say often, so they needn't be synthesized again.

"It's half past ten." takes a tenth of a second to synthesize on a small board, and no time to read from disk.
A phrase is cached when it is said the second time. Only skills' phrases are cached: what the language model
says is as private as the question.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

import numpy as np

from assistant.core.types import Pcm16, Sentence
from assistant.engines import Tts
from assistant.engines.llm import prompt_cache as kept_file
from assistant.runtime.cancel import Cancel

_MOST_PHRASES = 200
"""Two seconds of speech take 90 KB, so these take 18 MB. The least recently used are deleted."""

_FEW_PHRASES = 20
"""On a full disk: what is said every day."""


class PhraseCache:
    """``voice`` with a cache in ``folder``; ``key`` identifies its sound: model, speed, speaker."""

    def __init__(self, voice: Tts, folder: Path, key: str) -> None:
        self.sample_rate_hz = voice.sample_rate_hz
        self._voice = voice
        self._folder = folder
        self._key = key
        self._said: set[str] = set()
        self._keeps = True

    def synthesize(self, sentence: Sentence, cancel: Cancel) -> Pcm16:
        """Synthesize with the voice, or load from disk."""
        if not sentence.is_phrase:
            return self._voice.synthesize(sentence, cancel)
        key = f"{self._key}\0{sentence.text}".encode()
        path = self._folder / f"{hashlib.sha256(key).hexdigest()[:32]}.phrase"
        if kept := kept_file.load(path, key):
            with suppress(OSError):
                path.touch()
            return np.frombuffer(kept, dtype=np.int16)
        pcm = self._voice.synthesize(sentence, cancel)
        if self._keeps and path.name in self._said and len(pcm) and not cancel:
            kept_file.save(path, key, pcm.tobytes())
            self._forget_oldest(_MOST_PHRASES)
        self._said.add(path.name)
        return pcm

    def keep_phrases(self, keep: bool) -> None:  # noqa: FBT001
        """Set whether to cache more phrases; if not, all but a few are deleted."""
        self._keeps = keep
        if not keep:
            self._forget_oldest(_FEW_PHRASES)

    def warm_up(self) -> None:
        self._voice.warm_up()

    def close(self) -> None:
        self._voice.close()

    def _forget_oldest(self, most: int) -> None:
        with suppress(OSError):  # someone else clears the folder, or we have no permission to write there
            phrases = sorted(self._folder.glob("*.phrase"), key=lambda path: path.stat().st_mtime)
            for path in phrases[:-most]:
                path.unlink(missing_ok=True)
