"""Servers that misbehave on demand, and a store that does not wait for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.store.site import Heard, Site, serve

QUICK = (0.01, 0.01, 0.01)
"""Pauses before trying again, for tests."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server that pip's settings name as the only package index."""
    for running in serve():
        for variable in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "PIP_PROXY"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("PIP_INDEX_URL", f"{running.url}/simple")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield running


@pytest.fixture
def elsewhere() -> Iterator[Site]:
    """A second server, which is another host as far as passwords are concerned."""
    yield from serve()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture(autouse=True)
def _quick_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits seconds before a second try."""
    monkeypatch.setattr("assistant.store.web.PAUSES_S", QUICK)
