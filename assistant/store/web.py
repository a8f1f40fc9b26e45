"""Web access from this computer: proxies, certificates, passwords in URLs, retries.

Supports only http and https. Independent of models and files. A network error is either ``Interrupted``,
which may be temporary, or ``SourceFailed``, which is not.
"""

from __future__ import annotations

import base64
import http.client
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from assistant.store.progress import Watcher

CERTIFICATE_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables that hold a company proxy's certificate; Python itself reads SSL_CERT_FILE."""

TIMEOUT_S = 30.0
"""A connection without a single byte for this long is considered dead."""

PAUSES_S = (1.0, 2.0, 4.0)
"""Waits before a retry; they start over whenever data arrives."""

AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses that may be temporary."""

Result = TypeVar("Result")


class SourceFailed(Exception):
    """This source cannot deliver; another one may. The text is the reason, for the user."""


class Interrupted(Exception):
    """Stopped for a reason that may be temporary. The text is the reason, for the user."""


class RangeRefused(Interrupted):
    """The server will only send the whole file."""


@dataclass(frozen=True, slots=True)
class Link:
    """A URL with its request headers."""

    url: str
    """May contain a user and password, as in the URLs of package indexes."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent only to its own host, not to redirect targets."""

    def __str__(self) -> str:
        """The URL as shown in a message: without password, query and control characters."""
        bare = re.sub(r"//[^/]*@", "//", re.split("[?#]", self.url)[0])[:200]
        return re.sub("[^!-~]", "?", bare)


def opener(certificate: str = "", proxy: str = "") -> urllib.request.OpenerDirector:
    """Create a client for http and https that uses the environment's proxies and certificates.

    ``certificate`` (file or folder) is trusted as well; ``proxy`` overrides the environment's.
    """
    context = ssl.create_default_context()
    for place in (certificate, *(os.environ.get(name, "") for name in CERTIFICATE_VARIABLES)):
        if place and Path(place).is_file():
            context.load_verify_locations(cafile=place)
        elif place and Path(place).is_dir():
            context.load_verify_locations(capath=place)
    director = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else None),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=context),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        director.add_handler(handler)
    return director


@contextmanager
def answer(web: urllib.request.OpenerDirector, link: Link, offset: int = 0) -> Iterator[Any]:
    """Send a GET from byte ``offset`` on and yield the response, to be read inside the block.

    A server may send everything instead (status 200). Raises Interrupted, SourceFailed.
    """
    try:
        with web.open(_request(link, offset), timeout=TIMEOUT_S) as response:
            yield response
    except urllib.error.HTTPError as error:
        error.close()
        said = f"{link} answered {error.code} {http.client.responses.get(error.code, '')}".rstrip()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and offset:
            raise RangeRefused(said) from error
        raise (Interrupted(said) if error.code in AGAIN else SourceFailed(said)) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise SourceFailed(
                f"the certificate of {link} is not trusted ({reason.verify_message}); see SSL_CERT_FILE"
            ) from error
        if isinstance(reason, ValueError):
            raise SourceFailed(f"{link} cannot be reached: {reason}") from error
        if isinstance(reason, TimeoutError):
            raise Interrupted(f"{link} sent nothing for {TIMEOUT_S:g} s") from error
        raise Interrupted(f"{link}: {getattr(reason, 'strerror', '') or reason}") from error


def persist(
    attempt: Callable[[], Result],
    watcher: Watcher,
    arrived: Callable[[], int] = lambda: 0,
) -> Result:
    """Call ``attempt`` until it isn't Interrupted, with pauses in between; gives up with SourceFailed.

    ``arrived`` returns the bytes received so far: while it grows, the retries continue.
    """
    failures = 0
    while True:
        before = arrived()
        try:
            return attempt()
        except Interrupted as stop:
            failures = 1 if arrived() > before else failures + 1
            if failures > len(PAUSES_S):
                raise SourceFailed(str(stop)) from stop
            pause_s = PAUSES_S[failures - 1]
            watcher.note(f"{stop}; trying again in {pause_s:g} s")
            time.sleep(pause_s)


def _request(link: Link, offset: int) -> urllib.request.Request:
    parts = urlsplit(link.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SourceFailed(f"'{link}' is not a URL")
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    request = urllib.request.Request(bare)  # noqa: S310  the scheme is checked above
    request.add_header("User-Agent", "assistant")
    request.add_header("Accept-Encoding", "identity")
    if offset:
        request.add_header("Range", f"bytes={offset}-")
    if parts.username is not None:
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(secret).decode()}")
    for name, value in link.headers.items():
        request.add_unredirected_header(name, value)
    return request
