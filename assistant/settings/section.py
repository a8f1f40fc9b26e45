"""The base class of all sections of settings, and the types of values that several of them share."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from assistant.runtime.engine_spec import specs
from assistant.settings.extending import Named
from assistant.text.languages import language_code

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Milliseconds = Annotated[int, Field(ge=0, le=600_000)]


def _with_a_scheme(address: object) -> object:
    """Say what is missing of "192.168.1.5:8080"."""
    if isinstance(address, str) and "://" not in address and not re.search(r"[\s@]", address):
        raise ValueError(f"this must begin with http:// or https://, such as http://{address}")
    return address


def _with_a_place(address: str) -> str:
    """Refuse what no connection can be made to, before somebody waits for an answer."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")
    except ValueError:  # UnicodeError too
        raise ValueError("the URL is invalid: it needs a host, and a port from 1 to 65535") from None
    if not host or port == 0 or not _HOST.fullmatch(host):
        raise ValueError("the URL is invalid: it needs a host, and a port from 1 to 65535")
    return address


_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?|[^\x00-\x7f\s/]+[^\x00-\x20/]*")

WebAddress = Annotated[
    str,
    Field(pattern=r"^https?://[^\s/@?#]+(/[^\s@?#]*)?$"),
    AfterValidator(_with_a_place),
    BeforeValidator(_with_a_scheme),
]
"""Rejects user, password and query, because both would be logged with the URL."""
Threads = Annotated[int, Field(ge=0, le=256)]


def language_named(said: str) -> str:
    """The code of a language, however it is named."""
    code = "auto" if said.strip().lower() == "auto" else language_code(said)
    if code is None:
        raise ValueError("unknown language: write a code or a name, such as en, en-US or English")
    return code


def engine_names(kind: str, *also: str) -> Named:
    """The name of an engine of that kind, or one of the words ``also``."""
    return Named(lambda: (*also, *(name for name, each in specs(kind).items() if not each.is_scripted)))


class Section(BaseModel):
    """A frozen group of keys; unknown keys are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
