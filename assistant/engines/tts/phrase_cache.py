"""A voice that need not make the same phrase twice: what skills say again and again is kept as sound.

"It's half past ten." takes a tenth of a second to make on a small board's processor, and nothing to
read from disk. A phrase is kept when it is said the second time. Only phrases of skills are: what the
language model says is as private as what it was asked.
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
"""Two seconds of speech take 90 KB: these take 18 MB. Those that were not used for longest go."""

_FEW_PHRASES = 20
"""Of a full disk's: what is said every day."""


class PhraseCache:
    """``voice`` with a memory in ``folder``; ``key`` says what makes its sound: model, speed, speaker."""

    def __init__(self, voice: Tts, folder: Path, key: str) -> None:
        self.sample_rate_hz = voice.sample_rate_hz
        self._voice = voice
        self._folder = folder
        self._key = key
        self._said: set[str] = set()
        self._keeps = True

    def synthesize(self, sentence: Sentence, cancel: Cancel) -> Pcm16:
        """As the voice does, or from disk."""
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
        """Whether to keep more of them; if not, only a few of those that are there stay."""
        self._keeps = keep
        if not keep:
            self._forget_oldest(_FEW_PHRASES)

    def warm_up(self) -> None:
        self._voice.warm_up()

    def close(self) -> None:
        self._voice.close()

    def _forget_oldest(self, most: int) -> None:
        with suppress(OSError):  # somebody else clears the folder, or may write there and we may not
            phrases = sorted(self._folder.glob("*.phrase"), key=lambda path: path.stat().st_mtime)
            for path in phrases[:-most]:
                path.unlink(missing_ok=True)
