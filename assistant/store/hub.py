"""Any GGUF or CTranslate2 model on the Hugging Face hub by its name, ``hf:OWNER/REPO[:FILE]``.

The hub is asked for sizes, checksums, license and revision first. From them a catalog entry is made, so the
model comes in like one of the catalog's: resumed, checked against the promised hashes, and under its license.
What the hub says is a stranger's text: names and lengths are checked before anything is fetched.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pydantic import ValidationError

from assistant.core.errors import DownloadFailed, ModelUnknown
from assistant.runtime.harmless import one_line
from assistant.store.catalog import Catalog, HuggingFace, Model, ModelFile
from assistant.store.progress import Unwatched, Watcher, megabytes
from assistant.store.web import Link, SourceFailed, answer, opener, persist

PREFIX = "hf:"

MAX_ANSWER_BYTES = 20_000_000
"""Of the hub's description of a repository."""
MAX_SMALL_BYTES = 30_000_000
"""A file without a SHA-256 there is read at once and checked by its Git name; tokenizers have a few MB."""

PREFERRED = ("Q4_K_M", "Q4_K_S", "Q4_0", "Q5_K_M", "Q8_0")
"""Which of many formats is taken if none was named."""

_NAME = re.compile(
    r"hf:(?P<repo>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?::(?P<file>[\w][\w./+-]{0,199}))?"
)
_WHISPER = ("model.bin", "config.json", "tokenizer.json", "preprocessor_config.json")
_VOCABULARY = re.compile(r"vocabulary\.(?:txt|json)")
_RAM_SHARE, _RAM_MB = 1.15, 150
"""Estimated from the file's size, as for the catalog's models."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A model as the hub offers it, ready to be pulled from its own little catalog."""

    name: str
    model: Model
    revision: str

    @property
    def catalog(self) -> Catalog:
        return Catalog(models={self.name: self.model}, sets={})

    @property
    def origin(self) -> str:
        """Where it comes from, for the record."""
        return f"{self.model.sources[0]} at {self.revision[:12]}"

    def __str__(self) -> str:
        hashes = ", ".join(f"{name} {file.sha256[:16]}" for name, file in self.model.files.items())
        return (
            f"{self.name}: {megabytes(self.model.size_bytes)}, license {self.model.licence or 'not stated'}, "
            f"about {self.model.ram_mb} MB of memory\n  {self.origin}\n  SHA-256: {hashes}"
        )


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    size: int
    sha256: str
    """Empty for a small file, which the hub keeps in Git."""
    git: str


def asked(text: str) -> bool:
    """True for a name of this kind."""
    return text.startswith(PREFIX)


def look_up(text: str, name: str | None = None, watcher: Watcher | None = None) -> Offer:
    """Ask the hub for the model. Raises ModelUnknown for a name it doesn't have, DownloadFailed."""
    found = _NAME.fullmatch(text)
    if found is None:
        raise ModelUnknown(
            f"{one_line(text)[:80]!r} is no model of the hub.", "Write hf:OWNER/REPO or hf:OWNER/REPO:FILE."
        )
    repo = found["repo"]
    try:
        hub = _Hub(watcher or Unwatched())
        return _offer(repo, found["file"] or "", name, hub)
    except SourceFailed as error:
        raise DownloadFailed(
            f"The hub could not be asked for {repo}: {error}.",
            "Check the name and the network; for a model behind a form, log in with `hf auth login`.",
        ) from error
    except ValidationError as error:
        raise DownloadFailed(
            f"What the hub says of {repo} makes no sense: {error.errors()[0]['msg']}.",
            "Choose another model.",
        ) from error


