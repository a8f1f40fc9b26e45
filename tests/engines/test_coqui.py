"""The Coqui engine: which runtime speaks, and what is said when torch or the voice is missing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from assistant import engines
from assistant.core.errors import EngineUnavailable, ModelMissing
from assistant.core.types import Sentence
from assistant.engines.tts.coqui import create
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import TtsSettings

NAME = "tts_models/en/ljspeech/vits"

has_coqui = all(find_spec(name) for name in ("TTS", "torch", "torchaudio"))


def test_onnx_is_the_default_and_imports_no_torch(tmp_path: Path, fixtures: Path) -> None:
    shutil.copy(fixtures / "voice-tone" / "tone.onnx", tmp_path)
    description = {
        "audio": {"sample_rate": 16000},
        "phoneme_type": "text",
        "phoneme_id_map": {"_": [0], "^": [1], "$": [2], "a": [3]},
    }
    (tmp_path / "tone.onnx.json").write_text(json.dumps(description))
    settings = TtsSettings()
    voice = engines.load("tts", settings.engine, settings=settings, model=tmp_path, threads=1)
    assert voice.sample_rate_hz == 16000
    assert len(voice.synthesize(Sentence("aaaa"), Cancel())) > 0
    # In a process of its own: other tests may have imported torch into this one.
    loaded = (
        "import sys; from pathlib import Path; from assistant import engines;"
        "from assistant.settings.engines import TtsSettings; settings = TtsSettings();"
        "engines.load('tts', settings.engine, settings=settings, model=Path(sys.argv[1]), threads=1);"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", loaded, str(tmp_path)], check=False).returncode == 0


@pytest.mark.skipif(has_coqui, reason="the extra coqui is installed here")
def test_without_the_extra_torch_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match=r"shelf-assistant\[coqui\]"):
        create(TtsSettings(runtime="torch", model=NAME), tmp_path, 1)
    assert "torch" not in sys.modules


@pytest.fixture
def fake_coqui(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages that can be found and cannot be imported, as those of another board."""
    for name in ("TTS", "torch", "torchaudio"):
        (tmp_path / "packages" / name).mkdir(parents=True)
        (tmp_path / "packages" / name / "__init__.py").write_text(
            "raise ImportError('built for another board')"
        )
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    monkeypatch.setenv("TTS_HOME", str(tmp_path / "coqui"))


@pytest.mark.usefixtures("fake_coqui")
def test_a_voice_that_is_not_here_is_never_downloaded(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=f"tts --model_name {NAME}") as raised:
        create(TtsSettings(runtime="torch", model=NAME), tmp_path / NAME, 1)
    assert "tts_models--en--ljspeech--vits" in raised.value.problem
    with pytest.raises(ModelMissing, match=r"Set tts\.model to one of Coqui's names"):
        create(TtsSettings(runtime="torch", model="voice-en-us-joe"), tmp_path, 1)


@pytest.mark.usefixtures("fake_coqui")
@pytest.mark.parametrize(
    "place", ["store/tts_models/en/ljspeech/vits", "coqui/tts/tts_models--en--ljspeech--vits"]
)
def test_a_voice_is_found_in_either_store_before_torch_is_loaded(tmp_path: Path, place: str) -> None:
    folder = tmp_path / place
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model_file.pth").touch()
    with pytest.raises(EngineUnavailable, match="built for another board"):
        create(TtsSettings(runtime="torch", model=NAME), tmp_path / "store" / NAME, 1)
