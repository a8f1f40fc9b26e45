"""What is known of a room outlives a restart, whatever stands in the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.audio.echo.canceller import EchoCanceller
from assistant.audio.echo.filter import RESPONSE_SAMPLES
from assistant.audio.echo.memory import EchoMemory
from assistant.tools.bench.room.simulated import Acoustics, Room, living_room
from tests.rooms import Listening, babble, listen, play

RESPONSE = np.linspace(-0.5, 0.5, RESPONSE_SAMPLES, dtype=np.float32)
LIVE = living_room(0.6, direct_db=-3)


def test_what_is_kept_is_recalled_for_that_speaker_only(tmp_path: Path) -> None:
    memory = EchoMemory(tmp_path / "echo")
    assert memory.recall("one") is None
    memory.keep("one", RESPONSE)
    memory.keep("../other", 2 * RESPONSE)
    one, other = memory.recall("one"), memory.recall("../other")
    assert one is not None
    assert other is not None
    assert np.array_equal(one, RESPONSE)
    assert np.array_equal(other, 2 * RESPONSE)
    assert memory.recall("two") is None
    files = list((tmp_path / "echo").iterdir())
    assert len(files) == 2
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    st.binary(max_size=200)
    | st.just(b"\xff" * 4 * RESPONSE_SAMPLES)
    | st.just(b"\x7f" * 4 * RESPONSE_SAMPLES)
)
def test_a_damaged_file_is_no_room(tmp_path: Path, data: bytes) -> None:
    memory = EchoMemory(tmp_path)
    memory.keep("one", RESPONSE)
    (file,) = tmp_path.iterdir()
    file.write_bytes(data)
    assert memory.recall("one") is None
    file.unlink()


def test_a_folder_that_cannot_be_written_is_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "echo").write_text("a file where the folder should be")
    EchoMemory(tmp_path / "echo").keep("one", RESPONSE)
    assert "echo_memory=not-kept" in caplog.text


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    memory = EchoMemory(tmp_path / "echo")
    memory.keep("one", RESPONSE)
    (file,) = (tmp_path / "echo").iterdir()
    secret = tmp_path / "secret"
    secret.write_text("mine")
    file.with_suffix(".new").symlink_to(secret)
    memory.keep("one", RESPONSE)
    assert secret.read_text() == "mine"


def started(memory: EchoMemory, response_seed: int = 0) -> Listening:
    room = Room(Acoustics(living_room(0.6, direct_db=-3, seed=response_seed), echo_db=-6))
    return Listening(room, EchoCanceller(room.reference, memory), [], [])


def test_after_a_restart_the_room_is_known_from_the_first_words(tmp_path: Path) -> None:
    first = started(EchoMemory(tmp_path))
    for seed in range(4):
        play(first, babble(4, seed))
        listen(first, 2)
    assert list(tmp_path.iterdir())
    again = started(EchoMemory(tmp_path))
    play(again, babble(2, seed=9))
    anew = started(EchoMemory(tmp_path / "nothing"))
    play(anew, babble(2, seed=9))
    assert again.echo_loss_db(last_s=1) > anew.echo_loss_db(last_s=1) + 6
    assert again.taken_for_somebody(last_s=2) == 0


def test_another_room_is_not_taken_for_the_one_that_was_kept(tmp_path: Path) -> None:
    first = started(EchoMemory(tmp_path))
    for seed in range(4):
        play(first, babble(4, seed))
        listen(first, 2)
    moved = started(EchoMemory(tmp_path), response_seed=5)
    for seed in range(3):
        play(moved, babble(4, 20 + seed))
        listen(moved, 2)
    play(moved, babble(3, 30))
    assert moved.echo_loss_db(last_s=2) > 18
    assert moved.taken_for_somebody(last_s=14) == 0
