"""New settings while a model stands in for a damaged one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assistant.app import engines as loading
from assistant.app import proof
from assistant.dialog.pipeline import Adopt
from assistant.settings.schema import Settings
from assistant.store import Store
from tests.owner import Owner, Stories, owned_house


@pytest.fixture
def owned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stories:
    return owned_house(monkeypatch, tmp_path)


def test_a_stand_in_for_a_damaged_model_stays_until_that_one_is_mended(
    owned: Stories, monkeypatch: pytest.MonkeyPatch
) -> None:
    def named(settings: Settings, name: str) -> Settings:
        return settings.model_copy(update={"llm": settings.llm.model_copy(update={"model": name})})

    async def story(owner: Owner) -> None:
        house, is_damaged, loaded, load = owner.house, True, list[str](), loading.load_llm

        def usable(settings: Settings, _: Store, kinds: tuple[str, ...]) -> Settings:
            assert kinds == ("llm",)
            return named(settings, "spare") if is_damaged else settings

        def load_llm(settings: Settings) -> Any:
            loaded.append(settings.llm.model)
            return load(settings)

        monkeypatch.setattr(proof, "usable", usable)
        monkeypatch.setattr(loading, "load_llm", load_llm)
        pipeline = house.voice_loop.pipeline
        written = pipeline.settings.llm.model
        house.voice_loop.post(Adopt(replace(pipeline, settings=named(pipeline.settings, "spare")), {}))
        await asyncio.sleep(0.1)
        assert await owner.reload("audio: {volume: 0.5}") == ["audio.volume"]
        assert loaded == []
        assert await owner.reload("audio: {volume: 0.5}\nllm: {seed: 3}") == ["llm.seed"]
        assert loaded == [house.voice_loop.pipeline.settings.llm.model] == ["spare"]
        is_damaged = False
        assert await owner.reload(owner.file.read_text()) == ["llm.model"]
        assert house.voice_loop.pipeline.settings.llm.model == written

    owned(story)
