"""Entry points that no package has, for tests of what other packages may add."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from assistant.runtime import extensions


def declared_as(monkeypatch: pytest.MonkeyPatch, group: extensions.Group, **points: str) -> None:
    """For this test, these are all the entry points of that group: name -> "module:what it leads to"."""
    usual = extensions._points
    made = [EntryPoint(name, value, f"shelf_assistant.{group}") for name, value in sorted(points.items())]
    monkeypatch.setattr(extensions, "_points", lambda of: made if of == group else usual(of))
