"""Somebody who edits the settings of a running house, for the tests of what becomes of that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from assistant.app import engines as loading
from assistant.app.reload import Reloader
from assistant.board import memory_plan
from assistant.board.memory_plan import Room
from assistant.core.state import State
from assistant.core.types import Message
from assistant.engines.scripted import ScriptedLlm, ScriptedStt, ScriptedTts, ScriptedVad, ScriptedWake
from assistant.settings import load as configuration
from assistant.settings.schema import Settings
from tests.simulation import House, simulate

QUESTION = "What is the capital of France?"


@dataclass
class Owner:
    """Somebody who edits the settings of a running house."""

    house: House
    file: Path
    reloader: Reloader
    made: list[Any] = field(default_factory=list)
    """Engines that were loaded since."""

    def write(self, text: str) -> None:
        self.file.write_text(text)

    def look(self) -> Coroutine[Any, Any, None] | None:
        return self.reloader.look(self.house.voice_loop, self.house.context)

    async def reload(self, text: str) -> list[str]:
        self.write(text)
        told = await self.reloader.reload(self.house.voice_loop, self.house.context)
        changed = told["changed"]
        assert isinstance(changed, list)
        return changed


Stories = Callable[[Callable[[Owner], Awaitable[None]]], None]


def owned_house(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stories:
    """A house whose engines are scripted, also those that a reload loads."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(memory_plan, "room", lambda: Room(10**11, 10**11, "free on this machine"))
    file = tmp_path / "assistant.yaml"

    def run(story: Callable[[Owner], Awaitable[None]]) -> None:
        async def main(house: House) -> None:
            loop = asyncio.get_running_loop()
            owner = Owner(house, file, Reloader(load, load()))

            def making(make: Callable[[], Any]) -> Callable[[Settings], Any]:
                def made(_: Settings) -> Any:
                    owner.made.append(make())
                    return owner.made[-1]

                return made

            def other_reply(_: Sequence[Message]) -> str:
                return "The other model says so."

            monkeypatch.setattr(loading, "load_stt", making(lambda: ScriptedStt(loop, {1000: QUESTION})))
            monkeypatch.setattr(loading, "load_llm", making(lambda: ScriptedLlm(loop, other_reply)))
            monkeypatch.setattr(loading, "load_tts", making(lambda: ScriptedTts(loop)))
            monkeypatch.setattr(loading, "load_vad", making(ScriptedVad))
            monkeypatch.setattr(loading, "load_wake_word", making(lambda: ScriptedWake({500: "alexa"})))
            await story(owner)

        def load() -> configuration.Loaded:
            return configuration.load(
                file, {"ASSISTANT__LLM__KNOWLEDGE": "always"}
            )  # scripted models are small

        file.write_text("")
        simulate(main, settings=load().settings.model_dump(mode="json"), hands_free=True)

    return run


async def ask(house: House) -> str:
    house.wake_up()
    await house.until(State.LISTENING)
    await asyncio.sleep(1)
    return (await house.answered(QUESTION)).reply
