"""The command declares every bench once, and what it declares is what the benches take."""

from __future__ import annotations

import argparse
import inspect
from importlib import import_module

import pytest

from assistant.cli.main import main
from assistant.tools.bench.command import _COMMON, BENCHES


@pytest.mark.parametrize("name", BENCHES)
def test_each_option_is_a_parameter_of_its_bench(name: str) -> None:
    bench = BENCHES[name]
    module = bench.module or name
    wanted = inspect.signature(import_module(f"assistant.tools.bench.{module}").run).parameters
    parser = argparse.ArgumentParser()
    settings = ({**option.settings} for option in bench.options)
    declared = {"settings", "progress", *_COMMON.get(module, ())}
    for option, each in zip(bench.options, settings, strict=True):
        each.pop("path", None)
        declared.add(parser.add_argument(option.name, **each).dest)
    taken = {key for key, value in wanted.items() if value.kind is not value.VAR_KEYWORD}
    rest = {key.strip("_") for key in taken} - declared - {""}
    assert not rest, "nobody gives these"
    if len(taken) == len(wanted):
        assert declared - {"settings"} <= taken


@pytest.mark.parametrize(
    "arguments",
    [
        ["barge-in", "--gains", "1"],
        ["barge-in", "--record", "x"],
        ["barge-in", "--path", "devices", "--minutes", "1"],
        ["idle", "--path", "devices", "--set", "x"],
    ],
)
def test_an_option_that_makes_no_difference_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *arguments]) == 2
    assert f"{arguments[-2]} applies only to --path" in capsys.readouterr().err


def test_what_is_no_number_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in (["stt", "--rounds", "0"], ["barge-in", "--gains", "0,1"], ["barge-in", "--part", "3/2"]):
        with pytest.raises(SystemExit) as ended:
            main(["bench", *wrong])
        assert ended.value.code == 2
    assert "must be a fraction such as 2/5" in capsys.readouterr().err
