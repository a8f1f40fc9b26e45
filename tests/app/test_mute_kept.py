"""Muted by its owner, it breaks: systemd starts it again, and the microphone stays closed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from assistant.app import service
from assistant.app.replacement import Replaced
from assistant.audio.backends import Devices
from assistant.audio.scripted import ScriptedMicrophone, ScriptedSpeaker
from assistant.core.errors import EngineFailed
from assistant.runtime import paths
from assistant.settings import load as configuration


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The mark of somebody who muted it; its folders are this test's."""
    for name in ("DATA", "CONFIG", "CACHE", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    for name in ("RUNTIME_DIRECTORY", "NOTIFY_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    mark = paths.control().with_name("muted")
    mark.parent.mkdir(parents=True)
    mark.touch()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield mark
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.parametrize(
    ("end", "stays"),
    [
        (RuntimeError("a mistake of ours"), True),
        (EngineFailed("The model doesn't answer.", "Restart it."), True),
        (Replaced({}), True),
        (asyncio.CancelledError(), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_only_a_normal_end_forgets_that_it_was_muted(
    mark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: BaseException, stays: bool
) -> None:
    @asynccontextmanager
    async def broken(*_: Any, **__: Any) -> AsyncIterator[None]:
        raise end
        yield

    async def live() -> None:
        devices = Devices(ScriptedMicrophone(), ScriptedSpeaker())
        with pytest.raises(type(end)) as caught:
            await service.live(load(), load, devices, on_report=lambda _: None)
        assert caught.value is end

    def load() -> configuration.Loaded:
        return configuration.load(file, {})

    file = tmp_path / "assistant.yaml"
    file.touch()
    monkeypatch.setattr(service, "open_loop", broken)
    asyncio.run(live())
    assert mark.exists() is stays
