"""Cold starts: what is put out of the cache, and what a start tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assistant.board import storage
from assistant.board.storage import Rate
from assistant.cli.main import main
from assistant.core.types import BatchReply
from assistant.tools.bench import cold
from assistant.tools.bench.batch import figures


def test_where_the_whole_cache_may_be_emptied_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    switch = tmp_path / "drop_caches"
    switch.write_text("0")
    monkeypatch.setattr(cold, "DROP", switch)
    assert cold.empty_cache([], everything=True) == "the cache was emptied"
    assert switch.read_text() == "1"


def test_elsewhere_the_models_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cold, "DROP", tmp_path / "none" / "drop_caches")
    model = tmp_path / "model.gguf"
    model.write_bytes(bytes(100_000))
    assert cold.empty_cache([model], everything=True).startswith("the models")
    assert cold.empty_cache([model], everything=False).startswith("the models")
    assert model.read_bytes() == bytes(100_000)


@pytest.mark.parametrize(
    ("mb_per_s", "direct", "slow"), [(40, True, True), (40, False, False), (90, True, False)]
)
def test_a_disk_is_slow_when_that_was_measured(mb_per_s: int, direct: bool, slow: bool) -> None:
    assert storage.is_slow(Rate(mb_per_s * 1e6, direct)) is slow


def test_what_many_at_once_come_to() -> None:
    replies = [
        BatchReply(0, "", 1.0, 1.5, 5.0, 10, 40),
        BatchReply(1, "", 1.0, 2.0, 7.0, 10, 40),
        BatchReply(2, "", 5.0, 6.0, 9.0, 10, 20),
    ]
    found = figures(replies)
    assert found["tokens"] == 100
    assert found["total_s"] == 8.0
    assert found["tokens_per_s"] == 12.5
    assert found["first_token_p50_s"] == 1.0
    assert found["answer_p50_s"] == 4.0


@pytest.mark.models
def test_a_real_start_is_timed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "cold", "--models-only", "--rounds", "1"]) == 0
    *text, line = capsys.readouterr().out.strip().splitlines()
    document = json.loads(line)
    for start in ("cold", "warm"):
        assert document[start]["ready_p50_s"] > document[start]["imported_p50_s"] > 0
    assert document["read_mb"] > 100
    assert "all in the cache" in "\n".join(text)