class _Hub:
    """The hub that ``huggingface_hub`` knows. Raises SourceFailed without that package."""

    def __init__(self, watcher: Watcher) -> None:
        try:
            from huggingface_hub import constants, get_token, hf_hub_url  # noqa: PLC0415  an optional package
        except ImportError as error:
            raise SourceFailed("the Python package huggingface_hub is not installed") from error
        if constants.HF_HUB_OFFLINE:
            raise SourceFailed("HF_HUB_OFFLINE is set")
        self._endpoint = (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")
        token = get_token()
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._url, self._watcher, self._web = hf_hub_url, watcher, opener()

    def about(self, repo: str) -> dict[str, Any]:
        text = self._read(f"{self._endpoint}/api/models/{repo}?blobs=true", MAX_ANSWER_BYTES)
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise SourceFailed("its answer is not JSON") from error
        if not isinstance(found, dict):
            raise SourceFailed("its answer is no description")
        return found

    def content(self, repo: str, revision: str, path: str) -> bytes:
        url = self._url(repo, path, revision=revision, endpoint=self._endpoint)
        return self._read(url, MAX_SMALL_BYTES)

    def _read(self, url: str, most_bytes: int) -> bytes:
        def read() -> bytes:
            with answer(self._web, Link(url, self._headers)) as response:
                content: bytes = response.read(most_bytes + 1)
            if len(content) > most_bytes:
                raise SourceFailed(f"it sends more than {megabytes(most_bytes)}")
            return content

        return persist(read, self._watcher)


def _offer(repo: str, wanted: str, name: str | None, hub: _Hub) -> Offer:
    about = hub.about(repo)
    revision = str(about.get("sha") or "")
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise SourceFailed("it names no revision")
    files = _files(about.get("siblings"))
    kind, chosen = ("llm", [file]) if (file := _gguf(files, wanted)) else ("stt", _whisper(files))
    if not chosen:
        offered = ", ".join(one_line(each.path) for each in files if each.path.endswith(".gguf"))[:300]
        raise ModelUnknown(
            f"{repo} has no {one_line(wanted) or 'GGUF file, and no CTranslate2 model'}.",
            f"It has: {offered}." if offered else "Choose a repository with GGUF files.",
        )
    named = {PurePosixPath(each.path).name: each for each in chosen}
    checked = {short: _checked(each, repo, revision, hub) for short, each in named.items()}
    paths = {short: each.path for short, each in named.items() if short != each.path}
    size = sum(each.size for each in chosen)
    model = Model.model_validate(
        {
            "kind": kind,
            "description": f"From the hub: {repo}",
            "licence": _licence(about),
            "attribution": repo.partition("/")[0],
            "languages": (),
            "ram_mb": round(size / 1e6 * _RAM_SHARE) + _RAM_MB,
            "files": checked,
            "sources": [HuggingFace(type="huggingface", repo=repo, revision=revision, files=paths)],
        }
    )
    return Offer(name or _slug(chosen[0].path if kind == "llm" else repo), model, revision)


def _files(siblings: Any) -> list[_File]:
    """What the repository holds, as far as it makes sense."""
    files = []
    for each in siblings if isinstance(siblings, list) else ():
        lfs = each.get("lfs") if isinstance(each, dict) else None
        large: Mapping[str, Any] = lfs if isinstance(lfs, dict) else {}
        size = large.get("size") or (each.get("size") if isinstance(each, dict) else None)
        if isinstance(each, dict) and isinstance(each.get("rfilename"), str) and isinstance(size, int):
            files.append(
                _File(each["rfilename"], size, str(large.get("sha256") or ""), str(each.get("blobId") or ""))
            )
    return files


def _gguf(files: Sequence[_File], wanted: str) -> _File | None:
    """The file of that name or format; without either, the preferred format, or the only one."""
    whole = [
        each for each in files if each.path.endswith(".gguf") and not re.search(r"-of-\d+\.gguf$", each.path)
    ]
    whole = [each for each in whole if "mmproj" not in each.path.lower()]
    for sought in [wanted] if wanted else PREFERRED:
        for each in whole:
            if each.path == sought or re.search(
                rf"[-._]{re.escape(sought)}\.gguf$", each.path, re.IGNORECASE
            ):
                return each
    return whole[0] if len(whole) == 1 and not wanted else None


def _whisper(files: Sequence[_File]) -> list[_File]:
    """The files of a CTranslate2 recognizer; none if it isn't one."""
    found = [each for each in files if each.path in _WHISPER or _VOCABULARY.fullmatch(each.path)]
    names = {each.path for each in found}
    return found if {"model.bin", "config.json"} <= names else []


def _checked(file: _File, repo: str, revision: str, hub: _Hub) -> ModelFile:
    """Length and SHA-256 of a file; a small one is read for that, and must be the one that Git names."""
    if file.sha256:
        return ModelFile(bytes=file.size, sha256=file.sha256)
    if file.size > MAX_SMALL_BYTES:
        raise SourceFailed(f"it gives no SHA-256 for {one_line(file.path)}")
    content = hub.content(repo, revision, file.path)
    git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    if len(content) != file.size or git != file.git:
        raise SourceFailed(f"{one_line(file.path)} isn't what it says")
    return ModelFile(bytes=file.size, sha256=hashlib.sha256(content).hexdigest())


def _licence(about: Mapping[str, Any]) -> str:
    card = about.get("cardData")
    found = card.get("license_name") or card.get("license") if isinstance(card, dict) else ""
    return one_line(found)[:80] if isinstance(found, str) else ""


def _slug(path: str) -> str:
    """A name for the store."""
    stem = PurePosixPath(path).name.removesuffix(".gguf").lower()
    return re.sub(r"[^a-z0-9._-]", "-", stem).strip("-._")[:64] or "model"
