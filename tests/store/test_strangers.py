"""What a stick, a planted link or a careless umask could do to the store and to root, and does not."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from assistant.cli.limits import drop_in
from assistant.core.errors import ModelCorrupt, SettingsError
from assistant.runtime import privilege
from assistant.settings.schema import Settings
from assistant.store import Store, open_store
from assistant.store.incoming import locked
from assistant.store.progress import Unwatched
from assistant.tools.bench.lib.variants import changed

NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def voice(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "v.onnx").write_bytes(b"\x08\x08" + bytes(100))
    (folder / "v.onnx.json").write_text('{"audio":{"sample_rate":22050}}')
    return folder


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    return voice(tmp_path / "stick")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text("precious")
    return file


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "models")


def test_a_planted_link_is_not_written_through(store: Store, stick: Path, secret: Path) -> None:
    store.import_from(stick, "mine", "tts")
    for name in (".verified.json.new", ".verified.json"):
        (store.models_dir / "mine" / name).unlink(missing_ok=True)
        (store.models_dir / "mine" / name).symlink_to(secret)
    os.utime(store.models_dir / "mine" / "v.onnx")
    with pytest.raises(Exception, match="mine"):
        store.verify("mine")
    (store.models_dir / "mine" / ".verified.json").unlink()
    store.import_from(stick, "mine", "tts")
    assert secret.read_text() == "precious"


@as_root
def test_root_only_reads_in_another_users_store(store: Store, stick: Path, secret: Path) -> None:
    store.import_from(stick, "mine", "tts")
    (store.models_dir / "mine" / ".verified.json.new").symlink_to(secret)
    os.utime(store.models_dir / "mine" / "v.onnx")
    for path in (store.models_dir, *store.models_dir.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    before = {path: path.lstat().st_mtime_ns for path in store.models_dir.rglob("*")}
    store.verify("mine")
    assert store.place("mine", "tts")
    assert secret.read_text() == "precious"
    assert before == {path: path.lstat().st_mtime_ns for path in store.models_dir.rglob("*")}
    with pytest.raises(SettingsError, match="the folder's owner"), locked(store.models_dir, Unwatched()):
        pass
    assert privilege.stranger(store.models_dir / "not" / "there") == NOBODY


@as_root
def test_root_goes_on_as_the_owner(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        privilege.become(NOBODY)
        rights = {*os.getresuid(), *os.getresgid(), *os.getgroups()}
        os._exit(0 if rights == {NOBODY} and os.environ["HOME"] != "/root" else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("name", ["config.txt", "v.onnx"])
def test_a_link_out_of_the_stick_is_refused(store: Store, stick: Path, secret: Path, name: str) -> None:
    (stick / name).unlink(missing_ok=True)
    (stick / name).symlink_to(secret)
    with pytest.raises(ModelCorrupt, match=f"{name} is a link that leads out"):
        store.import_from(stick, "mine", "tts")
    with pytest.raises(Exception, match="No catalog model"):
        store.import_from(stick)
    assert not [
        path for path in store.models_dir.rglob("*") if path.is_file() and b"prec" in path.read_bytes()
    ]


def test_modes_are_set_not_inherited(store: Store, stick: Path) -> None:
    umask = os.umask(0)
    try:
        store.import_from(stick, "mine", "tts")
        with pytest.raises(Exception, match="No catalog model"):
            store.import_from(stick)
    finally:
        os.umask(umask)
    open_to_others = [
        path for path in (store.models_dir, *store.models_dir.rglob("*")) if path.stat().st_mode & 0o022
    ]
    assert not open_to_others


def test_a_fifo_on_a_stick_does_not_hold_anybody_up(store: Store, stick: Path) -> None:
    os.mkfifo(stick / "extra.json")
    store.import_from(stick, "mine", "tts")
    assert not (store.models_dir / "mine" / "extra.json").exists()


def test_what_root_writes_down_holds_no_name(tmp_path: Path) -> None:
    evil = tmp_path / "models" / "smollm2-135m-instruct-q4_1"
    evil.mkdir(parents=True)
    (evil / "!\nUser=root\nExecStartPre=+sh -c id\n#.gguf").write_text("x")
    settings = changed(
        Settings(),
        {"store": {"models": str(tmp_path / "models")}, "llm": {"model": "smollm2-135m-instruct-q4_1"}},
    )
    text = drop_in(settings)
    assert "[Service]" in text
    assert "User=" not in text
    assert "gguf" not in text


def test_a_record_is_not_executable_nor_secret(store: Store, stick: Path) -> None:
    store.import_from(stick, "mine", "tts")
    assert not stat.S_IMODE((store.models_dir / "mine" / ".verified.json").stat().st_mode) & 0o133
