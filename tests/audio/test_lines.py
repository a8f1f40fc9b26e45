"""How often open devices are closed to look for one that is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from assistant.audio import Kind, lines, portaudio
from assistant.audio.lines import LOOKS_AGAIN_AFTER_S, LOOKS_OFTEN_FOR_S, Line, Rescan
from assistant.core.errors import DeviceUnavailable

STEP_S = 2.0


class Scene:
    """A microphone is open, no speaker is on the list, and the clock moves as told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s, self.looks, self.is_stale = 1000.0, 0, False
        microphone = SimpleNamespace(pause=lambda: None, go_on=lambda: None)
        monkeypatch.setattr(lines, "_open", [microphone])
        monkeypatch.setattr(lines, "time", SimpleNamespace(monotonic=lambda: self.now_s))
        monkeypatch.setattr(portaudio, "find", self._find)
        monkeypatch.setattr(portaudio, "is_stale", lambda: self.is_stale)
        monkeypatch.setattr(portaudio, "rescan", self._look)
        self.rescan = Rescan({"input": None, "output": "kitchen"})

    def misses_it_for(self, seconds: float) -> int:
        """How often it looks while it is asked to every two seconds."""

        async def ask() -> None:
            end_s = self.now_s + seconds
            while self.now_s < end_s:
                await self.rescan("output")
                self.now_s += STEP_S

        before = self.looks
        asyncio.run(ask())
        return self.looks - before

    def _look(self) -> None:
        self.looks += 1

    @staticmethod
    def _find(kind: Kind, name: str | None) -> None:
        raise DeviceUnavailable(f"no {kind} {name}", "plug it in")


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


def test_a_device_that_stays_away_costs_the_other_one_little(scene: Scene) -> None:
    assert scene.misses_it_for(LOOKS_OFTEN_FOR_S) == LOOKS_OFTEN_FOR_S / STEP_S
    assert scene.misses_it_for(20 * LOOKS_AGAIN_AFTER_S) <= 20


def test_a_card_that_comes_or_goes_is_looked_at_whenever_that_is(scene: Scene) -> None:
    scene.misses_it_for(600)
    scene.is_stale = True
    assert scene.misses_it_for(STEP_S) == 1


def test_one_that_is_lost_again_is_looked_for_as_often_again(scene: Scene) -> None:
    scene.misses_it_for(600)
    scene.now_s += 3600
    assert scene.misses_it_for(20) == 10


class Card:
    """A microphone that is always on the list; ``before_opening`` may be a call that comes between."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open_streams: set[object] = set()
        self.before_opening: Callable[[], object] = lambda: None
        device = portaudio.Device(0, "mic", 1, 0, 16_000, True, False)
        monkeypatch.setattr(lines, "_open", set())
        monkeypatch.setattr(portaudio, "find", lambda *_: device)
        monkeypatch.setattr(portaudio, "at_best_rate", lambda _, found: found)
        monkeypatch.setattr(portaudio, "is_stale", lambda: True)
        monkeypatch.setattr(portaudio, "open_stream", self._open)
        monkeypatch.setattr(portaudio, "close_stream", self.open_streams.discard)

    def _open(self, *_: Any) -> object:
        self.before_opening()
        stream = object()
        self.open_streams.add(stream)
        return stream


def test_a_rescan_that_returns_late_leaves_a_closed_device_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(monkeypatch)
    line = Line("input", None, lambda _: {})
    monkeypatch.setattr(portaudio, "rescan", line.close)  # on another thread, while this call is stuck
    Rescan({"input": None, "output": None})._look("input")
    assert not card.open_streams


def test_a_device_that_is_closed_while_it_reopens_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(monkeypatch)
    line = Line("input", None, lambda _: {})
    line.pause()
    card.before_opening = line.close
    line.go_on()
    assert not card.open_streams


def test_a_device_goes_on_after_a_rescan(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(monkeypatch)
    line = Line("input", None, lambda _: {})
    monkeypatch.setattr(portaudio, "rescan", lambda: None)
    Rescan({"input": None, "output": None})._look("input")
    assert len(card.open_streams) == 1
    assert not line.is_paused
