"""JSON from strangers is read whole, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.runtime.json_file import facts, read_object

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(said=st.dictionaries(st.text(), ANYTHING))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_object_is_read_as_it_was_written(tmp_path: Path, said: dict[str, object]) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(said), encoding="utf-8")
    assert read_object(file) == facts(file) == said


@pytest.mark.parametrize(
    "content", [b"", b"[1]", b"null", b'{"a": 1', b"\xff\xfe\xfa", b'{"a":' + b"[" * 10**6]
)
def test_what_is_no_object_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"."):
        read_object(tmp_path / "config.json")
    assert facts(tmp_path / "config.json") == {}


def test_what_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b'{"a": 10}')
    assert read_object(tmp_path / "config.json", 9) == {"a": 10}
    (tmp_path / "config.json").write_bytes(b'{"a": 100}')
    with pytest.raises(ValueError, match="too large"):
        read_object(tmp_path / "config.json", 9)
    assert facts(tmp_path / "config.json", 9) == {}


def test_what_is_not_there_is_told_from_what_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_object(tmp_path / "config.json")
    assert facts(tmp_path / "config.json") == {}
