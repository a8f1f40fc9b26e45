"""What the tests of the benches share: the demo's recording, and the real loop around scripted engines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from assistant.app import build as app
from assistant.app import engines as loading
from assistant.app import memory_fit as fit
from assistant.audio.files import read_sound
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16
from assistant.engines.scripted import ScriptedLlm, ScriptedStt, ScriptedTts, ScriptedVad, clip
from assistant.runtime import clock
from assistant.settings.schema import Settings
from assistant.tools.bench.lib.clips import Clip
from assistant.tools.bench.lib.measuring import Document
from assistant.tools.bench.lib.rehearsal import Session, rehearse
from assistant.tools.bench.lib.speech_end import Spoken
from tests.conftest import CHECKOUT

DEMO = CHECKOUT / "assistant" / "cli" / "demo" / "how_old_is_the_brooklyn_bridge.wav"

WORDS = {
    1000: "Why is the sky blue?",
    2000: "What time is it?",
    3000: "Set a timer for ten minutes.",
    4000: "Turn on the lamp.",
}
"""What each loudness says."""

Rehearse = Callable[..., Session]


@pytest.fixture(scope="session")
def question() -> Pcm16:
    """The demo's question: somebody asks how old the Brooklyn Bridge is."""
    return read_sound(DEMO)


def silence(duration_ms: int) -> Pcm16:
    return np.zeros(duration_ms * SAMPLE_RATE_HZ // 1000, np.int16)


def spoken(loudness: int, *, pause_ms: int = 0) -> Clip:
    """A second of speech in silence; with a pause, another second of it follows after the pause."""
    parts = [silence(500), clip(loudness, 1000)]
    if pause_ms:
        parts += [silence(pause_ms), clip(loudness, 1000)]
    pcm = np.concatenate(parts)
    end_s = len(pcm) / SAMPLE_RATE_HZ
    return Clip(f"{loudness}.wav", np.concatenate([pcm, silence(500)]), Spoken(0.5, end_s), WORDS[loudness])


@pytest.fixture
def rehearsed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Rehearse:
    """Speaks clips to the loop that ``app`` puts together, with scripted engines and in virtual time."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)

    async def speak(clips: list[Clip], settings: Settings) -> Session:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loading, "load_vad", lambda _: ScriptedVad())
        # In virtual time an engine that waits for its turn would stop the time that the other one needs.
        monkeypatch.setattr(app, "FairLock", nullcontext)
        monkeypatch.setattr(fit, "require", lambda _: None)
        monkeypatch.setattr(loading, "load_stt", lambda _: ScriptedStt(loop, WORDS))
        monkeypatch.setattr(
            loading, "load_llm", lambda _: ScriptedLlm(loop, lambda _: "It scatters. More than red.")
        )
        monkeypatch.setattr(loading, "load_tts", lambda _: ScriptedTts(loop))
        session = Session()
        await rehearse(settings, clips, session)
        return session

    def run(*clips: Clip, **sections: Document) -> Session:
        return clock.run(speak(list(clips), Settings.model_validate(sections)), "virtual")

    return run
