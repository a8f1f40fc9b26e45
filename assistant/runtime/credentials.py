"""Server keys and tokens, from the settings, from a file, or from systemd.

They are read when needed and sent only in a request's header. They never appear in a log, in a message, or in
the output of ``assistant config show``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from assistant.core.errors import SettingsError

_MAX_BYTES = 8192
"""Longer than any token; limits what is read if the path names a wrong file."""


def read(
    given: SecretStr | None, file: Path | None, name: str, environ: Mapping[str, str] = os.environ
) -> str | None:
    """Return the secret, or None if none is set.

    ``given`` has priority, then ``file``, then the systemd credential ``name`` (``LoadCredential=``). Raises
    SettingsError if it cannot be read or cannot be sent in a header.
    """
    if given is not None:
        return _checked(given.get_secret_value(), name, "the settings")
    if file is not None:
        return _checked(_content(file, name), name, str(file))
    if folder := environ.get("CREDENTIALS_DIRECTORY"):
        credential = Path(folder) / name
        if credential.is_file():
            return _checked(_content(credential, name), name, str(credential))
    return None


def _content(file: Path, name: str) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(_MAX_BYTES).decode("ascii")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not plain text"
        raise SettingsError(
            f"The {name} cannot be read from {file}: {reason}.",
            "Put only the secret in that file, and give the assistant's user permission to read it.",
        ) from None


def _checked(secret: str, name: str, place: str) -> str:
    secret = secret.strip()
    if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise SettingsError(
            f"The {name} in {place} must be one word of ASCII letters, digits and punctuation.",
            "Copy it again from the server that issued it.",
        )
    return secret
