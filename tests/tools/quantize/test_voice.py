"""Coqui voices become ONNX: as torch sample for sample, and spoken by the appliance's own engine."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from assistant import engines
from assistant.audio.resample import resample, to_float, to_pcm16
from assistant.core.errors import (
    DownloadFailed,
    EngineUnavailable,
    LicenceNotAccepted,
    ModelCorrupt,
    ModelMissing,
    ModelRefused,
    SettingsError,
    StorageFull,
)
from assistant.core.types import Sentence
from assistant.engines.tts.voice_folder import read_voice
from assistant.runtime import paths
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import SttSettings, TtsSettings
from assistant.store import Store, disk, open_store
from assistant.store.progress import Unwatched
from assistant.text.word_error import normalize_words
from assistant.tools.quantize import voice, voice_gate, voice_weights
from assistant.tools.quantize.request import Request
from tests.conftest import CHECKOUT
from tests.store.site import Heard
from tests.tools.quantize.conftest import left_behind

NAME = "tts_models/en/ljspeech/vits"
JOE = paths.models() / "voice-en-us-joe"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("TTS_HOME", str(tmp_path / "coqui"))
    return open_store(tmp_path / "models")


def make_voice(folder: Path, *speakers: str) -> Path:
    script = [sys.executable, "-m", "tests.tools.quantize.tiny_coqui_voice", str(folder), *speakers]
    run = subprocess.run(script, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_voice(tmp_path_factory.mktemp("voices") / "tiny")


def speak(folder: Path, **settings: object) -> int:
    chosen = TtsSettings.model_validate({"model": folder.name, **settings})
    engine = engines.load("tts", "coqui", settings=chosen, model=folder, threads=1)
    try:
        return len(engine.synthesize(Sentence("Hello there, how are you?"), Cancel()))
    finally:
        engine.close()


@pytest.mark.extra("coqui")
class TestWithCoqui:
    @pytest.mark.parametrize("kind", ["onnx", "onnx-fp16", "onnx-int8"])
    def test_it_sounds_as_torch_does(self, tiny: Path, store: Store, kind: str) -> None:
        about = voice.make(Request(str(tiny), kind), store, Unwatched())
        assert about["correlation"] >= voice_gate.MIN_CORRELATION[kind]
        if kind == "onnx":
            assert about["largest_difference"] < 0.001
        else:
            assert about["bytes"] < about["fp32_bytes"]
        assert about["source_sha256"] == hashlib.sha256((tiny / "model_file.pth").read_bytes()).hexdigest()
        assert about["speaking_s"] > 0
        assert {"coqui-tts", "torch", "onnxruntime"} <= about["versions"].keys()
        place = store.path(f"tiny-{kind}", "tts")
        assert speak(place) > 5000
        assert json.loads((place / "model-card.json").read_text())["correlation"] == about["correlation"]
        symbols = json.loads((place / "phonemes.json").read_text())
        _, installed = read_voice(place)
        assert installed.symbols["a"] == [symbols["a"]]
        assert "somebody" not in (place / "config.json").read_text()

    def test_the_engine_needs_no_torch(self, tiny: Path, store: Store) -> None:
        voice.make(Request(str(tiny), "onnx"), store, Unwatched())
        place = store.path("tiny-onnx", "tts")
        script = (
            "import sys\nfrom pathlib import Path\nfrom assistant import engines\n"
            "from assistant.settings.engines import TtsSettings\n"
            f"engines.load('tts', 'coqui', settings=TtsSettings(), model=Path({str(place)!r}), threads=1)\n"
            "assert 'torch' not in sys.modules and 'TTS' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, check=True)

    def test_several_speakers(self, tmp_path: Path, store: Store) -> None:
        folder = make_voice(tmp_path / "two", "ann", "bob")
        about = voice.make(Request(str(folder), "onnx"), store, Unwatched())
        assert about["speakers"] == 2
        assert about["correlation"] >= 0.999
        place = store.path("two-onnx", "tts")
        assert speak(place, speaker="bob") > 5000
        with pytest.raises(SettingsError, match="no speaker 'eve'"):
            speak(place, speaker="eve")

    def test_a_name_without_a_network(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(variable, "http://127.0.0.1:9")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(DownloadFailed, match=f"{NAME} is not on this computer") as caught:
            voice.make(Request(NAME, "onnx"), store, Unwatched())
        assert "specify its folder" in caught.value.next_step
        assert "\n" not in str(caught.value)
        assert not store.models_dir.exists()

    @pytest.mark.parametrize("by_folder", [False, True])
    def test_one_that_was_fetched_before(
        self, tiny: Path, tmp_path: Path, store: Store, *, by_folder: bool
    ) -> None:
        kept = tmp_path / "coqui" / "tts" / NAME.replace("/", "--")
        shutil.copytree(tiny, kept)
        about = voice.make(Request(str(kept) if by_folder else NAME, "onnx"), store, Unwatched())
        assert (about["name"], about["licence"]) == ("en-ljspeech-vits-onnx", "apache 2.0")
        (entry,) = [entry for entry in store.entries() if entry.name == about["name"]]
        assert entry.licence == "apache 2.0"

    @pytest.mark.parametrize("change", [{"model": "glow_tts"}, {"audio": None}])
    def test_other_models_are_refused(
        self, tiny: Path, tmp_path: Path, store: Store, change: dict[str, object]
    ) -> None:
        shutil.copytree(tiny, tmp_path / "other")
        config = json.loads((tiny / "config.json").read_text())
        (tmp_path / "other" / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(ModelCorrupt, match="cannot be exported"):
            voice.make(Request(str(tmp_path / "other"), "onnx"), store, Unwatched())
        assert left_behind(store.models_dir) == []

    def test_a_pickle_with_code_is_not_run(self, tiny: Path, tmp_path: Path, store: Store) -> None:
        shutil.copytree(tiny, tmp_path / "evil")
        (tmp_path / "evil" / "model_file.pth").write_bytes(
            b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR."
        )
        with pytest.raises(ModelCorrupt, match="cannot be exported"):
            voice.make(Request(str(tmp_path / "evil"), "onnx"), store, Unwatched())
        assert not (tmp_path / "ran").exists()

    def test_the_disk_is_planned(self, tiny: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(disk, "free_bytes", lambda _folder: disk.RESERVE_BYTES)
        watcher = Heard()
        with pytest.raises(StorageFull):
            voice.make(Request(str(tiny), "onnx"), store, watcher)
        assert watcher.notes[0].startswith("This needs at most ")


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Coqui library that is nothing but its list of voices."""
    package = tmp_path / "packages" / "TTS"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    said = {"tts_models": {"en": {"x": {"vits": {"license": "gemma"}, "vits--bare": {}}, "y": ["odd"]}}}
    (package / voice.CATALOGUE).write_text(json.dumps(said))
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.delitem(sys.modules, "TTS", raising=False)
    monkeypatch.setattr(voice, "NEEDED", ())


