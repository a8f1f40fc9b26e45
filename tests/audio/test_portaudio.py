"""What is said when there is no library, no device, or somebody else holds it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.audio import portaudio
from assistant.core.errors import DeviceUnavailable
from assistant.tools.bench.room.sound_server import SoundServer

HELD_CARD = r"""
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
int snd_pcm_open(void **pcm, const char *name, int stream, int mode);
const char _held_open_dlsym_pcm_001 = 0;
/* A speaker that is busy, as far as ALSA can tell, while the file named by HELD exists. */
int held_open(void **pcm, const char *name, void *root, void *conf, int stream, int mode) {
    return access(getenv("HELD"), F_OK) ? snd_pcm_open(pcm, "shelf_speaker", stream, mode) : -EBUSY;
}
"""


@pytest.fixture
def held(server: SoundServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """There is another speaker, ``held_card``; it is busy while the file that this gives exists."""
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("needs a C compiler, for a card that is busy")
    source, library, config = (tmp_path / name for name in ("held.c", "held.so", "alsa.conf"))
    source.write_text(HELD_CARD)
    subprocess.run([compiler, "-shared", "-fPIC", source, "-o", library, "-l:libasound.so.2"], check=True)
    config.write_text(
        f"<{server.env['ALSA_CONFIG_PATH']}>\n"
        f'pcm_type.held {{ lib "{library}" open "held_open" }}\n'
        "pcm.held_card { type held }\n"
    )
    with monkeypatch.context() as patch:
        patch.setenv("ALSA_CONFIG_PATH", str(config))
        patch.setenv("HELD", str(tmp_path / "busy"))
        portaudio.rescan()
        yield tmp_path / "busy"
    portaudio.rescan()


def open_held() -> None:
    device = portaudio.find("output", "held")
    stream = portaudio.open_stream("output", device, lambda *_: None, channels=1, block_ms=10, latency_s=0.05)
    portaudio.close_stream(stream)


@pytest.mark.sound_server
def test_a_busy_device_is_called_busy(held: Path, capfd: pytest.CaptureFixture[str]) -> None:
    open_held()
    held.touch()

    with pytest.raises(DeviceUnavailable, match="'held_card' is in use") as caught:
        open_held()

    assert "audio.output" in caught.value.next_step
    assert capfd.readouterr().err == ""


@pytest.mark.sound_server
def test_a_card_that_was_busy_when_portaudio_looked_is_called_busy(
    held: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held.touch()
    portaudio.rescan()
    cards = tmp_path / "cards"
    cards.write_text(" 1 [Device         ]: USB-Audio - USB PnP Sound Device\n")
    monkeypatch.setattr(portaudio, "_CARDS", cards)

    with pytest.raises(DeviceUnavailable, match="'pnp sound' is in use"):
        portaudio.find("output", "pnp sound")


@pytest.mark.sound_server
def test_an_unknown_name_is_answered_with_those_that_exist(held: Path) -> None:
    with pytest.raises(DeviceUnavailable, match=r"No microphone has 'jabra' .* Available: room_microphone,"):
        portaudio.find("input", "jabra")


@pytest.mark.sound_server
def test_a_part_of_the_name_in_any_case_is_enough(held: Path) -> None:
    assert portaudio.find("output", "HELD").name == "held_card"
    assert portaudio.find("input", "room").name == "room_microphone"
    assert portaudio.find("output", None).name == "default"


@pytest.mark.sound_server
def test_while_a_stream_is_open_rescan_leaves_it_alone(held: Path) -> None:
    device = portaudio.find("output", "held")
    stream = portaudio.open_stream("output", device, lambda *_: None, channels=1, block_ms=10, latency_s=0.05)
    portaudio.rescan()

    assert stream.active
    portaudio.close_stream(stream)


def said_by_child(prelude: str, env: dict[str, str]) -> str:
    """What a fresh process, which has not started PortAudio yet, says of its devices."""
    code = (
        f"{prelude}\n"
        "from assistant.audio import portaudio\n"
        "from assistant.core.errors import DeviceUnavailable\n"
        "try: print(portaudio.find('input', None))\n"
        "except DeviceUnavailable as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout


def test_without_the_library_it_says_how_to_get_it() -> None:
    prelude = "import ctypes.util; ctypes.util.find_library = lambda name: None"

    assert "apt install libportaudio2" in said_by_child(prelude, {})


def test_without_any_device_it_says_so(tmp_path: Path) -> None:
    config = tmp_path / "alsa.conf"
    config.write_text("pcm.none { type none }\n")

    assert "No microphone is available" in said_by_child("", {"ALSA_CONFIG_PATH": str(config)})


def test_a_broken_sound_configuration_is_named(tmp_path: Path) -> None:
    config = tmp_path / "alsa.conf"
    config.write_text("pcm.x { type \n")

    assert "PortAudio cannot start" in said_by_child("", {"ALSA_CONFIG_PATH": str(config)})
