"""An installation of the program with a few profiles and prompts, for tests of the settings."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from assistant.core.errors import SettingsError
from assistant.runtime import paths
from assistant.settings import load as configuration
from assistant.settings.load import Loaded
from tests.board.machines import VIRTUAL_PC
from tests.conftest import CHECKOUT

PROFILES = {
    "generic-x86": "{}",
    "small": "llm:\n  context_tokens: 1024\n  history_tokens: 512\n",
    "smaller": "inherits: small\nllm:\n  history_tokens: 256\n",
    "egg": "inherits: hen\n",
    "hen": "inherits: egg\n",
    "orphan": "inherits: smal\n",
    "sloppy": "llm:\n  threads: many\n",
}


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay it out below ``folder``, on a virtual PC whose home folder is empty."""
    config = folder / "config"
    (config / "devices").mkdir(parents=True)
    (config / "prompts").mkdir()
    (folder / "models").mkdir()
    shutil.copy(CHECKOUT / "models" / "catalog.yaml", folder / "models")
    for name, text in PROFILES.items():
        (config / "devices" / f"{name}.yaml").write_text(text)
    for name in ("default", "butler"):
        (config / "prompts" / f"{name}.md").write_text(f"You are a {name}.\n")
    VIRTUAL_PC.lay_out(folder / "root")
    monkeypatch.setattr(paths, "PACKAGE", folder / "assistant")
    return folder


def load(home: Path, text: str | bytes = "", environ: Mapping[str, str] | None = None) -> Loaded:
    """Load ``text`` as the person's file assistant.yaml."""
    file = home / "assistant.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return configuration.load(file, environ or {}, home / "root")


def complaints(home: Path, text: str | bytes, environ: Mapping[str, str] | None = None) -> list[str]:
    """What is said about it, a line each, without the folder."""
    with pytest.raises(SettingsError) as caught:
        load(home, text, environ)
    assert caught.value.next_step
    return caught.value.problem.replace(f"{home}/", "").splitlines()
