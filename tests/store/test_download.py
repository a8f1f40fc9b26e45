"""One file from a server that does everything servers do."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.store.catalog import ModelFile
from assistant.store.download import download
from assistant.store.progress import Meter
from assistant.store.web import Link, SourceFailed, opener
from tests.store.site import Behaviour, Heard, Site, blob, sha256

BODY = blob(1_000_000)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "file.bin"


@pytest.fixture(autouse=True)
def _page(site: Site) -> None:
    site.pages["/f"] = BODY


def fetch(site: Site, target: Path, heard: Heard, *, path: str = "/f", content: bytes = BODY) -> None:
    meter = Meter("Downloading", len(content), heard)
    wanted = ModelFile(bytes=len(content), sha256=sha256(content))
    download(opener(), Link(site.url + path), target, wanted, meter=meter, watcher=heard)


def test_whole_file(site: Site, target: Path, heard: Heard) -> None:
    fetch(site, target, heard)
    assert target.read_bytes() == BODY
    assert list(target.parent.iterdir()) == [target]
    assert heard.seen[-1].done_bytes == heard.seen[-1].total_bytes == len(BODY)


def test_closed_connection_goes_on_where_it_stopped(site: Site, target: Path, heard: Heard) -> None:
    site.faults["/f"] = [Behaviour(cut_after=300_000), Behaviour(cut_after=300_000)]
    fetch(site, target, heard)
    assert target.read_bytes() == BODY
    assert [asked.range for asked in site.asked] == ["", "bytes=300000-", "bytes=600000-"]
    assert len(heard.notes) == 2


def test_reset_connection_is_tried_again(site: Site, target: Path, heard: Heard) -> None:
    site.faults["/f"] = [Behaviour(cut_after=300_000, reset=True), Behaviour(cut_after=300_000, reset=True)]
    fetch(site, target, heard)
    assert target.read_bytes() == BODY
    assert len(heard.notes) == 2


def test_progress_never_gives_up(site: Site, target: Path, heard: Heard) -> None:
    site.faults["/f"] = [Behaviour(cut_after=100_000)] * 9
    fetch(site, target, heard)
    assert target.read_bytes() == BODY


def test_resumes_what_an_earlier_attempt_left(site: Site, target: Path, heard: Heard) -> None:
    target.with_name("file.bin.part").write_bytes(BODY[:700_000])
    fetch(site, target, heard)
    assert target.read_bytes() == BODY
    assert [asked.range for asked in site.asked] == ["bytes=700000-"]


def test_complete_partial_needs_no_network(site: Site, target: Path, heard: Heard) -> None:
    target.with_name("file.bin.part").write_bytes(BODY)
    fetch(site, target, heard)
    assert target.read_bytes() == BODY
    assert site.asked == []


def test_server_without_ranges_sends_everything_again(site: Site, target: Path, heard: Heard) -> None:
    target.with_name("file.bin.part").write_bytes(BODY[:700_000])
    site.always["/f"] = Behaviour(ranges=False)
    fetch(site, target, heard)
    assert target.read_bytes() == BODY


def test_refused_range_starts_over(site: Site, target: Path, heard: Heard) -> None:
    target.with_name("file.bin.part").write_bytes(BODY[:700_000])
    site.faults["/f"] = [Behaviour(status=416)]
    fetch(site, target, heard)
    assert target.read_bytes() == BODY
    assert [asked.range for asked in site.asked] == ["bytes=700000-", ""]


def test_wrong_part_is_not_appended(site: Site, target: Path, heard: Heard) -> None:
    target.with_name("file.bin.part").write_bytes(BODY[:700_000])
    site.faults["/f"] = [Behaviour(shift=10)]
    fetch(site, target, heard)
    assert target.read_bytes() == BODY


def test_damaged_partial_is_thrown_away_once(site: Site, target: Path, heard: Heard) -> None:
    target.with_name("file.bin.part").write_bytes(b"\0" * 700_000)
    fetch(site, target, heard)
    assert target.read_bytes() == BODY
    assert [asked.range for asked in site.asked] == ["bytes=700000-", ""]


def test_partial_that_is_too_long_is_thrown_away(site: Site, target: Path, heard: Heard) -> None:
    target.with_name("file.bin.part").write_bytes(BODY + b"more")
    fetch(site, target, heard)
    assert target.read_bytes() == BODY


def test_wrong_bytes_are_refused_without_a_second_try(site: Site, target: Path, heard: Heard) -> None:
    site.pages["/f"] = blob(len(BODY), seed=1)
    with pytest.raises(SourceFailed, match="isn't the file described in the catalog"):
        fetch(site, target, heard)
    assert not target.exists()
    assert len(site.asked) == 1


def test_wrong_length_is_refused_before_it_is_transferred(site: Site, target: Path, heard: Heard) -> None:
    site.pages["/f"] = BODY + b"x"
    with pytest.raises(SourceFailed, match="offers 1000001 bytes instead of 1000000"):
        fetch(site, target, heard)
    assert heard.seen == []


def test_endless_file_is_cut_off(site: Site, target: Path, heard: Heard) -> None:
    site.pages["/f"] = BODY * 20
    site.always["/f"] = Behaviour(chunked=True)
    with pytest.raises(SourceFailed, match="isn't the file"):
        fetch(site, target, heard)
    assert sum(path.stat().st_size for path in target.parent.iterdir()) <= len(BODY) + 256 * 1024


def test_truncated_body_without_a_length_is_asked_for_again(site: Site, target: Path, heard: Heard) -> None:
    site.pages["/f"] = BODY[:400_000]
    site.always["/f"] = Behaviour(chunked=True)
    with pytest.raises(SourceFailed, match="stopped sending too early"):
        fetch(site, target, heard)
    assert len(site.asked) == 4


def test_500_then_ok(site: Site, target: Path, heard: Heard) -> None:
    site.faults["/f"] = [Behaviour(status=500), Behaviour(status=503)]
    fetch(site, target, heard)
    assert target.read_bytes() == BODY
    assert "answered 500" in heard.notes[0]


def test_404_is_final(site: Site, target: Path, heard: Heard) -> None:
    with pytest.raises(SourceFailed, match="answered 404"):
        fetch(site, target, heard, path="/none")
    assert len(site.asked) == 1


def test_gives_up_after_some_tries_and_keeps_the_partial(site: Site, target: Path, heard: Heard) -> None:
    site.faults["/f"] = [Behaviour(cut_after=300_000)]
    site.always["/f"] = Behaviour(status=502)
    with pytest.raises(SourceFailed, match="answered 502"):
        fetch(site, target, heard)
    assert target.with_name("file.bin.part").read_bytes() == BODY[:300_000]


def test_silence_counts_as_an_interruption(
    site: Site, target: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.store.web.TIMEOUT_S", 0.3)
    site.faults["/f"] = [Behaviour(silent=True)]
    fetch(site, target, heard)
    assert target.read_bytes() == BODY
    assert "sent nothing" in heard.notes[0]


def test_slow_server_shows_a_rate(site: Site, target: Path, heard: Heard) -> None:
    site.always["/f"] = Behaviour(delay_s=0.05)
    fetch(site, target, heard)
    middle = heard.seen[len(heard.seen) // 2]
    assert middle.bytes_per_s > 0
    assert middle.remaining_s > 0


def test_nobody_there(target: Path, heard: Heard) -> None:
    meter = Meter("Downloading", 1, heard)
    wanted = ModelFile(bytes=1, sha256="0" * 64)
    with pytest.raises(SourceFailed, match="refused"):
        download(opener(), Link("http://127.0.0.1:9/f"), target, wanted, meter=meter, watcher=heard)
    assert len(heard.notes) == 3


def test_redirect_is_followed_but_the_password_stays(
    site: Site, elsewhere: Site, target: Path, heard: Heard
) -> None:
    elsewhere.pages["/g"] = BODY
    site.always["/f"] = Behaviour(location=f"{elsewhere.url}/g")
    link = Link(site.url.replace("//", "//me:hush@") + "/f", {"X-Extra": "1"})
    wanted = ModelFile(bytes=len(BODY), sha256=sha256(BODY))
    download(opener(), link, target, wanted, meter=Meter("", len(BODY), heard), watcher=heard)
    assert target.read_bytes() == BODY
    assert site.asked[0].authorization.startswith("Basic ")
    assert elsewhere.asked[0].authorization == ""
    assert "hush" not in str(link)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x/"])
def test_redirect_out_of_the_web_is_not_followed(
    site: Site, target: Path, heard: Heard, location: str
) -> None:
    site.always["/f"] = Behaviour(location=location)
    with pytest.raises(SourceFailed):
        fetch(site, target, heard)
    assert not target.exists()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://h/x", "/etc/passwd", "http://", "http://[x/"])
def test_only_web_addresses_are_asked(target: Path, heard: Heard, url: str) -> None:
    wanted = ModelFile(bytes=1, sha256="0" * 64)
    with pytest.raises(SourceFailed):
        download(opener(), Link(url), target, wanted, meter=Meter("", 1, heard), watcher=heard)
