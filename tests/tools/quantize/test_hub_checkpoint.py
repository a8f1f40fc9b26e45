"""A checkpoint by its name on Hugging Face: fetched once, only what is safe, or a clear sentence."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assistant.core.errors import DownloadFailed, LicenceNotAccepted, ModelMissing, StorageFull
from assistant.store import disk, licences
from assistant.store.progress import Unwatched
from assistant.tools.quantize.checkpoint import declared_licence, find_checkpoint

pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": b'{"architectures": ["X"]}',
    "model.safetensors": bytes(5000),
    "pytorch_model.bin": b"a pickle",
    "modeling_own.py": b"import os",
    "README.md": b"---\nlicense: apache-2.0\n---\n",
}

CARD: dict[str, str] = {}
"""What the hub has read in its README."""


def agreed(_model: str, _licence: str) -> None:
    """A person who agrees to everything."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """What a hub on this machine, which has maker/model, was asked for."""
    paths: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            paths.append(path)
            name = path.rpartition("/")[2]
            if path.startswith("/api/models/maker/model/tree"):
                listed = [
                    {"type": "file", "path": name, "size": len(FILES[name]), "oid": "1"} for name in FILES
                ]
                self._send(json.dumps(listed).encode())
            elif path.startswith("/api/models/maker/model"):
                siblings = [{"rfilename": name, "size": len(content)} for name, content in FILES.items()]
                told = {"id": "maker/model", "sha": COMMIT, "siblings": siblings, "cardData": dict(CARD)}
                self._send(
                    json.dumps(told | {"modelId": "maker/model", "private": False, "tags": []}).encode()
                )
            elif "/resolve/" in path and name in FILES:
                self._send(FILES[name])
            else:
                self.send_error(404)

        def _send(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')  # noqa: S324  as hubs do
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", here)
    pages = "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", here + pages)
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    yield paths
    server.shutdown()
    server.server_close()


def test_it_is_fetched_once_and_data_only(asked: list[str]) -> None:
    found = find_checkpoint("maker/model", Unwatched(), agreed)
    assert (found.revision, found.licence) == (COMMIT, "apache-2.0")
    assert (found.folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert not (found.folder / "pytorch_model.bin").exists()
    assert not (found.folder / "modeling_own.py").exists()
    before = len(asked)
    assert find_checkpoint("maker/model", Unwatched(), agreed) == found
    assert len(asked) == before


def test_one_that_is_not_there(asked: list[str]) -> None:
    with pytest.raises(DownloadFailed, match="other is not on this computer and could not be downloaded"):
        find_checkpoint("maker/other", Unwatched(), agreed)


def test_the_disk_is_planned(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: disk.RESERVE_BYTES)
    with pytest.raises(StorageFull, match="This needs"):
        find_checkpoint("maker/model", Unwatched(), agreed)
    assert not any("/resolve/" in path for path in asked)


def test_conditions_are_agreed_to_before_anything_is_fetched(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(CARD, "license", "other")
    monkeypatch.setitem(CARD, "license_name", "gemma")
    agree = licences.agreement(tmp_path / "models", accept=False)
    with pytest.raises(LicenceNotAccepted, match="maker/model is licensed under the Gemma Terms of Use"):
        find_checkpoint("maker/model", Unwatched(), agree)
    assert not any("/resolve/" in path for path in asked)
    find_checkpoint("maker/model", Unwatched(), licences.agreement(tmp_path / "models", accept=True))
    assert "gemma" in licences.accepted(tmp_path / "models")
    find_checkpoint("maker/model", Unwatched(), agree)  # asked once


def test_the_title_of_a_licence_says_it_where_the_readme_does_not(tmp_path: Path) -> None:
    (tmp_path / "LICENSE.txt").write_text("\n  LLAMA 3.2  COMMUNITY LICENSE AGREEMENT\nLlama 3.2 Version\n")
    assert licences.terms(declared_licence(tmp_path)) == licences.terms("llama3.2")
    (tmp_path / "LICENSE.txt").write_text("Apache License\nVersion 2.0")
    assert not declared_licence(tmp_path)


@pytest.mark.parametrize("named", ["nothing", "./nothing", "a/b/c", "../x/y", "a b/c"])
def test_what_is_neither_a_folder_nor_a_name(named: str) -> None:
    with pytest.raises(ModelMissing, match="There is no folder"):
        find_checkpoint(named, Unwatched(), agreed)


@pytest.mark.parametrize(
    ("head", "licence"),
    [
        ("---\nlicense: mit\n---\n", "mit"),
        ("---\nlicense: other\nlicense_name: gemma\n---\n", "gemma"),
        ("---\nlanguage: en\n---\nlicense: mit\n", ""),
        ("license: mit", ""),
        ("", ""),
    ],
)
def test_the_licence_in_the_head_of_the_readme(tmp_path: Path, head: str, licence: str) -> None:
    (tmp_path / "README.md").write_text(head)
    assert declared_licence(tmp_path) == licence
