"""llama.cpp's checkpoint converter: a few Python files from llama-cpp-python's source package.

The installed package does not contain them. The source package is downloaded once from pip's index, verified
by its hash, and only the converter is extracted.
"""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path, PurePosixPath

from assistant.core.errors import DownloadFailed
from assistant.runtime import paths
from assistant.store.catalog import Member, Wheel
from assistant.store.disk import require, writing
from assistant.store.download import download
from assistant.store.incoming import copy
from assistant.store.indexes import locate, pip_indexes
from assistant.store.progress import Meter, Watcher
from assistant.store.web import SourceFailed, opener

SCRIPT = "convert_hf_to_gguf.py"
WANTED = (SCRIPT, "conversion/", "gguf-py/gguf/")
"""The converter's files, below INSIDE."""

MAX_FILE_BYTES = 2_000_000
MAX_FILES = 500


class _SourcePackage(Wheel):
    """Located like a wheel, although it is a source package."""

    members: tuple[Member, ...] = ()

    @property
    def file(self) -> str:
        return f"{self.package.replace('-', '_')}-{self.version}.tar.gz"


PACKAGE = _SourcePackage(
    package="llama-cpp-python",
    version="0.3.36",
    bytes=76_589_250,
    sha256="832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e",
)
"""As pinned in constraints.txt."""

INSIDE = f"llama_cpp_python-{PACKAGE.version}/vendor/llama.cpp/"


def unpacked(watcher: Watcher) -> Path:
    """Return the converter's folder, downloading it if missing. Raises DownloadFailed, StorageFull."""
    folder = paths.data() / f"converter-{PACKAGE.version}"
    if (folder / SCRIPT).is_file():
        return folder
    working = folder.with_name(f"{folder.name}.new")
    with writing(folder.parent):
        shutil.rmtree(working, ignore_errors=True)
        working.mkdir(parents=True)
    try:
        require(2 * PACKAGE.bytes, working)
        archive = working / PACKAGE.file
        _fetch(archive, watcher)
        with writing(working):
            unpack(archive, working)
            archive.unlink()
            working.rename(folder)
    finally:
        shutil.rmtree(working, ignore_errors=True)
    return folder


def _fetch(archive: Path, watcher: Watcher) -> None:
    meter = Meter("Fetching llama.cpp's converter", PACKAGE.bytes, watcher)
    try:
        indexes = pip_indexes()
        web = opener(indexes.certificate, indexes.proxy)
        place = locate(web, indexes, PACKAGE, watcher)
        if isinstance(place, Path):
            if copy(place, archive, meter) != PACKAGE.sha256:
                raise SourceFailed(f"{place} is not the pinned file")
        else:
            download(web, place, archive, PACKAGE, meter=meter, watcher=watcher)
    except SourceFailed as reason:
        raise _failed(reason) from reason


def unpack(archive: Path, folder: Path) -> None:
    """Extract the converter from the source package. Raises DownloadFailed if it isn't in there."""
    count = 0
    try:
        with tarfile.open(archive, "r:gz") as package:
            for member in package:
                name = member.name.removeprefix(INSIDE)
                if name == member.name or not name.startswith(WANTED) or not member.isfile():
                    continue
                parts = PurePosixPath(name).parts
                count += 1
                data = package.extractfile(member)
                if ".." in parts or member.size > MAX_FILE_BYTES or count > MAX_FILES or data is None:
                    raise tarfile.TarError(f"{name!r:.80} does not belong there")
                target = folder.joinpath(*parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data.read())
    except (tarfile.TarError, EOFError) as error:
        raise _failed(error) from error
    if not (folder / SCRIPT).is_file():
        raise _failed(f"{SCRIPT} is missing from it")


def _failed(reason: object) -> DownloadFailed:
    return DownloadFailed(
        f"llama.cpp's converter could not be downloaded: {reason}.",
        f"Check the network, or put {PACKAGE.file} in one of the folders in pip's find-links setting.",
    )