@pytest.mark.usefixtures("catalogue")
def test_the_licence_is_asked_about_before_the_voice_is_fetched(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fetched = []

    def fetch(name: str, _: object) -> Path:
        fetched.append(name)
        (tmp_path / "fetched").mkdir(exist_ok=True)
        return tmp_path / "fetched"

    monkeypatch.setattr(voice, "fetch", fetch)
    with pytest.raises(LicenceNotAccepted, match="Gemma Terms of Use"):
        voice.make(Request("tts_models/en/x/vits", "onnx"), store, Unwatched())
    assert fetched == []
    with pytest.raises(ModelMissing, match=f"no Coqui voice in {tmp_path}/fetched"):
        voice.make(Request("tts_models/en/x/vits", "onnx", accept_licence=True), store, Unwatched())
    (tmp_path / "fetched" / "README.md").write_text("---\nlicense: llama3.2\n---\n")
    with pytest.raises(LicenceNotAccepted, match=r"Llama 3\.2"):
        voice.make(Request("tts_models/en/x/vits--bare", "onnx"), store, Unwatched())
    assert fetched == ["tts_models/en/x/vits", "tts_models/en/x/vits--bare"]


@pytest.mark.usefixtures("catalogue")
def test_licences_as_coqui_lists_them() -> None:
    assert voice.licence_of("tts_models/en/x/vits") == "gemma"
    for name in ("tts_models/en/x/vits--bare", "tts_models/en/x/other", "tts_models/en/y/vits", ""):
        assert voice.licence_of(name) == ""


@pytest.mark.skipif(find_spec("TTS") is not None, reason="the extra coqui is installed here")
def test_without_the_extra_it_says_what_to_install(tmp_path: Path, store: Store) -> None:
    (tmp_path / "voice").mkdir()
    (tmp_path / "voice" / "config.json").write_text("{}")
    (tmp_path / "voice" / "model.pth").touch()
    for source in (NAME, str(tmp_path / "voice")):
        with pytest.raises(EngineUnavailable, match="package 'TTS'") as caught:
            voice.make(Request(source, "onnx"), store, Unwatched())
        assert "scripts/setup run coqui" in caught.value.next_step


def test_what_cannot_be(tmp_path: Path, store: Store) -> None:
    with pytest.raises(SettingsError, match="onnx-fp16"):
        voice.make(Request(str(tmp_path), "q4_0"), store, Unwatched())
    for source in ("nothing", str(tmp_path), "tts_models/en/../vits"):
        with pytest.raises(ModelMissing, match="no Coqui voice"):
            voice.make(Request(source, "onnx"), store, Unwatched())
    assert not (tmp_path / "models").exists()


def wave(file: Path) -> voice_gate.Wave:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    ids = np.random.default_rng(1).integers(3, 100, (1, 60))
    scales = np.array([0, 1, 0], np.float32)
    feed = {"input": ids, "input_lengths": np.array([60]), "scales": scales}
    return np.asarray(session.run(None, feed)[0], np.float32).ravel()


@pytest.mark.models
@pytest.mark.parametrize(("kind", "share", "least"), [("fp16", 0.96, 0.9999), ("int8", 0.94, 0.99)])
def test_a_real_decoder_in_fewer_bits(
    tmp_path: Path, kind: voice_weights.Kind, share: float, least: float
) -> None:
    file = Path(shutil.copy(JOE / "en_US-joe-medium.onnx", tmp_path / "joe.onnx"))
    before = wave(file)
    assert voice_weights.shrink(file, kind) > 20
    assert file.stat().st_size < share * (JOE / "en_US-joe-medium.onnx").stat().st_size
    after = wave(file)
    assert len(after) == len(before)
    assert least < voice_gate.correlation(before, after) < 1.0


@pytest.mark.models
@pytest.mark.parametrize("kind", ["fp16", "int8"])
def test_what_a_real_voice_in_fewer_bits_says_is_understood(tmp_path: Path, kind: voice_weights.Kind) -> None:
    folder = Path(shutil.copytree(JOE, tmp_path / "joe"))
    voice_weights.shrink(folder / "en_US-joe-medium.onnx", kind)
    chosen = TtsSettings(model="joe")
    engine = engines.load("tts", "coqui", settings=chosen, model=folder, threads=1)
    ears = engines.load(
        "stt",
        "faster_whisper",
        settings=SttSettings(),
        model=paths.models() / "whisper-tiny.en",
        threads=1,
    )
    try:
        spoken = engine.synthesize(Sentence("The kitchen light is on, and the door is closed."), Cancel())
        heard = ears.transcribe(
            to_pcm16(resample(to_float(spoken), engine.sample_rate_hz, 16_000)), Cancel()
        ).text
    finally:
        engine.close()
        ears.close()
    assert normalize_words(heard) == normalize_words("The kitchen light is on and the door is closed.")


def test_a_network_without_a_decoder(tmp_path: Path, fixtures: Path) -> None:
    file = Path(shutil.copy(fixtures / "voice-tone" / "tone.onnx", tmp_path))
    with pytest.raises(ModelCorrupt, match="no VITS decoder"):
        voice_weights.shrink(file, "int8")


def test_doubts_have_figures() -> None:
    assert voice_gate.doubts(voice_gate.Spoken(0.9995, 0.01, 2.0), "onnx") == []
    assert "0.9800" in voice_gate.doubts(voice_gate.Spoken(0.98, 0.1, 2.0), "onnx")[0]
    assert voice_gate.doubts(voice_gate.Spoken(float("nan"), 0.1, 2.0), "onnx")
    assert "0.00 s" in voice_gate.doubts(voice_gate.Spoken(1.0, 0.0, 0.0), "onnx")[0]


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_no_numbers_are_no_sound(broken: float) -> None:
    one = np.arange(10, dtype=np.float32)
    assert voice_gate.correlation(one, one) == pytest.approx(1)
    assert voice_gate.correlation(one, one + 5) == pytest.approx(1)
    assert voice_gate.correlation(one + 100, one[::-1] + 100) == pytest.approx(-1)
    assert voice_gate.correlation(one, one * 0) == 0
    assert voice_gate.correlation(one, one + np.float32(broken)) == 0


def test_symbols_that_coqui_reads_otherwise(tmp_path: Path, fixtures: Path) -> None:
    shutil.copy(fixtures / "voice-tone" / "tone.onnx", tmp_path)
    characters = {"characters_class": "TTS.tts.models.vits.VitsCharacters", "pad": "_", "characters": "ab"}
    said = {"model": "vits", "characters": characters, "text_cleaner": "no_cleaners"}
    (tmp_path / "config.json").write_text(json.dumps(said))
    right = {"_": 0, "a": 1, "b": 2, "<BLNK>": 3}
    voice_gate.check_symbols(tmp_path, right)
    with pytest.raises(ModelCorrupt, match="'b' has a different id"):
        voice_gate.check_symbols(tmp_path, right | {"b": 4})


def test_refusal_is_an_error_of_its_own() -> None:
    from assistant.tools.quantize.workspace import refuse  # noqa: PLC0415

    refuse([], "It was not installed", force=False)
    refuse(["it is silent"], "It was not installed", force=True)
    with pytest.raises(ModelRefused, match="It was not installed: it is silent"):
        refuse(["it is silent"], "It was not installed", force=False)
