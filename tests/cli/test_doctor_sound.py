"""``assistant doctor --sound``: each judgement on a room that is made, and the whole on a sound server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from assistant.audio import portaudio
from assistant.audio.room_check import RoomCheck, check
from assistant.cli.checks.finding import Finding
from assistant.cli.checks.sound import judge, left_db, probe
from assistant.cli.main import main
from assistant.core.types import SAMPLE_RATE_HZ
from assistant.tools.bench.room.sound_server import missing, sound_server

GOOD = RoomCheck(delay_ms=80, drift_ppm=20, echo_db=-30, noise_db=-60, alike=0.6, clipped=0.0, has_room=True)


def said(*channels: RoomCheck, left: float | None = -58.0) -> dict[str, Finding]:
    return {finding.check: finding for finding in judge(channels, left)}


def test_a_good_room_is_all_right() -> None:
    findings = said(GOOD)
    assert {finding.ok for finding in findings.values()} == {True}
    assert "80 ms" in findings["delay"].what
    assert "removes 28 dB" in findings["echo canceller"].what


def test_no_echo_is_fine_and_said() -> None:
    finding = said(replace(GOOD, delay_ms=None, echo_db=-60))["echo"]
    assert finding.ok is None
    assert "headphones" in finding.next_step


def test_a_loopback_device_is_called_one() -> None:
    (finding,) = said(replace(GOOD, alike=0.99, has_room=False)).values()
    assert (finding.check, finding.ok) == ("microphone", False)
    assert "audio.input" in finding.next_step


def test_a_channel_that_is_the_playback_is_named_and_the_other_is_judged() -> None:
    findings = said(GOOD, replace(GOOD, alike=0.99, has_room=False))
    assert "Channel 2" in findings["microphone"].what
    assert "audio.reference_channel: 2" in findings["microphone"].next_step
    assert findings["echo"].ok


@pytest.mark.parametrize(("reference", "ok"), [(1, False), (2, True)])
def test_a_reference_channel_is_the_playback_or_is_named(reference: int, ok: bool) -> None:
    findings = judge([GOOD, replace(GOOD, alike=0.99, has_room=False)], None, reference)
    (finding,) = (finding for finding in findings if finding.check == "microphone")
    assert finding.ok is ok
    assert ok or finding.next_step == "Set audio.reference_channel to 2."


@pytest.mark.parametrize(
    ("check_name", "room", "word"),
    [
        ("delay", replace(GOOD, delay_ms=620), "wake word"),
        ("drift", replace(GOOD, drift_ppm=-9800), "rate"),
        ("clipping", replace(GOOD, clipped=0.02), "volume"),
        ("noise", replace(GOOD, noise_db=-33, echo_db=-10), "fans"),
        ("noise", replace(GOOD, noise_db=-120, has_room=False), "muted"),
    ],
)
def test_what_is_wrong_has_a_next_step(check_name: str, room: RoomCheck, word: str) -> None:
    finding = said(room)[check_name]
    assert finding.ok is not True
    assert word in finding.next_step


def test_an_echo_that_stays_is_said() -> None:
    assert said(GOOD, left=-34.0)["echo canceller"].ok is None


def heard_in_a_room(delay_ms: float, gain: float) -> Sequence[np.ndarray[tuple[int], np.dtype[np.float32]]]:
    played = probe()
    late = np.concatenate([np.zeros(round(delay_ms * SAMPLE_RATE_HZ / 1000)), played])[: len(played)]
    noise = np.random.default_rng(2).normal(0, 1e-3, len(played))
    return played, (gain * late + noise).astype(np.float32)


def test_the_doctors_own_sound_tells_a_room() -> None:
    played, heard = heard_in_a_room(120, 0.4)
    findings = {finding.check: finding for finding in judge([check(played, heard)], left_db(played, heard))}
    assert "120 ms" in findings["delay"].what
    assert findings["echo"].ok


@pytest.mark.sound_server
def test_a_microphone_that_is_the_speakers_monitor_is_called_a_loopback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason := missing():
        pytest.skip(reason)
    with sound_server() as server, monkeypatch.context() as patch:
        config = tmp_path / "alsa.conf"
        wire = f'type pulse server "{server.speaker.address}" device'
        config.write_text(
            f'pcm.wire {{ type asym capture.pcm {{ {wire} "speaker.monitor" }} }}\n'
            f'pcm.out {{ type asym playback.pcm {{ {wire} "speaker" }} }}\n'
            'pcm.!default { type asym capture.pcm "wire" playback.pcm "out" }\n'
        )
        patch.setenv("ALSA_CONFIG_PATH", str(config))
        portaudio.rescan()
        assert main(["doctor", "--sound"]) == 1, capsys.readouterr().out
    portaudio.rescan()
    assert "loopback" in capsys.readouterr().out
