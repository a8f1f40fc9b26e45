"""Models by their name on the hub, against a server on this machine that may say anything."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from assistant.core.errors import DownloadFailed, ModelUnknown
from assistant.store import hub
from assistant.store.hub import look_up
from assistant.store.pull import pull
from tests.store.site import Behaviour, Heard, Site, blob, sha256

pytest.importorskip("huggingface_hub")

REVISION = "0123456789abcdef0123456789abcdef01234567"
MODEL, OTHER = blob(200_000), blob(3000, seed=1)
CONFIG = b'{"model_type": "whisper"}'


@pytest.fixture(autouse=True)
def _at_the_site(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    monkeypatch.delenv("HF_TOKEN", raising=False)


def large(path: str, content: bytes, **lies: Any) -> dict[str, Any]:
    return {
        "rfilename": path,
        "size": len(content),
        "blobId": "0" * 40,
        "lfs": {"sha256": sha256(content), "size": len(content), **lies},
    }


def small(path: str, content: bytes) -> dict[str, Any]:
    git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    return {"rfilename": path, "size": len(content), "blobId": git}


def offer(site: Site, *files: dict[str, Any], **about: Any) -> None:
    described = {"sha": REVISION, "siblings": list(files), "cardData": {"license": "apache-2.0"}, **about}
    site.pages["/api/models/me/Repo-GGUF"] = json.dumps(described).encode()


def put(site: Site, path: str, content: bytes) -> None:
    site.pages[f"/me/Repo-GGUF/resolve/{REVISION}/{path}"] = content


def test_the_usual_format_is_taken_with_its_checksum_license_and_revision(site: Site) -> None:
    offer(site, large("Toy-1B-Q8_0.gguf", OTHER), large("sub/Toy-1B-Q4_K_M.gguf", MODEL))
    found = look_up("hf:me/Repo-GGUF")
    assert found.name == "toy-1b-q4_k_m"
    assert found.model.kind == "llm"
    assert found.model.licence == "apache-2.0"
    assert found.model.files["Toy-1B-Q4_K_M.gguf"].sha256 == sha256(MODEL)
    assert found.origin == f"Hugging Face me/Repo-GGUF at {REVISION[:12]}"
    assert sha256(MODEL)[:16] in str(found)


@pytest.mark.parametrize("wanted", ["Q8_0", "q8_0", "Toy-1B-Q8_0.gguf"])
def test_a_format_or_file_can_be_named(site: Site, wanted: str) -> None:
    offer(site, large("Toy-1B-Q8_0.gguf", OTHER), large("Toy-1B-Q4_K_M.gguf", MODEL))
    assert list(look_up(f"hf:me/Repo-GGUF:{wanted}").model.files) == ["Toy-1B-Q8_0.gguf"]


def test_it_comes_in_like_any_other_and_resumes(site: Site, tmp_path: Path, heard: Heard) -> None:
    offer(site, large("Toy-Q4_K_M.gguf", MODEL))
    put(site, "Toy-Q4_K_M.gguf", MODEL)
    page = f"/me/Repo-GGUF/resolve/{REVISION}/Toy-Q4_K_M.gguf"
    site.faults[page] = [Behaviour(cut_after=70_000)]
    found = look_up("hf:me/Repo-GGUF", "mine")
    pull(tmp_path, found.catalog, ["mine"], heard)
    assert (tmp_path / "mine" / "Toy-Q4_K_M.gguf").read_bytes() == MODEL
    assert [asked.range for asked in site.asked if asked.path == page] == ["", "bytes=70000-"]


@pytest.mark.parametrize("lie", [{"size": 150_000}, {"sha256": "0" * 64}])
def test_a_hub_that_lies_is_found_out(site: Site, tmp_path: Path, heard: Heard, lie: dict[str, Any]) -> None:
    offer(site, large("Toy-Q4_K_M.gguf", MODEL, **lie))
    put(site, "Toy-Q4_K_M.gguf", MODEL)
    found = look_up("hf:me/Repo-GGUF")
    with pytest.raises(DownloadFailed):
        pull(tmp_path, found.catalog, [found.name], heard)
    assert not (tmp_path / found.name).exists()


def test_a_recognizer_has_several_files_and_the_small_ones_are_checked_by_git(site: Site) -> None:
    files = {"config.json": CONFIG, "tokenizer.json": b"{}", "vocabulary.txt": b"a\n"}
    offer(
        site, large("model.bin", MODEL), small("README.md", b"#"), *(small(*each) for each in files.items())
    )
    for name, content in files.items():
        put(site, name, content)
    found = look_up("hf:me/Repo-GGUF")
    assert (found.model.kind, found.name) == ("stt", "repo-gguf")
    assert {name: file.sha256 for name, file in found.model.files.items()} == {
        "model.bin": sha256(MODEL),
        **{name: sha256(content) for name, content in files.items()},
    }
    put(site, "config.json", b'{"model_type": "other!!"}')
    with pytest.raises(DownloadFailed, match=r"config\.json isn't what it says"):
        look_up("hf:me/Repo-GGUF")


@pytest.mark.parametrize(
    "about",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"sha": 3}',
        json.dumps({"sha": REVISION, "siblings": [large("a-Q4_0.gguf", MODEL, sha256="x")]}).encode(),
        json.dumps({"sha": REVISION, "siblings": [large("a-Q4_0.gguf", MODEL, size=-1)]}).encode(),
        json.dumps({"sha": REVISION, "siblings": [large("../\x1b[2J-Q4_0.gguf", MODEL)]}).encode(),
    ],
)
def test_nonsense_is_one_sentence(site: Site, about: bytes) -> None:
    site.pages["/api/models/me/Repo-GGUF"] = about
    with pytest.raises((DownloadFailed, ModelUnknown)) as caught:
        look_up("hf:me/Repo-GGUF")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("name", ["hf:", "hf:me", "hf:me/../you", "hf:me/a b", "hf:https://x/y"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(ModelUnknown):
        look_up(name)


def test_what_is_not_there(site: Site) -> None:
    offer(site, large("Toy-Q8_0.gguf", MODEL), large("Toy-IQ2.gguf", OTHER))
    with pytest.raises(ModelUnknown) as caught:
        look_up("hf:me/Repo-GGUF:Q2_K")
    assert "Toy-Q8_0.gguf" in caught.value.next_step
    with pytest.raises(DownloadFailed, match="404"):
        look_up("hf:me/nothing")


def test_only_its_own_names_are_its() -> None:
    assert hub.asked("hf:me/repo")
    assert not hub.asked("qwen")
