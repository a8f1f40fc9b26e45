"""What `workspace` delivers elsewhere comes there whole or not at all, also where that is another disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assistant.core.errors import StorageFull
from assistant.store import disk, incoming
from assistant.store.kinds import CARD
from assistant.store.progress import Unwatched
from assistant.tools.quantize import workspace
from tests.store.site import Heard

ABOUT: dict[str, Any] = {
    "name": "mine",
    "licence": "MIT",
    "command": "assistant quantize",
    "made_at": "today",
    "versions": {},
    "forced": [],
}
SIZE_BYTES = 3_000_000
MEMORY = Path("/dev/shm")  # noqa: S108  a folder of the test's own is made in it


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "made" / "mine"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(os.urandom(SIZE_BYTES))
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    if not MEMORY.is_dir() or MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other file system here")
    folder = Path(tempfile.mkdtemp(dir=MEMORY))
    yield folder
    shutil.rmtree(folder)


def test_it_is_all_there(made: Path, elsewhere: Path) -> None:
    model = (made / "model.safetensors").read_bytes()
    (elsewhere / ".there.part").mkdir()
    (elsewhere / ".there.part" / "left-by-a-power-cut").touch()
    watcher = Heard()
    workspace.deliver(elsewhere / "there", made, ABOUT, watcher)
    assert [path.name for path in elsewhere.iterdir()] == ["there"]
    assert (elsewhere / "there" / "model.safetensors").read_bytes() == model
    assert {path.name for path in (elsewhere / "there").iterdir()} >= {"config.json", CARD}
    assert f"Copying to {elsewhere}" in {each.what for each in watcher.seen}


def test_on_the_same_disk_it_is_moved(made: Path, tmp_path: Path) -> None:
    number = (made / "model.safetensors").stat().st_ino
    workspace.deliver(tmp_path / "new" / "there", made, ABOUT, Unwatched())
    assert (tmp_path / "new" / "there" / "model.safetensors").stat().st_ino == number
    assert not made.exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_what_ends_half_way_leaves_nothing(
    made: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    whole = incoming.copy

    def half(source: Path, target: Path, meter: Any) -> str:
        checksum = whole(source, target, meter)
        assert [path.name for path in elsewhere.iterdir()] == [".there.part"]
        if target.name == "model.safetensors":
            raise error
        return checksum

    monkeypatch.setattr(workspace, "copy", half)
    with pytest.raises(StorageFull if isinstance(error, OSError) else KeyboardInterrupt):
        workspace.deliver(elsewhere / "there", made, ABOUT, Unwatched())
    assert list(elsewhere.iterdir()) == []


def test_the_disk_there_is_asked_before_work_and_again(
    made: Path, elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = Heard()
    workspace.plan_delivery(SIZE_BYTES, elsewhere / "new" / "there", tmp_path, watcher)
    assert "there is on a different disk: it needs 3.0 MB there (" in watcher.notes[0]
    monkeypatch.setattr(
        disk,
        "free_bytes",
        lambda folder: disk.RESERVE_BYTES if elsewhere in (folder, *folder.parents) else 10**12,
    )
    with pytest.raises(StorageFull, match=f"in {elsewhere}"):
        workspace.plan_delivery(SIZE_BYTES, elsewhere / "there", tmp_path, watcher)
    with pytest.raises(StorageFull, match=f"in {elsewhere}"):
        workspace.deliver(elsewhere / "there", made, ABOUT, Unwatched())
    assert list(elsewhere.iterdir()) == []


def test_nothing_more_is_needed_on_the_same_disk(tmp_path: Path) -> None:
    watcher = Heard()
    workspace.plan_delivery(10**15, tmp_path / "new" / "there", tmp_path, watcher)
    assert watcher.notes == []
