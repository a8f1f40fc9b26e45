"""``assistant run`` as its owner starts it, between a real sound server's microphone and speaker."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from assistant.app.engines import load_stt
from assistant.audio.files import read_sound
from assistant.runtime import paths
from assistant.runtime.cancel import Cancel
from assistant.settings.schema import Settings
from assistant.text.markup import speakable
from assistant.text.word_error import word_error_rate
from assistant.tools.bench.room.sound_server import SoundServer, missing, sound_server
from tests.conftest import Clip

pytestmark = [pytest.mark.models, pytest.mark.sound_server]

PATIENCE_S = 240
"""Loading takes seconds; a busy machine gets this long."""


@dataclass
class Appliance:
    """A running ``assistant run`` and what it has logged."""

    process: subprocess.Popen[bytes]
    log: Path

    def logged(self, pattern: str, times: int = 1) -> str:
        """Wait until the log has this often what ``pattern`` describes; the last of them."""

        def found() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return len(re.findall(pattern, self.log.read_text())) >= times

        _wait_until(found, f"{pattern} in\n{self.log.read_text()}")
        return str(re.findall(pattern, self.log.read_text())[times - 1])


def _wait_until(condition: Callable[[], bool], what: str) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, f"waited in vain for {what}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def server() -> Iterator[SoundServer]:
    if reason := missing():
        pytest.skip(reason)
    with sound_server() as running:
        yield running


@contextmanager
def running(
    server: SoundServer, folder: Path, *, stdin: int = subprocess.DEVNULL, **more: str
) -> Iterator[Appliance]:
    log = folder / "log"
    environment = {
        **os.environ,
        **server.env,
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_RUNTIME_DIR": str(folder / "run"),
        "ASSISTANT__STORE__MODELS": str(paths.models()),
        "ASSISTANT__WAKE__ENGINE": "none",
        "ASSISTANT__PRIVACY__LOG_TRANSCRIPTS": "true",
        **more,
    }
    command = [sys.executable, "-c", "from assistant.cli.main import main; raise SystemExit(main(['run']))"]
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            command, env=environment, stdin=stdin, stdout=subprocess.DEVNULL, stderr=stderr
        ) as process,
    ):
        try:
            yield Appliance(process, log)
        finally:
            process.kill()


def named(clips: list[Clip], name: str) -> Path:
    return next(clip.path for clip in clips if clip.path.stem == name)


def test_a_question_in_the_room_is_answered_on_the_speaker(
    server: SoundServer, shared_audio: list[Clip], tmp_path: Path
) -> None:
    question = named(shared_audio, "what_time_is_it")
    with running(server, tmp_path) as appliance:
        appliance.logged("microphone=heard")
        with server.recording(tmp_path / "heard.wav"):
            server.play(question)
            words = appliance.logged(r"transcript=.* reply=(.*)")
            time.sleep(0.5)
        appliance.process.send_signal(signal.SIGTERM)
        assert appliance.process.wait(PATIENCE_S) == 0
    assert re.search(r"transcript='What time is it\?'", appliance.log.read_text())
    stt = load_stt(Settings())
    pcm = read_sound(tmp_path / "heard.wav")
    heard = stt.transcribe(pcm, Cancel()).text
    stt.close()
    assert np.abs(pcm.astype(np.int32)).max() > 3000
    assert word_error_rate(speakable(words.strip("'\"")), speakable(heard)) <= 0.5, heard


def test_a_pulled_microphone_is_found_again_and_the_next_question_answered(
    server: SoundServer, shared_audio: list[Clip], tmp_path: Path
) -> None:
    question = named(shared_audio, "what_time_is_it")
    with running(server, tmp_path) as appliance:
        appliance.logged("microphone=heard")
        server.room.unplug()
        appliance.logged("fault=")
        server.room.plug()
        appliance.logged("microphone=heard", times=2)
        server.play(question)
        appliance.logged("handled_by=tell_time")


def test_a_signal_mutes_and_unmutes(server: SoundServer, shared_audio: list[Clip], tmp_path: Path) -> None:
    question = named(shared_audio, "what_time_is_it")
    with running(server, tmp_path) as appliance:
        appliance.logged("microphone=heard")
        appliance.process.send_signal(signal.SIGUSR1)
        appliance.logged("state=muted muted=yes")
        server.play(question)
        appliance.process.send_signal(signal.SIGUSR1)
        appliance.logged("state=sleeping muted=no")
        assert "turn=1" not in appliance.log.read_text()
        server.play(question)
        appliance.logged("turn=1 handled_by=tell_time")
