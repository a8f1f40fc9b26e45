"""What is here, whether it is whole, and getting rid of it; all without a network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.core.errors import ModelCorrupt, ModelMissing, ModelUnknown
from assistant.store import Store, open_store
from assistant.store.folder import RECORD, read_record
from tests.store.site import Heard, blob, model_entry, store_of

FILES = {"m.gguf": blob(600_000), "m.json": b"{}"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two models of the catalogue, of which 'small' is here and verified."""
    folder = tmp_path / "models" / "small"
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    made = store_of(
        tmp_path / "models", small=model_entry(FILES), voice=model_entry({"v.onnx": b"v"}, kind="tts")
    )
    made.verify("small")
    return made


def model(store: Store) -> Path:
    return store.models_dir / "small" / "m.gguf"


def test_path_of_a_verified_model(store: Store) -> None:
    assert store.path("small", "llm") == store.models_dir / "small"


def test_path_reads_nothing_when_times_agree(store: Store) -> None:
    """A start must not hash half a gigabyte: bytes changed behind the file system's back go unseen."""
    times = model(store).stat()
    model(store).write_bytes(bytes(len(FILES["m.gguf"])))
    os.utime(model(store), ns=(times.st_atime_ns, times.st_mtime_ns))
    store.path("small", "llm")
    with pytest.raises(ModelCorrupt, match=r"the content of m\.gguf"):
        store.verify("small")


def test_swapped_file_of_the_same_size_is_noticed(store: Store) -> None:
    model(store).write_bytes(blob(len(FILES["m.gguf"]), seed=9))
    with pytest.raises(ModelCorrupt) as caught:
        store.path("small", "llm")
    assert "assistant models pull small" in caught.value.next_step


@pytest.mark.parametrize("size", [0, 1, 599_999])
def test_truncated_file_is_noticed(store: Store, size: int) -> None:
    with model(store).open("r+b") as file:
        file.truncate(size)
    with pytest.raises(ModelCorrupt, match=f"is {size} bytes instead of 600000"):
        store.path("small", "llm")


def test_missing_file_is_noticed(store: Store) -> None:
    model(store).unlink()
    with pytest.raises(ModelCorrupt, match=r"m\.gguf is missing"):
        store.path("small", "llm")


def test_touched_file_is_hashed_once(store: Store) -> None:
    os.utime(model(store), ns=(1, 1))
    assert [entry.state for entry in store.entries()] == ["unchecked", "missing"]
    store.path("small", "llm")
    assert [entry.state for entry in store.entries()] == ["installed", "missing"]


@pytest.mark.parametrize("record", ["", "{", "[]", '{"format": 2}', "\0\0", '{"files": {"../../x": 1}}'])
def test_damaged_record_is_written_anew(store: Store, record: str) -> None:
    (store.models_dir / "small" / RECORD).write_text(record)
    store.path("small", "llm")
    assert read_record(store.models_dir / "small") is not None


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_record_is_read_or_ignored(tmp_path: Path, content: bytes) -> None:
    (tmp_path / RECORD).write_bytes(content)
    assert read_record(tmp_path) is None


def test_model_of_another_kind(store: Store) -> None:
    with pytest.raises(ModelUnknown) as caught:
        store.path("small", "tts")
    assert "kind llm, not tts" in caught.value.problem
    assert "voice" in caught.value.next_step


@pytest.mark.parametrize("name", ["smal", "../small", "small/../small", "", ".incoming", "/etc", "s\0"])
def test_unknown_names(store: Store, name: str) -> None:
    for attempt in (lambda: store.path(name, "llm"), lambda: store.verify(name), lambda: store.remove(name)):
        with pytest.raises(ModelUnknown):
            attempt()


def test_verify_shows_progress(store: Store, heard: Heard) -> None:
    store.verify("small", heard)
    assert heard.seen[-1].what == "Checking small"
    assert heard.seen[-1].done_bytes == heard.seen[-1].total_bytes == 600_002


def test_verify_of_a_missing_model(store: Store) -> None:
    with pytest.raises(ModelMissing):
        store.verify("voice")


def test_remove(store: Store) -> None:
    assert store.remove("small") >= 600_002
    assert [entry.state for entry in store.entries()] == ["missing", "missing"]
    assert {path.name for path in store.models_dir.iterdir()} == {".lock"}
    with pytest.raises(ModelMissing):
        store.remove("small")


def test_remove_takes_an_unfinished_pull_along(store: Store) -> None:
    left = store.models_dir / ".incoming" / "voice" / "downloads"
    left.mkdir(parents=True)
    (left / "v.onnx.part").write_bytes(bytes(1000))
    assert store.remove("voice") == 1000
    assert not left.exists()


def test_remove_of_a_linked_folder_keeps_what_it_leads_to(store: Store, tmp_path: Path) -> None:
    (store.models_dir / "small").rename(tmp_path / "elsewhere")
    (store.models_dir / "small").symlink_to(tmp_path / "elsewhere")
    assert store.path("small", "llm")
    store.remove("small")
    assert (tmp_path / "elsewhere" / "m.gguf").is_file()
    assert not (store.models_dir / "small").is_symlink()


def test_empty_store(tmp_path: Path) -> None:
    empty = open_store(tmp_path / "none")
    assert {entry.state for entry in empty.entries()} == {"missing"}
    with pytest.raises(ModelMissing):
        empty.path("whisper-tiny.en", "stt")
    assert not (tmp_path / "none").exists()


def test_start_imports_neither_tls_nor_http(tmp_path: Path) -> None:
    """Nothing but pull can reach the network, and a start does not pay for what it never uses."""
    program = (
        "import sys, assistant.store; print({'ssl', 'http.client', 'urllib.request'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.models
def test_default_models_on_this_disk_are_whole() -> None:
    from assistant.runtime import paths  # noqa: PLC0415

    here = open_store(paths.models())
    for name in here.catalog.sets["default"]:
        assert here.path(name, here.catalog.models[name].kind).is_dir()
