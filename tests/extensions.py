"""Entry points that no package has, for tests of what other packages may add."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from assistant.runtime import extensions


def declared_as(monkeypatch: pytest.MonkeyPatch, group: extensions.Group, **points: str) -> None:
    """For this test, these are all the entry points of that group: name -> "module:what it leads to"."""
    usual = extensions.entry_points
    here = f"shelf_assistant.{group}"
    made = [EntryPoint(name, value, here) for name, value in points.items()]
    monkeypatch.setattr(
        extensions, "entry_points", lambda group: made if group == here else usual(group=group)
    )
    for name in ("look", "found"):
        cached = getattr(extensions, name)
        monkeypatch.setattr(extensions, name, cached.__wrapped__)
