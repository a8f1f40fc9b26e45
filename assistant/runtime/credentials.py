"""Keys and tokens of servers: given in the settings, in a file, or by systemd.

They are read when they are needed, go into a request's header and nowhere else: not into a log,
not into a message, not into what ``assistant config show`` prints.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from assistant.core.errors import SettingsError

_MAX_BYTES = 8192
"""Longer than any token; keeps a wrongly named file out of memory."""


def read(
    given: SecretStr | None, file: Path | None, name: str, environ: Mapping[str, str] = os.environ
) -> str | None:
    """The secret itself; None where there is none.

    ``given`` counts first, then ``file``, then the systemd credential ``name`` (``LoadCredential=``).
    Raises SettingsError when it cannot be read or cannot stand in a header.
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
            f"The {name} in {file} cannot be read: {reason}.",
            "Put the secret alone into that file, and let the assistant's user read it.",
        ) from None


def _checked(secret: str, name: str, place: str) -> str:
    secret = secret.strip()
    if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise SettingsError(
            f"The {name} in {place} is not one word of plain letters, digits and signs.",
            "Copy it again from the server that gave it.",
        )
    return secret
