"""The key for encrypted models, from a file that only its owner can read, or from systemd."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from assistant.core.errors import ModelLocked
from assistant.runtime import core_dump

KEY_BYTES = 32
"""AES-256."""

CREDENTIAL = "model-key"
"""Its name in the unit's ``LoadCredential=``."""

MAKE_ONE = "(umask 077; head -c 32 /dev/urandom >FILE)"
"""A command that creates a key."""

_MAX_BYTES = 256
_FOR_OTHERS = 0o077


def find(file: Path | None, environ: Mapping[str, str] = os.environ) -> bytes:
    """The key in ``file``, or else in systemd's credential. Raises ModelLocked.

    From then on this process leaves no core dump: neither the key nor what it opens gets on the disk.
    """
    core_dump.off()
    if file is not None:
        return _read(file.expanduser(), checked=True)
    if folder := environ.get("CREDENTIALS_DIRECTORY"):
        credential = Path(folder) / CREDENTIAL
        if credential.is_file():
            # systemd itself controls access to it; its mode looks as if the group could read it.
            return _read(credential, checked=False)
    raise ModelLocked(
        "The model is encrypted, and no key was given.",
        "Specify the key file (--key-file, or store.key_file in the settings), or give the "
        f"service the credential {CREDENTIAL}.",
    )


def _read(file: Path, *, checked: bool) -> bytes:
    try:
        with file.open("rb") as opened:
            facts = os.fstat(opened.fileno())
            content = opened.read(_MAX_BYTES)
    except OSError as error:
        raise ModelLocked(
            f"The key file {file} cannot be read: {error.strerror}.", f"To create a new key: {MAKE_ONE}"
        ) from None
    if checked and stat.S_IMODE(facts.st_mode) & _FOR_OTHERS:
        raise ModelLocked(
            f"The key file {file} is accessible to other users (mode {stat.S_IMODE(facts.st_mode):04o}).",
            f"Restrict its permissions: chmod 600 {file}",
        )
    if len(content) == KEY_BYTES:
        return content
    try:
        key = bytes.fromhex(content.decode("ascii"))  # ignores spaces and line breaks
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ModelLocked(
            f"The key file {file} doesn't contain a key: it must be {KEY_BYTES} bytes, or "
            f"{2 * KEY_BYTES} hexadecimal digits.",
            f"To create a new key: {MAKE_ONE}",
        )
    return key
