"""Where the key of encrypted models comes from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.core.errors import ModelLocked
from assistant.store import keys

KEY = bytes(range(100, 132))


def written(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    file = folder / "key"
    file.write_bytes(content)
    file.chmod(mode)
    return file


@pytest.mark.parametrize("content", [KEY, KEY.hex().encode(), KEY.hex().upper().encode() + b"\n"])
def test_bytes_or_digits(tmp_path: Path, content: bytes) -> None:
    assert keys.find(written(tmp_path, content), {}) == KEY


@pytest.mark.parametrize(
    "content", [b"", b"hunter2 hunter2", KEY[:31], KEY + b"\n", KEY.hex().encode()[:62], bytes(300)]
)
def test_what_is_no_key(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModelLocked, match="doesn't contain a key") as caught:
        keys.find(written(tmp_path, content), {})
    assert "umask 077" in caught.value.next_step
    assert content.decode("latin1") not in str(caught.value) or not content


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o777])
def test_a_key_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    file = written(tmp_path, KEY, mode)
    with pytest.raises(ModelLocked, match=f"mode {mode:04o}") as caught:
        keys.find(file, {})
    assert f"chmod 600 {file}" in caught.value.next_step


def test_a_credential_of_systemd(tmp_path: Path) -> None:
    """Its rights are systemd's business: with an access list they look as if the group could read it."""
    written(tmp_path, KEY, 0o440).rename(tmp_path / "model-key")
    assert keys.find(None, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == KEY


def test_a_file_counts_before_the_credential(tmp_path: Path) -> None:
    (tmp_path / "model-key").write_bytes(bytes(32))
    assert keys.find(written(tmp_path, KEY), {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == KEY


@pytest.mark.parametrize("environ", [{}, {"CREDENTIALS_DIRECTORY": "/nowhere"}])
def test_no_key_at_all(environ: dict[str, str]) -> None:
    with pytest.raises(ModelLocked, match="no key was given") as caught:
        keys.find(None, environ)
    assert "store.key_file" in caught.value.next_step


def test_a_key_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelLocked, match="No such file"):
        keys.find(tmp_path / "none", {})
