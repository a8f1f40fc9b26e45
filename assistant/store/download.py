"""Downloads one file: resumes, retries, and keeps it only if its hash is right.

Independent of models. Received data is kept in ``<name>.part`` beside the target, so a download that was
interrupted, even by a power cut, continues where it stopped.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import re
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from assistant.store.catalog import ModelFile
from assistant.store.disk import grown_file, writing
from assistant.store.progress import Meter, Watcher
from assistant.store.web import Interrupted, Link, RangeRefused, SourceFailed, answer, persist

log = logging.getLogger(__name__)

CHUNK_BYTES = 256 * 1024


def download(
    web: urllib.request.OpenerDirector,
    link: Link,
    target: Path,
    wanted: ModelFile,
    *,
    meter: Meter,
    watcher: Watcher,
) -> None:
    """Download ``link`` to ``target``, whose folder exists, and resume an earlier attempt.

    Raises SourceFailed if the source can't deliver the file or delivers the wrong one; StorageFull.
    """
    part = target.with_name(target.name + ".part")
    with _Partial(part) as partial:
        meter.skip(partial.size)
        resumed = partial.size > 0
        while True:
            if partial.size < wanted.bytes:
                persist(
                    lambda: _transfer(web, link, partial, wanted.bytes, meter),
                    watcher,
                    lambda: partial.size,
                )
            if partial.size == wanted.bytes and partial.sha256 == wanted.sha256:
                break
            _restart(partial, meter)
            if not resumed:
                raise SourceFailed(f"{link} isn't the file described in the catalog")
            resumed = False  # the partial file may be damaged: try again from the start
    with writing(target.parent):
        part.replace(target)
    log.info("downloaded file=%s bytes=%d", target.name, wanted.bytes)


class _Partial:
    """A file being downloaded, and the hash of its content so far."""

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        self._hash = hashlib.sha256()
        self.size = 0
        with writing(self._folder):
            self._file = grown_file(path)
            while chunk := self._file.read(CHUNK_BYTES):
                self._hash.update(chunk)
                self.size += len(chunk)

    def __enter__(self) -> _Partial:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with writing(self._folder):
            self._file.close()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, chunk: bytes) -> None:
        with writing(self._folder):
            self._file.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)

    def restart(self) -> None:
        with writing(self._folder):
            self._file.seek(0)
            self._file.truncate()
        self._hash = hashlib.sha256()
        self.size = 0


def _transfer(
    web: urllib.request.OpenerDirector, link: Link, partial: _Partial, size_bytes: int, meter: Meter
) -> None:
    """Run one connection. Never writes more than one chunk too much. Raises Interrupted, SourceFailed."""
    try:
        with answer(web, link, offset=partial.size) as response:
            _agree(response, link, partial, size_bytes, meter)
            while partial.size <= size_bytes and (chunk := response.read1(CHUNK_BYTES)):
                partial.write(chunk)
                meter.add(len(chunk))
    except RangeRefused:
        _restart(partial, meter)
        raise
    if partial.size < size_bytes:
        raise Interrupted(f"{link} stopped sending too early")


def _agree(response: Any, link: Link, partial: _Partial, size_bytes: int, meter: Meter) -> None:
    """Prepare ``partial`` for this response, which sends either the rest or the whole file."""
    if partial.size:
        stated = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        partly = response.status == http.client.PARTIAL_CONTENT
        if not (partly and stated and int(stated[1]) == partial.size):
            _restart(partial, meter)
            if partly:
                raise Interrupted(f"{link} sent a different part than requested")
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) != size_bytes - partial.size:
        raise SourceFailed(f"{link} offers {length} bytes instead of {size_bytes - partial.size}")


def _restart(partial: _Partial, meter: Meter) -> None:
    meter.skip(-partial.size)
    partial.restart()
