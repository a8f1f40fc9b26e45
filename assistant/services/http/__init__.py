"""The HTTP service: programs that speak OpenAI's protocol use the assistant, its recognizer, and its voice.

It starts if ``services.http`` is set. Its packages are in the extra `http` and are imported only then. People
in the room come first: work for other programs runs only while nobody is being listened to or answered.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from assistant.core.errors import EngineUnavailable, SettingsError
from assistant.runtime import credentials
from assistant.services.host import Host, Service
from assistant.settings.schema import HttpSettings


@asynccontextmanager
async def _open(host: Host) -> AsyncIterator[None]:
    settings = host.settings.services.http
    if settings is None:
        yield
        return
    try:
        from assistant.services.http.app import application  # noqa: PLC0415 - an extra
        from assistant.services.http.server import serve  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            f"services.http is set, but the package '{error.name}' is not installed.",
            "Install it (scripts/setup run http), or set services.http to null.",
        ) from error
    token = credentials.read(None, settings.token_file, "http-token")
    listener = _listening(settings, has_token=token is not None)
    async with serve(listener, application(host), token=token):
        yield


def _listening(settings: HttpSettings, *, has_token: bool) -> socket.socket:
    """Return a socket bound to the address in the settings. Raises SettingsError."""
    name, _, port = settings.listen.rpartition(":")
    name = name.removeprefix("[").removesuffix("]")
    try:
        if not int(port) < 65_536:
            raise ValueError("the port does not exist")
        family, _, _, _, place = socket.getaddrinfo(name, int(port), type=socket.SOCK_STREAM)[0]
        if not has_token and not ipaddress.ip_address(str(place[0])).is_loopback:
            raise SettingsError(
                f"services.http.listen is {settings.listen}, which other "
                "machines can reach, but no token is set.",
                "Put a secret in a file and set services.http.token_file to its "
                "path, or listen on 127.0.0.1 only.",
            )
        return socket.create_server((str(place[0]), int(place[1])), family=family)
    except (OSError, ValueError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SettingsError(
            f"The HTTP service can't listen on {settings.listen}: {reason}.",
            "Choose a different address in services.http.listen, or set services.http to null.",
        ) from error


SERVICE = Service(_open)
