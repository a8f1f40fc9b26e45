"""Microphone and speaker are reached through PortAudio, or as another package does it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assistant.audio import backends
from assistant.audio.backends import Backend, Devices
from assistant.audio.device import DeviceMicrophone, DeviceSpeaker
from assistant.audio.scripted import ScriptedMicrophone, ScriptedSpeaker
from assistant.settings import keys
from assistant.settings.load import load
from assistant.settings.schema import AudioSettings
from assistant.settings.section import Section
from tests.extensions import declared_as


def test_portaudio_is_the_one_that_is_there() -> None:
    devices = backends.create(AudioSettings(volume=0.3))
    assert isinstance(devices.microphone, DeviceMicrophone)
    assert isinstance(devices.speaker, DeviceSpeaker)
    assert devices.speaker.volume == 0.3
    assert devices.reference is not None


class TubeSettings(Section):
    """A tube to speak through."""

    length_m: float = 2.0
    """How long it is."""


GIVEN: list[Any] = []


def tube(settings: AudioSettings) -> Devices:
    GIVEN.append(settings)
    return Devices(ScriptedMicrophone(), ScriptedSpeaker())


TUBE = Backend(f"{__name__}:tube", settings=TubeSettings)


@pytest.fixture
def _tube(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    declared_as(monkeypatch, "audio", tube=f"{__name__}:TUBE", portaudio=f"{__name__}:TUBE")
    for cached in (keys.keys, keys.item_keys, keys._whole):
        cached.cache_clear()
    yield
    for cached in (keys.keys, keys.item_keys, keys._whole):
        cached.cache_clear()


@pytest.mark.usefixtures("_tube")
def test_another_package_brings_devices_with_their_settings(tmp_path: Path) -> None:
    file = tmp_path / "assistant.yaml"
    file.write_text("audio: {backend: tube, tube: {length_m: 3}}")
    audio = load(file, {"HOME": str(tmp_path)}).settings.audio
    devices = backends.create(audio)
    assert isinstance(devices.microphone, ScriptedMicrophone)
    assert GIVEN[-1].tube.length_m == 3
    assert keys.keys()["audio", "tube", "length_m"].is_at_start
    assert isinstance(backends.create(AudioSettings()).microphone, DeviceMicrophone), "nobody replaces ours"
