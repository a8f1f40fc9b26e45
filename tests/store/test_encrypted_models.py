"""Real encrypted models do their work, and their plaintext is on no disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from assistant.app import engines as loading
from assistant.app import memory_fit as fit
from assistant.audio.files import read_sound
from assistant.board.limits import ROOT
from assistant.cli.checks import supplies
from assistant.cli.checks.finding import Patient
from assistant.core.errors import ModelCorrupt, ModelLocked
from assistant.core.types import Message, Sentence
from assistant.runtime import paths
from assistant.runtime.cancel import Cancel
from assistant.settings import load as configuration
from assistant.settings.schema import Settings
from assistant.store import Store, encrypting, open_store
from assistant.store.progress import Unwatched
from assistant.tools.bench import cold
from assistant.tools.bench import llm as bench_llm
from assistant.tools.bench import stt as bench_stt
from assistant.tools.bench import tts as bench_tts
from assistant.tools.bench.lib.variants import changed
from tests.conftest import CHECKOUT
from tests.engines.conftest import said
from tests.engines.test_llama_cpp_adapter import adapter

pytest.importorskip("cryptography", reason="the extra encryption is not installed")
pytestmark = pytest.mark.models

LLM, STT, TTS = "smollm2-135m-instruct-q4_1", "whisper-tiny.en", "voice-en-us-joe"
KEY = bytes(range(32))


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store of its own with the three models of a chain, encrypted."""
    folder = tmp_path_factory.mktemp("encrypted")
    for name in (LLM, STT, TTS):
        shutil.copytree(paths.models() / name, folder / "models" / name)
    key = folder / "key"
    key.write_bytes(KEY)
    key.chmod(0o600)
    store = open_store(folder / "models", key_file=key)
    for name in (LLM, STT, TTS):
        encrypting.encrypt(store, name, KEY, Unwatched())
    return store


@pytest.fixture
def settings(encrypted: Store) -> Settings:
    where = {"models": str(encrypted.models_dir), "key_file": str(encrypted.key_file)}
    return changed(Settings(), {"llm": {"model": LLM, "temperature": 0, "seed": 1}, "store": where})


def plain(settings: Settings) -> Settings:
    return changed(settings, {"store": {"models": None, "key_file": None}})


def test_it_answers_as_the_plain_one_does(settings: Settings) -> None:
    assert said(settings) == said(plain(settings)) != ""


def test_what_is_loaded_is_no_file_of_a_disk(settings: Settings, encrypted: Store) -> None:
    llm = loading.load_llm(settings)
    try:
        mapped = Path("/proc/self/maps").read_text(encoding="utf-8")
        assert "/memfd:SmolLM2-135M-Instruct.Q4_1.gguf" in mapped
        assert str(encrypted.models_dir) not in mapped
    finally:
        llm.close()


def test_the_key_from_systemd(
    settings: Settings, encrypted: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `LoadCredential=model-key:...` brings it: no file of the settings, and rights of systemd's own."""
    no_file = changed(plain(settings), {"store": {"models": str(encrypted.models_dir)}})
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(ModelLocked, match="no key was given"):
        loading.load_stt(no_file)
    (tmp_path / "model-key").write_bytes(KEY)
    (tmp_path / "model-key").chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    loading.load_stt(no_file).close()


def test_the_opening_is_kept_for_the_next_start(settings: Settings, tmp_path: Path) -> None:
    """Its file was gone when the state was written, and is another file at the next start."""
    messages = [Message("system", configuration.prompt_text(settings)), Message("user", "")]
    for _ in range(2):
        llm = loading.load_llm(settings)
        llm.prime(messages, tmp_path)
        llm.close()
        kept = [(file.name, file.stat().st_mtime_ns) for file in tmp_path.iterdir()]
        assert len(kept) == 1
    llm = loading.load_llm(settings)
    llm.prime(messages, tmp_path)
    llm.close()
    assert [(file.name, file.stat().st_mtime_ns) for file in tmp_path.iterdir()] == kept


def test_ears_and_voice(settings: Settings, fixtures: Path) -> None:
    stt, tts = loading.load_stt(settings), loading.load_tts(settings)
    try:
        clip = CHECKOUT / "assistant" / "cli" / "demo" / "how_old_is_the_brooklyn_bridge.wav"
        sound = read_sound(clip)
        heard = stt.transcribe(sound, Cancel())
        assert "brooklyn bridge" in heard.text.lower()
        assert len(tts.synthesize(Sentence("One, two, three."), Cancel())) > 10_000
    finally:
        stt.close()
        tts.close()


def test_the_plan_counts_it_as_copied(settings: Settings) -> None:
    """Its memory cannot go to the disk when others need it."""
    on_disk, in_memory = fit.plan(plain(settings)), fit.plan(settings)
    assert in_memory.need.llm.mapped == 0 < on_disk.need.llm.mapped
    size = (paths.models() / LLM / "SmolLM2-135M-Instruct.Q4_1.gguf").stat().st_size
    assert in_memory.need.llm.copied == pytest.approx(on_disk.need.llm.copied + size, rel=0.001)
    assert in_memory.need.spike > on_disk.need.spike
    assert in_memory.need.needed > on_disk.need.needed


def test_an_adapter(settings: Settings, encrypted: Store) -> None:
    """Encrypted like a model, it changes what an encrypted model says; it is planned, and found sound."""
    file = adapter(encrypted.models_dir.parent / "adapter")
    encrypted.import_from(file, "mine", "llm")
    encrypting.encrypt(encrypted, "mine", KEY, Unwatched())
    with_it = changed(settings, {"llm": {"adapter": "mine"}})
    before, after = fit.plan(settings), fit.plan(with_it)
    assert after.need.needed > before.need.needed
    assert said(with_it) != said(settings)
    findings = list(supplies.CHECKS["llm model"](Patient(with_it, Unwatched(), hash_models=False, root=ROOT)))
    assert [finding.what for finding in findings if finding.check == "llm adapter"] == [
        "mine fits the model; scale 1"
    ]
    with pytest.raises(ModelLocked, match="no key was given"):
        said(changed(plain(with_it), {"store": {"models": str(encrypted.models_dir)}, "llm": {"model": LLM}}))


def test_what_they_are_measured_beside_opens_them_too(settings: Settings) -> None:
    """And the measurement of a cold start puts the encrypted files out of the cache."""
    for stock in (bench_stt.load_stock(settings), bench_tts._Plain(settings)):
        assert stock is not None
    bare = bench_llm._Bare(settings, prompt_tokens=8)
    bare.tokens = 2
    assert bare.write().tokens_per_s > 0
    bare.close()
    assert all(file.suffix == ".sealed" for file in cold.model_files(settings) if file.name[0] != ".")


def test_a_changed_byte_and_another_key(settings: Settings, encrypted: Store, tmp_path: Path) -> None:
    shutil.copytree(encrypted.models_dir / LLM, tmp_path / "models" / LLM)
    file = tmp_path / "models" / LLM / "SmolLM2-135M-Instruct.Q4_1.gguf.sealed"
    with file.open("r+b") as opened:
        opened.seek(50_000_000)
        byte = opened.read(1)[0]
        opened.seek(50_000_000)
        opened.write(bytes([byte ^ 1]))
    other = changed(settings, {"store": {"models": str(tmp_path / "models")}})
    with pytest.raises(ModelCorrupt, match=r"content of .*\.sealed is wrong"):
        loading.load_llm(other)
    (tmp_path / "key").write_bytes(bytes(32))
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(ModelLocked, match="a different key"):
        loading.load_llm(changed(settings, {"store": {"key_file": str(tmp_path / "key")}}))
