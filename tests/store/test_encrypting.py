"""A model is encrypted where it lies and decrypted again; whatever happens, one good copy is there."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

import pytest

from assistant.core.errors import ModelCorrupt, ModelLocked, SettingsError, StorageFull
from assistant.store import Store, disk, encrypting, sealed
from assistant.store.folder import read_record
from assistant.store.incoming import INCOMING, OLD, Incoming, locked
from assistant.store.progress import Meter, Unwatched
from assistant.store.store import open_store
from tests.conftest import CHECKOUT
from tests.store.site import Heard, blob, model_entry, store_of, write_catalog

pytest.importorskip("cryptography", reason="the extra encryption is not installed")

KEY = bytes(range(32))
FILES = {"m.gguf": blob(3_000_000), "m.json": b"{}"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """One model of the catalogue, and a key beside it."""
    folder = tmp_path / "models" / "small"
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    made = store_of(tmp_path / "models", small=model_entry(FILES))
    made.verify("small")
    key = tmp_path / "key"
    key.write_bytes(KEY)
    key.chmod(0o600)
    return Store(made.models_dir, made.catalog, key)


def encrypted(store: Store) -> Store:
    encrypting.encrypt(store, "small", KEY, Unwatched())
    return store


def contents(store: Store) -> dict[str, bytes]:
    with store.opened("small", "llm") as folder:
        return {file.name: file.read_bytes() for file in folder.iterdir() if file.name[0] != "."}


def test_only_encrypted_files_are_left(store: Store) -> None:
    encrypted(store)
    files = sorted(file.name for file in (store.models_dir / "small").iterdir())
    assert files == [".verified.json", "m.gguf.sealed", "m.json.sealed"]
    assert not list(store.models_dir.glob(f"{INCOMING}/*"))
    assert [(entry.state, entry.encrypted) for entry in store.entries()] == [("installed", True)]
    for file in store.models_dir.rglob("*"):
        assert file.is_dir() or FILES["m.gguf"][1000:1100] not in file.read_bytes()


def test_it_is_opened_in_memory_only(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encrypted(store)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    with store.opened("small", "llm") as folder:
        assert folder.name == "small"
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == FILES
        here = [file for file in (tmp_path / "tmp").rglob("*") if not file.is_dir() or file.is_symlink()]
        assert sorted(file.name for file in here) == sorted(FILES)
        assert all(file.is_symlink() and str(file.readlink()).startswith("/proc/self/fd/") for file in here)
        with pytest.raises(OSError, match=r"not permitted|denied"), (folder / "m.json").open("r+b") as file:
            file.write(b"[]")
    assert not list((tmp_path / "tmp").iterdir())


def test_descriptors_are_closed(store: Store) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert contents(encrypted(store)) == FILES
    with pytest.raises(ZeroDivisionError), store.opened("small", "llm"):
        _ = 1 / 0
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_decrypted_it_is_as_it_was(store: Store) -> None:
    encrypting.decrypt(encrypted(store), "small", KEY, Unwatched())
    assert {name: (store.models_dir / "small" / name).read_bytes() for name in FILES} == FILES
    store.verify("small")
    assert [(entry.state, entry.encrypted) for entry in store.entries()] == [("installed", False)]


def test_progress_is_shown(store: Store, heard: Heard) -> None:
    encrypting.encrypt(store, "small", KEY, heard)
    assert {"Encrypting small", "Checking small"} <= {seen.what for seen in heard.seen}


def test_what_makes_no_sense(store: Store) -> None:
    with pytest.raises(SettingsError, match="small is not encrypted"):
        encrypting.decrypt(store, "small", KEY, Unwatched())
    encrypted(store)
    with pytest.raises(SettingsError, match="already encrypted"):
        encrypting.encrypt(store, "small", KEY, Unwatched())


def test_others_are_told_to_decrypt_it(store: Store) -> None:
    with pytest.raises(ModelLocked, match="small is encrypted") as caught:
        encrypted(store).path("small", "llm")
    assert "assistant models decrypt small" in caught.value.next_step


def test_another_key(store: Store, tmp_path: Path) -> None:
    encrypted(store)
    (tmp_path / "key").write_bytes(bytes(32))
    for attempt in (lambda: contents(store), lambda: store.try_key("small")):
        with pytest.raises(ModelLocked, match="a different key"):
            attempt()
    with pytest.raises(ModelLocked, match="a different key"):
        encrypting.decrypt(store, "small", bytes(32), Unwatched())
    (tmp_path / "key").write_bytes(KEY)
    assert contents(store) == FILES


def test_no_key(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    without = Store(encrypted(store).models_dir, store.catalog)
    with pytest.raises(ModelLocked, match="no key was given"):
        contents(without)


def test_a_changed_byte_that_the_times_hide(store: Store) -> None:
    """What is compared with the record are sizes and times; the encryption itself finds the rest."""
    file = encrypted(store).models_dir / "small" / "m.gguf.sealed"
    times = file.stat()
    content = bytearray(file.read_bytes())
    content[2_000_000] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(ModelCorrupt, match="chunk 2 of 3"):
        contents(store)
    with pytest.raises(ModelCorrupt, match=r"content of m\.gguf\.sealed"):
        store.verify("small")


def test_a_pull_leaves_an_encrypted_model_alone(store: Store) -> None:
    assert [arrival.origin for arrival in encrypted(store).pull(["small"])] == [""]
    assert store.sealed("small")


def test_a_full_disk_is_told_before(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: disk.RESERVE_BYTES + 3_000_000)
    with pytest.raises(StorageFull, match="needs 19 MB"):
        encrypted(store)
    assert contents(store) == FILES


def test_a_disk_that_writes_something_else(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes out is compared with what went in, and the old files stay."""
    written = sealed.write

    def write(plain: BinaryIO, target: BinaryIO, key: bytes, head: sealed.Head, meter: Meter) -> None:
        written(plain, target, bytes(31) + key[31:], head, meter)

    monkeypatch.setattr(sealed, "write", write)
    with pytest.raises(ModelCorrupt):
        encrypted(store)
    monkeypatch.undo()
    assert contents(store) == FILES
    assert not store.sealed("small")


