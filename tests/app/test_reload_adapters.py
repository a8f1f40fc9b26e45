"""Another adapter for a language model at work, in virtual time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from assistant.core.errors import EngineFailed, ModelMissing
from assistant.engines.scripted import ScriptedLlm
from tests.owner import Owner, Stories, ask, owned_house


@pytest.fixture
def owned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stories:
    return owned_house(monkeypatch, tmp_path)


class Adaptable(ScriptedLlm):
    """Answers as its adapter says."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop, lambda _: f"I wear {self.adapter}.")
        self.adapter: object = None
        self.dropped: list[object] = []
        self.has_room = True

    def load_adapter(self, place: Path, scale: float) -> object:
        if not place.exists():
            raise ModelMissing("There is no such adapter.", "Choose another one.")
        return f"{place.stem} at {scale:g}"

    def drop_adapter(self, adapter: object) -> None:
        self.dropped.append(adapter)

    def apply_adapter(self, adapter: object) -> None:
        if not self.has_room:
            raise EngineFailed("There is no memory.", "Choose a smaller one.")
        self.adapter = adapter


def test_another_adapter_is_put_on_the_model_at_work(owned: Stories, tmp_path: Path) -> None:
    (tmp_path / "pirate.gguf").write_bytes(b"")

    async def story(owner: Owner) -> None:
        worker = owner.house.voice_loop.pipeline.llm
        llm = worker.engine = Adaptable(asyncio.get_running_loop())
        assert await owner.reload("llm: {adapter: pirate.gguf}") == ["llm.adapter"]
        assert await ask(owner.house) == "I wear pirate at 1."
        changed = await owner.reload("llm: {adapter: pirate.gguf, adapter_scale: 0.5}")
        assert changed == ["llm.adapter_scale"]
        assert await ask(owner.house) == "I wear pirate at 0.5."
        with pytest.raises(ModelMissing):
            await owner.reload("llm: {adapter: parrot.gguf}")
        llm.has_room = False
        with pytest.raises(EngineFailed):
            await owner.reload("llm: {adapter: pirate.gguf, adapter_scale: 0.7}")
        assert llm.dropped == ["pirate at 0.7"]
        assert await ask(owner.house) == "I wear pirate at 0.5."
        llm.has_room = True
        assert await owner.reload("") == ["llm.adapter", "llm.adapter_scale"]
        assert await ask(owner.house) == "I wear None."
        assert worker.engine is llm
        assert owner.made == []

    owned(story)


def test_an_engine_that_cannot_change_its_adapter_is_loaded_again(owned: Stories, tmp_path: Path) -> None:
    (tmp_path / "pirate.gguf").write_bytes(b"")

    async def story(owner: Owner) -> None:
        assert await owner.reload("llm: {adapter: pirate.gguf}") == ["llm.adapter"]
        assert owner.made == [owner.house.voice_loop.pipeline.llm.engine]

    owned(story)
