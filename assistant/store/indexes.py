"""Finds wheels through the package indexes that this computer's pip uses.

It asks pip itself for its settings, so a mirror, a proxy or a folder of wheels configured for pip works for
models too, and this project names no index. Pages follow the simple repository API
(https://packaging.python.org/specifications/simple-repository-api).
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from html import unescape
from itertools import islice
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import url2pathname

from assistant.store.catalog import Wheel
from assistant.store.progress import Watcher
from assistant.store.web import Interrupted, Link, SourceFailed, answer, persist

MAX_PAGE_BYTES = 10_000_000
"""The longest page of any package lists a few thousand files; these list a handful."""

PIP_TIMEOUT_S = 60
"""pip answers in 0.3 s on a PC, in 3 s on a busy Raspberry Pi."""


@dataclass(frozen=True, slots=True)
class Indexes:
    """The part of pip's settings that says where packages come from."""

    indexes: tuple[str, ...]
    """URLs (http, https, file) or folders with one page per package."""
    wheel_folders: tuple[str, ...]
    """Folders, or URLs of a single page, with wheels of any package."""
    certificate: str = ""
    proxy: str = ""


def pip_indexes() -> Indexes:
    """Ask pip for its settings: environment, then its files, then its default. Raises SourceFailed."""
    settings = _pip_settings(_pip("config", "list"))
    indexes = settings.get("extra-index-url", "").split()
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        indexes = []
    elif "index-url" in settings:
        indexes.insert(0, settings["index-url"])
    elif default := re.search(r"Base URL of the Python Package Index \(default\s+([^\s)]+)\)", _pip_help()):
        indexes.insert(0, default[1])
    return Indexes(
        indexes=tuple(indexes),
        wheel_folders=tuple(settings.get("find-links", "").split()),
        certificate=settings.get("cert", ""),
        proxy=settings.get("proxy", ""),
    )


def locate(
    web: urllib.request.OpenerDirector,
    indexes: Indexes,
    wheel: Wheel,
    watcher: Watcher,
) -> Link | Path:
    """Find ``wheel`` on the web or in a file on this computer. Raises SourceFailed."""
    reasons = []
    places = [*indexes.wheel_folders, *(f"{index.rstrip('/')}/{wheel.package}/" for index in indexes.indexes)]
    for place in places:
        try:
            found = _in_folder(place, wheel) or _on_page(web, place, wheel, watcher)
        except SourceFailed as reason:
            reasons.append(str(reason))
            continue
        if found:
            return found
    detail = f" ({'; '.join(reasons)})" if reasons else ""
    raise SourceFailed(f"no package index of pip has {wheel.file}{detail}")


def _pip(*arguments: str) -> str:
    """Run pip and return its output: this Python's pip (-I: not a local pip.py), or else the one on PATH."""
    commands = [[sys.executable, "-Im", "pip"], *([path] for path in (shutil.which("pip3"),) if path)]
    environment = {**os.environ, "COLUMNS": "200"}  # prevents line breaks in URLs in pip's help
    for command in commands:
        try:
            done = subprocess.run(  # noqa: S603  a list of words, none of them from outside
                [*command, *arguments],
                capture_output=True,
                check=False,
                encoding="utf-8",
                env=environment,
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=PIP_TIMEOUT_S,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return done.stdout
    raise SourceFailed("pip is not installed, so the package index is unknown; see `python -m ensurepip`")


def _pip_help() -> str:
    return _pip("help", "download")


def _pip_settings(listing: str) -> dict[str, str]:
    """Parse the lines ``section.key='value'`` of ``pip config list``; the stronger section wins."""
    settings: dict[str, str] = {}
    for section in ("global", "download", ":env:"):
        for line in listing.splitlines():
            name, equals, value = line.partition("=")
            if equals and name.startswith(f"{section}."):
                settings[name.removeprefix(f"{section}.")] = _unquoted(value)
    return settings


def _unquoted(value: str) -> str:
    try:
        return str(ast.literal_eval(value))
    except (ValueError, SyntaxError):
        return value


def _in_folder(place: str, wheel: Wheel) -> Path | None:
    """Find the wheel in a folder on this computer, given as a path or a file URL."""
    scheme, _, rest = place.rpartition("://")
    if scheme not in ("", "file"):
        return None
    folder = Path(url2pathname(rest.removeprefix("localhost")) if scheme else place).expanduser()
    path = folder / wheel.file
    if path.is_file() and path.stat().st_size == wheel.bytes:
        return path
    return None


def _on_page(web: urllib.request.OpenerDirector, place: str, wheel: Wheel, watcher: Watcher) -> Link | None:
    """Find the wheel among the links of a page."""
    if not place.startswith(("http://", "https://")):
        return None
    page = Link(place, {"Accept": "text/html"})

    def read() -> tuple[str, str]:
        with answer(web, page) as response:
            content = response.read(MAX_PAGE_BYTES)
            if len(content) < min(_stated(response.headers.get("Content-Length")), MAX_PAGE_BYTES):
                raise Interrupted(f"{page} stopped sending too early")
            return response.geturl(), content.decode("utf-8", "replace")

    base, text = persist(read, watcher)
    for url in _links(text, base):
        parts = urlsplit(url)
        another = parts.fragment.startswith("sha256=") and parts.fragment != f"sha256={wheel.sha256}"
        if unquote(parts.path.rpartition("/")[2]) == wheel.file and not another:
            return Link(_with_password(parts._replace(fragment="").geturl(), place))
    return None


def _with_password(url: str, page: str) -> str:
    """Add the index's user and password if the file is on the same host."""
    of_page, of_file = urlsplit(page), urlsplit(url)
    own, _, host = of_page.netloc.rpartition("@")
    if own and of_file.scheme == of_page.scheme and of_file.netloc == host:
        return of_file._replace(netloc=f"{own}@{host}").geturl()
    return url


def _stated(length: str | None) -> int:
    return int(length) if length and length.isascii() and length.isdecimal() else 0


_ANCHOR = re.compile(r"""<a\b((?:[^<>"']|"[^"<]*"|'[^'<]*')*)>""", re.IGNORECASE)
_TARGET = re.compile(r"""\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
"""A page is nothing but a list of links. Read so, hostile ones take no longer than others of their length."""

_MAX_LINKS = 100_000


def _links(page: str, base: str) -> list[str]:
    """Return the URLs that a page links to; invalid ones are skipped."""
    links = []
    for anchor in islice(_ANCHOR.finditer(page), _MAX_LINKS):
        if target := _TARGET.search(anchor[1]):
            with suppress(ValueError):
                links.append(
                    urlsplit(urljoin(base, unescape(next(filter(None, target.groups()), "")))).geturl()
                )
    return links
