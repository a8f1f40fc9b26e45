"""Keys and tokens: where they come from, and that nothing tells them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from assistant.core.errors import EngineUnavailable, SettingsError
from assistant.engines.llm.openai.engine import create
from assistant.runtime import credentials
from assistant.settings.schema import Settings


def test_what_is_given_counts_before_the_file_and_the_file_before_systemd(tmp_path: Path) -> None:
    (tmp_path / "llm-key").write_text("from-systemd\n")
    (tmp_path / "file").write_text("from-file")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    given = SecretStr("given")
    assert credentials.read(given, tmp_path / "file", "llm-key", environ) == "given"
    assert credentials.read(None, tmp_path / "file", "llm-key", environ) == "from-file"
    assert credentials.read(None, None, "llm-key", environ) == "from-systemd"
    assert credentials.read(None, None, "another-key", environ) is None
    assert credentials.read(None, None, "llm-key", {}) is None


@pytest.mark.parametrize("content", [b"", b"two\nlines", b"\xff\xfe", b"evil\r\nX-Header: 1", b"two words"])
def test_one_that_cannot_stand_in_a_header_is_told_without_saying_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(SettingsError, match="key") as raised:
        credentials.read(None, tmp_path / "key", "llm-key", {})
    assert "evil" not in str(raised.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        credentials.read(None, tmp_path / "none", "llm-key", {})
    settings = Settings.model_validate({"llm": {"server": {"key_file": tmp_path / "none"}}})
    with pytest.raises(EngineUnavailable, match="No such file"):
        create(settings.llm, None, 1)


def test_settings_never_show_one() -> None:
    settings = Settings.model_validate({"llm": {"server": {"key": "sesame"}}})
    assert "sesame" not in repr(settings) + settings.model_dump_json()
