"""What counts as stopped, and how fast, in recordings where all of it is known."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from assistant.audio.resample import Samples, to_float, to_pcm16
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16
from assistant.tools.bench.room import scenes
from assistant.tools.bench.room.echo_path import Cell
from assistant.tools.bench.room.scenes import Sound, interrupted
from tests.rooms import babble

ONSET_S = 0.1
"""Of the person's recording."""

HEARD_AFTER_S = 0.25
"""A player that was started is heard so much later."""


class KnownWorld:
    """The clock is a count of announcements: each begins on a full hundred seconds."""

    def __init__(self, stops_after_s: float | None, silent_after_s: float) -> None:
        self.cell = Cell(0.5, 40)
        self._stops_after_s = stops_after_s
        self._silent_after_s = silent_after_s
        self._begun_s = 0.0
        self._person: tuple[float, Samples] | None = None
        self._stops_s: list[float] = []
        self.room = SimpleNamespace(between=self._heard)
        self.speaker = SimpleNamespace(last_sound_s=self._last_sound_s)

    def say(self, _text: str) -> float:
        self._begun_s += 100
        self._person = None
        return self._begun_s

    def settle(self) -> bool:
        return True

    def echo_loudness(self, _begin_s: float, _end_s: float) -> float:
        return 0.1

    def play(self, samples: Samples) -> tuple[float, Any]:
        began_s = self._begun_s + 2
        self._person = (began_s + HEARD_AFTER_S, samples)
        if self._stops_after_s is not None:
            self._stops_s.append(self._person[0] + ONSET_S + self._stops_after_s)
        return began_s, SimpleNamespace(wait=lambda: None)

    def events(self, name: str, since_s: float = 0.0) -> list[float]:
        return [at_s for at_s in self._stops_s if name == "BargedIn" and at_s >= since_s]

    def told(self, _since: int = 0) -> list[Mapping[str, Any]]:
        return []

    def _heard(self, begin_s: float, end_s: float) -> tuple[Pcm16, float]:
        heard = to_float(babble(end_s - begin_s, seed=7, peak=0.2))
        assert self._person is not None
        at = round((self._person[0] - begin_s) * SAMPLE_RATE_HZ)
        heard[at : at + len(self._person[1])] += self._person[1]
        return to_pcm16(heard), begin_s

    def _last_sound_s(self, _begin_s: float, _end_s: float) -> float:
        assert self._person is not None
        return self._person[0] + ONSET_S + self._silent_after_s


@pytest.mark.parametrize(
    ("stops_after_s", "silent_after_s", "stopped", "within", "early"),
    [
        (0.1, 0.2, 4, 4, 0),
        (0.2, 0.35, 4, 0, 0),
        (-0.1, 0.05, 4, 4, 0),
        (-0.6, -0.5, 0, 0, 4),
        (None, 0.0, 0, 0, 0),
    ],
    ids=["in time", "too late", "at the breath before the onset", "before anybody spoke", "never"],
)
def test_a_stop_is_measured_from_the_onset_as_it_was_recorded(
    monkeypatch: pytest.MonkeyPatch,
    *,
    stops_after_s: float | None,
    silent_after_s: float,
    stopped: int,
    within: int,
    early: int,
) -> None:
    now_s = 0.0

    def monotonic() -> float:
        nonlocal now_s
        now_s += 4
        return now_s

    monkeypatch.setattr(scenes, "time", SimpleNamespace(monotonic=monotonic, sleep=lambda _: None))
    person = Sound("person.wav", to_float(babble(1.5, seed=3)), ONSET_S)
    world: Any = KnownWorld(stops_after_s, silent_after_s)
    found = interrupted(world, [person], 0.0, count=4, first=0)
    assert (found["interruptions"], found["stopped"], found["within_300_ms"]) == (4, stopped, within)
    assert found["stopped_before_anybody_spoke"] == found["false_pauses"] == early
    assert found["stopped_again"] == 0
    assert {each["place"] for each in found["said"]} == {"beginning", "middle", "end"}
    assert found["alone"] >= 2
    if stopped:
        assert found["silent"]["p50_ms"] == pytest.approx(silent_after_s * 1000, abs=2)
