"""A web server that misbehaves on demand, wheels made on the spot, and catalogues of tiny models."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import json
import random
import socket
import struct
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assistant.store import Store
from assistant.store.catalog import Catalog


def blob(size: int, seed: int = 0) -> bytes:
    """Bytes that do not compress, always the same for a seed."""
    return random.Random(seed).randbytes(size)  # noqa: S311  not for secrets


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Asked:
    """One request that the server got."""

    path: str
    range: str
    authorization: str


@dataclass
class Behaviour:
    """How the server answers one request; the defaults are how servers should."""

    status: int = 200
    ranges: bool = True
    """Whether a Range header is obeyed."""
    cut_after: int | None = None
    """Close the connection after this many bytes of the body."""
    reset: bool = False
    """Close it as a router does that dies; what was on its way may be lost."""
    shift: int = 0
    """Answer a range with a part that starts this much later than asked."""
    delay_s: float = 0.0
    """Wait before each 64 KiB."""
    silent: bool = False
    """Take the request and never answer."""
    location: str = ""
    """Redirect there."""
    chunked: bool = False
    """Send no Content-Length."""
    during: Callable[[], None] | None = None
    """Called after the first 64 KiB of the body."""


@dataclass
class Site:
    """The pages of a server, and what it does wrong."""

    url: str
    pages: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Behaviour]] = field(default_factory=dict)
    """Path -> behaviour of the next requests for it, in order; then all is well."""
    always: dict[str, Behaviour] = field(default_factory=dict)
    """Path -> behaviour of every request for it."""
    login: str = ""
    """user:password that every request must show."""
    asked: list[Asked] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def behaviour(self, path: str) -> Behaviour:
        if self.faults.get(path):
            return self.faults[path].pop(0)
        return self.always.get(path, Behaviour())

    def add_wheel(self, package: str, version: str, members: Mapping[str, bytes]) -> tuple[str, bytes]:
        """Offer a wheel on a page of the simple index; its path and content."""
        name = f"{package.replace('-', '_')}-{version}-py3-none-any.whl"
        content = wheel_bytes(members)
        self.pages[f"/files/{name}"] = content
        link = f'<a href="../../files/{name}#sha256={sha256(content)}">{name}</a>'
        self.pages[f"/simple/{package}/"] = f"<!DOCTYPE html><html><body>{link}</body></html>".encode()
        return f"/files/{name}", content


def serve() -> Iterator[Site]:
    """A server on this machine, until the generator is closed."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            asked = Asked(self.path, self.headers.get("Range", ""), self.headers.get("Authorization", ""))
            served.asked.append(asked)
            self.close_connection = True
            expected = f"Basic {base64.b64encode(served.login.encode()).decode()}" if served.login else ""
            if expected and asked.authorization != expected:
                self._head(401, 0)
                return
            content = served.pages.get(self.path.partition("?")[0])
            how = served.behaviour(self.path)
            if how.silent:
                served.stopping.wait(20)
            elif how.location:
                self.send_response(302)
                self.send_header("Location", how.location)
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif content is None or how.status != 200:
                self._head(how.status if how.status != 200 else 404, 0)
            else:
                self._body(content, asked, how)

        def _body(self, content: bytes, asked: Asked, how: Behaviour) -> None:
            start = int(asked.range.removeprefix("bytes=").rstrip("-")) if asked.range and how.ranges else 0
            if start > len(content):
                self._head(416, 0)
                return
            start += how.shift if asked.range and how.ranges else 0
            self.send_response(206 if asked.range and how.ranges else 200)
            if asked.range and how.ranges:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            if not how.chunked:
                self.send_header("Content-Length", str(len(content) - start))
            self.send_header("Connection", "close")
            self.end_headers()
            self._send(content[start:], how)

        def _send(self, body: bytes, how: Behaviour) -> None:
            sent = 0
            while sent < len(body) and not served.stopping.is_set():
                if how.cut_after is not None and sent >= how.cut_after:
                    if how.reset:  # a linger of 0 s turns the close into a reset
                        linger = struct.pack("ii", 1, 0)
                        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                        self.connection.close()
                    return
                end = sent + 65_536 if how.cut_after is None else min(sent + 65_536, how.cut_after)
                time.sleep(how.delay_s)
                self.wfile.write(body[sent:end])
                if sent == 0 and how.during:
                    how.during()
                sent = min(end, len(body))

        def _head(self, status: int, length: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """Clients that go away are part of the tests."""

    server = Server(("127.0.0.1", 0), Handler)
    served = Site(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield served
    finally:
        served.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


def wheel_bytes(members: Mapping[str, bytes]) -> bytes:
    """A zip with these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in members.items():
            archive.writestr(path, content)
    return buffer.getvalue()


def wheel_entry(package: str, content: bytes, members: list[tuple[str, str, bytes]]) -> dict[str, Any]:
    """A wheel as the catalogue describes it; members are (file, path, content)."""
    return {
        "package": package,
        "version": "1.0.0",
        "bytes": len(content),
        "sha256": sha256(content),
        "members": [{"file": file, "path": path, "bytes": len(data)} for file, path, data in members],
    }


def model_entry(files: Mapping[str, bytes], *sources: Mapping[str, Any], kind: str = "llm") -> dict[str, Any]:
    """A model as the catalogue describes it."""
    return {
        "kind": kind,
        "description": "for tests",
        "licence": "CC0-1.0",
        "attribution": "nobody",
        "languages": ["en"],
        "ram_mb": 1,
        "files": {name: {"bytes": len(data), "sha256": sha256(data)} for name, data in files.items()},
        "sources": list(sources),
    }


def url_source(site: Site, files: Mapping[str, bytes], path: str = "") -> dict[str, Any]:
    """Offer files on the server; the source that names them."""
    for name, data in files.items():
        site.pages[f"{path}/{name}"] = data
    return {"type": "urls", "urls": {name: f"{site.url}{path}/{name}" for name in files}}


def store_of(models_dir: Path, **models: Mapping[str, Any]) -> Store:
    """A store with these models (underscores in names become dashes)."""
    named = {name.replace("_", "-"): model for name, model in models.items()}
    return Store(models_dir, Catalog.model_validate({"models": named, "sets": {"default": tuple(named)}}))


def write_catalog(path: Path, **models: Mapping[str, Any]) -> Path:
    """The same catalogue as a file; JSON is YAML."""
    named = {name.replace("_", "-"): model for name, model in models.items()}
    path.write_text(json.dumps({"models": named, "sets": {"default": list(named)}}), encoding="utf-8")
    return path


@dataclass
class Heard:
    """A watcher that remembers."""

    notes: list[str] = field(default_factory=list)
    seen: list[Any] = field(default_factory=list)

    def progress(self, progress: Any) -> None:
        self.seen.append(progress)

    def note(self, text: str) -> None:
        self.notes.append(text)
