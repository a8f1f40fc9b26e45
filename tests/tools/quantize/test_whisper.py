"""Whisper checkpoints become models for the ears: the real one hears the same, broken ones stay out."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from assistant import engines
from assistant.audio.files import read_sound
from assistant.board import health
from assistant.core.errors import (
    DownloadFailed,
    EngineFailed,
    ModelCorrupt,
    ModelMissing,
    ModelRefused,
    SettingsError,
    StorageFull,
)
from assistant.runtime import paths
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import SttSettings
from assistant.store import Store, disk, open_store
from assistant.store.progress import Unwatched
from assistant.text.word_error import word_error_rate
from assistant.tools.quantize import whisper, whisper_gate
from assistant.tools.quantize.request import Request
from tests.conftest import Clip
from tests.store.site import Heard
from tests.tools.quantize.conftest import left_behind
from tests.tools.quantize.whisper_checkpoints import (
    random_checkpoint,
    read_ct2,
    to_checkpoint,
    write_safetensors,
)

pytestmark = pytest.mark.models

NEWER = {"decoder/alibi_use_positive_positions", "decoder/scale_alibi"}
"""Scalars that today's CTranslate2 writes besides."""

REAL = paths.models() / "whisper-tiny.en"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """whisper-tiny.en as Hugging Face has it, back from the CTranslate2 model that is installed."""
    return to_checkpoint(REAL, tmp_path_factory.mktemp("hf") / "whisper-tiny.en")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "models")