def test_the_moment_between_two_renames(store: Store) -> None:
    """The power goes when the old folder has lost its name and the new one has none yet."""
    old = Incoming(store.models_dir, "small").base / OLD
    old.parent.mkdir(parents=True)
    (store.models_dir / "small").rename(old)
    assert contents(store) == FILES
    (store.models_dir / "small").rename(old)
    with locked(store.models_dir, Unwatched()):
        assert (store.models_dir / "small").is_dir()
    (store.models_dir / "small").rename(old)
    Incoming(store.models_dir, "small").clear()
    assert contents(store) == FILES


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_any_moment(tmp_path: Path, seed: int) -> None:
    """Encrypting and decrypting in turn, killed at random; what is there is whole, encrypted or not."""
    files = {"m.gguf": blob(30_000_000, seed)}
    folder = tmp_path / "models" / "small"
    folder.mkdir(parents=True)
    (folder / "m.gguf").write_bytes(files["m.gguf"])
    write_catalog(tmp_path / "catalog.yaml", small=model_entry(files))
    key = tmp_path / "key"
    key.write_bytes(KEY)
    key.chmod(0o600)
    script = f"""
from pathlib import Path
from assistant.store import encrypting, open_store
from assistant.store.progress import Unwatched
store = open_store(Path({str(tmp_path / "models")!r}), Path({str(tmp_path / "catalog.yaml")!r}))
print("begins", flush=True)
while True:
    change = encrypting.decrypt if store.sealed("small") else encrypting.encrypt
    change(store, "small", bytes(range(32)), Unwatched())
"""
    chance = random.Random(seed)  # noqa: S311  not for secrets
    store = open_store(tmp_path / "models", tmp_path / "catalog.yaml", key)
    with subprocess.Popen([sys.executable, "-c", script], cwd=CHECKOUT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(chance.uniform(0, 1.5))
        child.send_signal(chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
    with store.opened("small", "llm") as opened:
        assert (opened / "m.gguf").read_bytes() == files["m.gguf"]
    change = encrypting.decrypt if store.sealed("small") else encrypting.encrypt
    change(store, "small", KEY, Unwatched())
    assert not (store.models_dir / INCOMING).exists()
    record = read_record(folder)
    assert record is not None
    assert {*record.files} == {file.name for file in folder.iterdir() if file.name[0] != "."}
