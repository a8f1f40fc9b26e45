"""The command as a person and as a script run it, with a catalogue of tiny models."""

from __future__ import annotations

import argparse
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from assistant.cli import models
from assistant.core.errors import LicenceNotAccepted, ModelCorrupt, ModelLocked, ModelMissing, ModelUnknown
from assistant.runtime import paths
from tests.store.site import blob, model_entry, write_catalog

FILES = {"m.gguf": blob(30_000)}


@pytest.fixture
def models_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation whose catalogue has 'small' (from a folder) and 'lost' (from nowhere)."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "m.gguf").write_bytes(FILES["m.gguf"])
    (tmp_path / "models").mkdir()
    write_catalog(
        tmp_path / "models" / "catalog.yaml",
        small=model_entry(FILES, {"type": "folder", "path": str(source)}),
        lost=model_entry({"x.onnx": b"x"}, kind="tts"),
    )
    (tmp_path / "config").symlink_to(paths.shipped_folder("config"))
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "assistant")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-settings"))
    monkeypatch.setenv("ASSISTANT__STORE__MODELS", str(tmp_path / "here"))
    return tmp_path / "here"


def command(*words: str) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path)
    models.add_parser(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["models", *words])
    status: int = arguments.run(arguments)
    return status


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    """The one JSON document on stdout."""
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    return json.loads(lines[0])


def test_list_as_a_table(models_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["NAME", "KIND", "STATE", "SIZE", "MEMORY", "LANGUAGES", "LICENCE"]
    assert lines[1].split() == ["small", "llm", "missing", "30", "kB", "1", "MB", "en", "CC0-1.0"]
    assert str(models_dir) in lines[-2]
    assert lines[-1] == "Set default: small, lost"
    assert not models_dir.exists()


def test_list_as_json(models_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("pull", "small")
    capsys.readouterr()
    assert command("list", "--json") == 0
    told = document(capsys)
    assert [(model["name"], model["state"]) for model in told["models"]] == [
        ("small", "installed"),
        ("lost", "missing"),
    ]
    assert told["models"][0]["path"] == str(models_dir / "small")
    assert told["sets"] == {"default": ["small", "lost"]}


def test_pull_then_pull_again(models_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("pull", "small", "--json") == 0
    assert document(capsys)["pulled"][0]["origin"].startswith("folder ")
    assert command("pull", "small") == 0
    assert capsys.readouterr().out == f"small: here already, {models_dir / 'small'}\n"


def test_pull_of_a_set_keeps_what_came(models_dir: Path) -> None:
    for words in ((), ("--set", "default")):
        with pytest.raises(Exception, match="lost could not be downloaded"):
            command("pull", *words)
        assert (models_dir / "small" / "m.gguf").read_bytes() == FILES["m.gguf"]


def test_pull_of_an_unknown_model(models_dir: Path) -> None:
    with pytest.raises(ModelUnknown, match="Did you mean 'small'"):
        command("pull", "smal")


def test_verify(models_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("verify") == 0
    assert "assistant models pull" in capsys.readouterr().out
    command("pull", "small")
    capsys.readouterr()
    assert command("verify") == 0
    assert capsys.readouterr().out == "small: every byte is right\n"


def test_verify_of_a_damaged_model_fails_and_says_what_to_do(
    models_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("pull", "small")
    (models_dir / "small" / "m.gguf").write_bytes(bytes(30_000))
    capsys.readouterr()
    assert command("verify") == 1
    said = capsys.readouterr().out
    assert "[model-corrupt]" in said
    assert "assistant models pull small" in said
    assert command("verify", "small", "lost", "--json") == 1
    told = document(capsys)["models"]
    assert [(one["name"], one["ok"], one["code"]) for one in told] == [
        ("small", False, "model-corrupt"),
        ("lost", False, "model-missing"),
    ]


def test_import_of_a_known_model(
    models_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("import", str(tmp_path / "source"), "--json") == 0
    assert document(capsys)["imported"][0]["name"] == "small"
    assert command("verify") == 0


def test_import_of_ones_own_model(
    models_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 0))
    assert command("import", str(tmp_path / "own.gguf"), "--as", "mine", "--kind", "llm") == 0
    assert command("list") == 0
    assert "mine" in capsys.readouterr().out
    with pytest.raises(ModelCorrupt):
        command("import", str(tmp_path / "own.gguf"), "--as", "voice", "--kind", "tts")


def test_import_of_nothing(models_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelMissing):
        command("import", str(tmp_path / "empty"))


def test_remove(models_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("pull", "small")
    capsys.readouterr()
    assert command("remove", "small", "--json") == 0
    assert document(capsys)["removed"][0]["freed_bytes"] >= 30_000
    assert not (models_dir / "small").exists()
    with pytest.raises(ModelMissing):
        command("remove", "small")


@pytest.mark.parametrize("words", [(), ("remove",), ("import",), ("import", ".", "--kind", "song")])
def test_wrong_words_are_refused(models_dir: Path, words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as caught:
        command(*words)
    assert caught.value.code == 2


def test_licences_of_all(models_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("licences") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "small (not installed): CC0-1.0"
    command("pull", "small")
    capsys.readouterr()
    assert command("licences", "--json") == 0
    told = document(capsys)["models"]
    assert [(one["name"], one["installed"], one["conditions"]) for one in told] == [
        ("small", True, None),
        ("lost", False, None),
    ]


def test_conditions_are_shown_and_agreed_to(
    models_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = model_entry(FILES, {"type": "folder", "path": str(tmp_path / "source")})
    write_catalog(tmp_path / "models" / "catalog.yaml", asks={**entry, "licence": "gemma"})
    with pytest.raises(LicenceNotAccepted):
        command("pull", "asks")
    assert command("licences") == 0
    assert "not accepted: use --accept-licence" in capsys.readouterr().out
    assert command("pull", "asks", "--accept-licence") == 0
    capsys.readouterr()
    assert command("licences") == 0
    assert "gemma/terms (accepted on 20" in capsys.readouterr().out


def test_encrypt_and_decrypt(models_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("cryptography", reason="the extra encryption is not installed")
    key = tmp_path / "key"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    command("pull", "small")
    capsys.readouterr()
    assert command("encrypt", "small", "--key-file", str(key)) == 0
    assert capsys.readouterr().out.startswith("small: encrypted, 31 kB in ")
    assert command("list") == 0
    assert "encrypted" in capsys.readouterr().out.splitlines()[1]
    key.chmod(0o644)
    with pytest.raises(ModelLocked, match="mode 0644"):
        command("decrypt", "small", "--key-file", str(key))
    key.chmod(0o600)
    assert command("decrypt", "small", "--key-file", str(key), "--json") == 0
    assert document(capsys)["decrypted"][0]["name"] == "small"
    assert (models_dir / "small" / "m.gguf").read_bytes() == FILES["m.gguf"]
