"""What a figure was measured on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from assistant.app import model_choice
from assistant.settings.schema import Settings
from assistant.tools.bench.lib import machine


def test_the_peak_is_read_where_the_kernel_keeps_it(tmp_path: Path) -> None:
    status = tmp_path / "proc/self/status"
    status.parent.mkdir(parents=True)
    status.write_text("Name:\tpython\nVmHWM:\t  976563 kB\nVmRSS:\t 1000 kB\n")
    assert machine.peak_rss_mb(root=tmp_path) == 976563 * 1024 / 1e6


def test_without_it_the_process_is_asked(tmp_path: Path) -> None:
    before = machine.peak_rss_mb(root=tmp_path)
    block = np.ones(30_000_000)
    # Another test of this process may have needed more before.
    assert machine.peak_rss_mb(root=tmp_path) >= max(before, block.nbytes / 1e6)


def test_work_costs_processor_seconds() -> None:
    before = machine.cpu_s()
    while machine.cpu_s() == before:
        sum(range(10_000))
    assert machine.cpu_s() > before


def test_the_description_is_json_and_fits_a_headline() -> None:
    document = machine.describe(Settings())
    json.dumps(document, allow_nan=False)
    assert document["settings"]["stt"]["model"] == Settings().stt.model
    assert document["machine"]["cores"] >= document["machine"]["big_cores"] >= 1
    assert model_choice.choice(Settings()).model in machine.headline(document)
