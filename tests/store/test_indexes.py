"""Where pip's own settings lead, asked of the real pip."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.store.catalog import Wheel
from assistant.store.indexes import Indexes, _links, _pip_settings, locate, pip_indexes
from assistant.store.progress import Unwatched
from assistant.store.web import Link, SourceFailed, opener
from tests.store.site import Behaviour, Site, blob, wheel_entry

DATA = blob(1000)


@pytest.fixture
def wheel(site: Site) -> Wheel:
    """A wheel that the server offers."""
    _, content = site.add_wheel("some-model", "1.0.0", {"d/m": DATA})
    return Wheel.model_validate(wheel_entry("some-model", content, [("m", "d/m", DATA)]))


def find(indexes: Indexes, wheel: Wheel) -> Link | Path:
    return locate(opener(), indexes, wheel, Unwatched())


def test_environment_names_the_index(site: Site, wheel: Wheel) -> None:
    indexes = pip_indexes()
    assert indexes.indexes == (f"{site.url}/simple",)
    assert find(indexes, wheel) == Link(f"{site.url}/files/{wheel.file}")


def test_settings_file_names_indexes_and_certificate(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pip.conf"
    file.write_text(
        "[global]\nindex-url = https://one.invalid/simple\ncert = /x/ca.pem\nproxy = http://p.invalid:3128\n"
        "extra-index-url =\n    https://two.invalid/simple\n    /srv/simple\n"
        "[download]\nindex-url = https://stronger.invalid/simple\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.delenv("PIP_CERT", raising=False)
    indexes = pip_indexes()
    assert indexes.indexes[0] == "https://stronger.invalid/simple"
    assert set(indexes.indexes[1:]) >= {"https://two.invalid/simple", "/srv/simple"}
    assert indexes.certificate == "/x/ca.pem"
    assert indexes.proxy == "http://p.invalid:3128"


def test_pips_default_is_an_https_index(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_INDEX_URL")
    default = urlsplit(pip_indexes().indexes[0])
    assert default.scheme == "https"
    assert default.hostname
    assert default.path.rstrip("/") == "/simple"


def test_no_index_means_none(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert pip_indexes() == Indexes((), (str(tmp_path),), pip_indexes().certificate)


def test_without_pip_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceFailed, match="ensurepip"):
        pip_indexes()


def test_local_folders_come_before_the_web(site: Site, wheel: Wheel, tmp_path: Path) -> None:
    (tmp_path / wheel.file).write_bytes(site.pages[f"/files/{wheel.file}"])
    for place in (str(tmp_path), tmp_path.as_uri()):
        assert find(Indexes((f"{site.url}/simple",), (place,)), wheel) == tmp_path / wheel.file
    assert site.asked == []


def test_index_in_a_folder(site: Site, wheel: Wheel, tmp_path: Path) -> None:
    page = tmp_path / "simple" / "some-model"
    page.mkdir(parents=True)
    (page / wheel.file).write_bytes(site.pages[f"/files/{wheel.file}"])
    assert find(Indexes(((tmp_path / "simple").as_uri(),), ()), wheel) == page / wheel.file


def test_another_file_under_the_same_name_is_passed_over(site: Site, wheel: Wheel) -> None:
    site.pages["/mirror/some-model/"] = f'<a href="/x/{wheel.file}#sha256={"0" * 64}">w</a>'.encode()
    found = find(Indexes((f"{site.url}/mirror", f"{site.url}/simple"), ()), wheel)
    assert found == Link(f"{site.url}/files/{wheel.file}")


def test_index_that_stumbles_is_asked_again(site: Site, wheel: Wheel) -> None:
    site.faults["/simple/some-model/"] = [Behaviour(status=503), Behaviour(cut_after=10)]
    assert isinstance(find(pip_indexes(), wheel), Link)


def test_nobody_has_it(site: Site, wheel: Wheel) -> None:
    del site.pages["/simple/some-model/"]
    with pytest.raises(SourceFailed, match=r"no package index of pip has some_model-1\.0\.0.*404"):
        find(pip_indexes(), wheel)


def test_password_of_the_index_goes_to_its_own_files_only(site: Site, elsewhere: Site, wheel: Wheel) -> None:
    site.login = "me:s3cret"
    index = site.url.replace("//", "//me:s3cret@") + "/simple"
    found = find(Indexes((index,), ()), wheel)
    assert isinstance(found, Link)
    assert "s3cret@" in found.url
    assert "s3cret" not in str(found)
    site.pages["/simple/some-model/"] = f'<a href="{elsewhere.url}/files/{wheel.file}">w</a>'.encode()
    assert find(Indexes((index,), ()), wheel) == Link(f"{elsewhere.url}/files/{wheel.file}")


@given(st.text())
def test_any_listing_of_pip_is_understood_or_ignored(text: str) -> None:
    assert all(isinstance(value, str) for value in _pip_settings(text).values())


HREF = st.one_of(st.text(), st.text("htps:/[]@#?%.x", max_size=20))


@given(st.lists(HREF), st.text())
def test_any_page_gives_addresses_or_none(targets: list[str], junk: str) -> None:
    page = junk + "".join(f'<a href="{target}">x</a>' for target in targets)
    for url in _links(page, "http://index.invalid/simple/x/"):
        urlsplit(url)


@pytest.mark.parametrize("place", ["http://[x/simple", "ftp://x/simple", "::", "", "file://", "\0"])
def test_strange_indexes_are_passed_over(site: Site, wheel: Wheel, place: str) -> None:
    assert isinstance(find(Indexes((place, f"{site.url}/simple"), (place,)), wheel), Link)