def sha256(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def heard(folder: Path, clips: list[Path]) -> list[str]:
    settings = SttSettings(compute_type="float32")
    stt = engines.load("stt", "faster_whisper", settings=settings, model=folder, threads=2)
    try:
        return [stt.transcribe(read_sound(clip), Cancel()).text for clip in clips]
    finally:
        stt.close()


def test_the_round_trip_is_the_same_model(real: Path, store: Store) -> None:
    """Of 16 bits, so every number must be what it was, under the same name."""
    whisper.make(Request(str(real), "ct2-float16"), store, Unwatched())
    place = store.path("whisper-tiny.en-float16", "stt")
    before, after = read_ct2(REAL / "model.bin"), read_ct2(place / "model.bin")
    assert after.keys() - before.keys() <= NEWER
    assert before.keys() <= after.keys()
    assert [name for name, array in before.items() if not np.array_equal(array, after[name])] == []
    one, other = (json.loads((folder / "config.json").read_text()) for folder in (REAL, place))
    assert {key: other[key] for key in one if key != "lang_ids"} == {
        key: one[key] for key in one if key != "lang_ids"
    }
    assert (place / "tokenizer.json").read_bytes() == (REAL / "tokenizer.json").read_bytes()


def test_int8_hears_what_the_source_hears(real: Path, store: Store, shared_audio: list[Clip]) -> None:
    about = whisper.make(Request(str(real), "ct2-int8", threads=2), store, Unwatched())
    assert about["bytes"] < 0.6 * (REAL / "model.bin").stat().st_size
    assert about["word_error"] == 0.0
    assert about["heard"] == about["source_heard"] == whisper_gate.SAID
    assert about["licence"] == "mit"
    assert about["source_sha256"] == sha256(real / "config.json", real / "model.safetensors")
    assert about["hearing_s"] > 0
    assert about["memory_mb"] > 20
    card = json.loads((store.path("whisper-tiny.en-int8", "stt") / "model-card.json").read_text())
    assert card["encoder_drift"] == about["encoder_drift"] < whisper_gate.MAX_DRIFT["ct2-int8"]
    clips = [clip for clip in shared_audio if clip.text and 1.5 < clip.seconds < 6][:6]
    said = heard(store.path("whisper-tiny.en-int8", "stt"), [clip.path for clip in clips])
    source = heard(REAL, [clip.path for clip in clips])
    errors = [word_error_rate(one, other) for one, other in zip(source, said, strict=True)]
    assert sum(errors) / len(errors) <= 0.1
    (entry,) = [entry for entry in store.entries() if entry.name == "whisper-tiny.en-int8"]
    assert (entry.kind, entry.licence) == ("stt", "mit")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return random_checkpoint(tmp_path / "tiny", REAL / "tokenizer.json", words=51864)


def test_random_weights_are_refused_and_installed_by_force(tiny: Path, store: Store) -> None:
    with pytest.raises(ModelRefused, match="the source itself hears"):
        whisper.make(Request(str(tiny), "ct2-int8"), store, Unwatched())
    assert not (store.models_dir / "tiny-int8").exists()
    assert left_behind(store.models_dir) == []
    about = whisper.make(Request(str(tiny), "ct2-int8", name="mine", force=True), store, Unwatched())
    assert "of the words are wrong" in about["forced"][0]
    assert store.path("mine", "stt")


def damaged(folder: Path, name: str, value: float) -> None:
    from assistant.tools.quantize.safetensors import SafetensorsFolder  # noqa: PLC0415

    source = SafetensorsFolder(folder)
    tensors = {each: np.array(source.read(each)) for each in source.names}
    tensors[name][...] = np.where(np.arange(tensors[name].size).reshape(tensors[name].shape) == 7, value, 0)
    write_safetensors(folder / "model.safetensors", tensors)


@pytest.mark.parametrize(
    ("value", "why"), [(np.nan, "contains NaN"), (np.inf, "infinity"), (0.0, "only zeros")]
)
def test_damaged_weights_are_refused_with_their_name(
    tiny: Path, store: Store, value: float, why: str
) -> None:
    damaged(tiny, "model.encoder.layers.0.fc1.weight", value)
    with pytest.raises(ModelCorrupt, match=rf"layers\.0\.fc1\.weight.*{why}"):
        whisper.make(Request(str(tiny), "ct2-int8", force=True), store, Unwatched())
    assert left_behind(store.models_dir) == []


@pytest.mark.parametrize(
    ("file", "change", "why"),
    [
        ("config.json", {"architectures": ["LlamaForCausalLM"]}, "is not a Whisper model"),
        ("config.json", {"encoder_layers": 2}, "lacks the tensor"),
        ("config.json", {"encoder_layers": "one"}, "says encoder_layers is 'one'"),
        ("config.json", {"vocab_size": 10}, "the network has 10"),
        ("config.json", {"auto_map": {}}, "running its own code"),
        ("tokenizer.json", {"model": None}, "tokenizer.json is missing or cannot be read"),
    ],
)
def test_checkpoints_of_another_kind(
    tiny: Path, store: Store, file: str, change: dict[str, object], why: str
) -> None:
    said = json.loads((tiny / file).read_text())
    (tiny / file).write_text(json.dumps(said | change))
    with pytest.raises(ModelCorrupt, match=why):
        whisper.make(Request(str(tiny), "ct2-int8", force=True), store, Unwatched())


def test_a_cut_file(tiny: Path, store: Store) -> None:
    file = tiny / "model.safetensors"
    for length in (3, 5000, file.stat().st_size - 1):
        shutil.copyfile(file, tiny / "whole")
        file.write_bytes(file.read_bytes()[:length])
        with pytest.raises(ModelCorrupt, match=r"cut off|cannot be read"):
            whisper.make(Request(str(tiny), "ct2-int8"), store, Unwatched())
        (tiny / "whole").rename(file)


def test_a_model_that_misses_more_than_its_source_is_refused() -> None:
    encoded = np.ones((1, 2, 3), np.float32)
    right = whisper_gate.Heard(whisper_gate.SAID, 0.0, encoded)
    assert whisper_gate.doubts(right, right, "ct2-int8") == []
    worse = whisper_gate.Heard("How old is it?", 0.5, encoded)
    assert "50% of the words wrong" in whisper_gate.doubts(right, worse, "ct2-int8")[0]
    off = whisper_gate.Heard(whisper_gate.SAID, 0.0, encoded * 2)
    assert "distance from the source's" in whisper_gate.doubts(right, off, "ct2-int8")[0]
    broken = whisper_gate.Heard(whisper_gate.SAID, 0.0, encoded * np.nan)
    assert whisper_gate.doubts(right, broken, "ct2-int8")


def test_what_cannot_be_done_is_said_before_work(
    tiny: Path, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="ct2-int4"):
        whisper.make(Request(str(tiny), "ct2-int4"), store, Unwatched())
    with pytest.raises(ModelMissing, match=r"no folder named \./nothing"):
        whisper.make(Request("./nothing", "ct2-int8"), store, Unwatched())
    watcher = Heard()
    monkeypatch.setattr(health, "available_mb", lambda: 600)
    with pytest.raises(EngineFailed, match=r"needs 7\d\d MB of memory, but only 600 MB is free"):
        whisper.make(Request(str(tiny), "ct2-int8"), store, watcher)
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: disk.RESERVE_BYTES)
    with pytest.raises(StorageFull):
        whisper.make(Request(str(tiny), "ct2-int8"), store, watcher)
    assert [note[:19] for note in watcher.notes] == 2 * ["This needs at most "]
    assert watcher.seen == []
    assert left_behind(store.models_dir) == []


def test_a_name_without_a_network(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(DownloadFailed, match="openai/whisper-tiny is not on this computer") as caught:
        whisper.make(Request("openai/whisper-tiny", "ct2-int8"), store, Unwatched())
    assert "hf download openai/whisper-tiny --local-dir" in caught.value.next_step
    assert "\n" not in str(caught.value)


def test_progress_is_shown(tiny: Path, store: Store) -> None:
    watcher = Heard()
    whisper.make(Request(str(tiny), "ct2-int8", force=True), store, watcher)
    assert {"Making ct2-int8", "Making ct2-float32", "Listening with the source", "Checking tiny-int8"} <= {
        each.what for each in watcher.seen
    }
