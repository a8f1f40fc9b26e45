"""Imports go one way, and nothing is loaded that was not asked for.

The direction (an arrow is an import):

    helpers <- events <- state, endpoint, ... <- turn, loop <- app, configuration, commands, cli
    helpers <- engines, audio, skills, services, board, store    (the rooms)

A helper is every module that has no other place. The spine knows a room by its package only,
where the Protocols are; a room knows neither the spine nor another room; only the composition
(``app`` and what is above it) sees both sides. ``prepare``, which never runs on the appliance, is
imported by its command only.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter

import pytest

import assistant.engines
from tests.conftest import CHECKOUT

ROOMS = {"audio", "board", "engines", "services", "skills", "store"}
SPINE = (
    {"events"},
    {
        "state",
        "endpoint",
        "sentences",
        "conversation",
        "completeness",
        "report",
        "stt_guard",
        "worker",
        "earcons",
        "attention",
        "delivery",
        "interruptions",
    },
    {
        *("chain", "turn", "turns", "read_ahead", "ears", "ringer", "loop"),
        *("typed", "orders", "actions", "heartbeat", "mute_mark", "recordings"),
        *("outages", "speaker_watch", "follow_up"),
    },
)
COMPOSITION = {
    "adapters",
    "app",
    "appliance",
    "bench",
    "beside",
    "cli",
    "commands",
    "configuration",
    "converse",
    "doctor",
    "fit",
    "prepare",
    "front_panel",
    "loading",
    "planned_llm",
    "relief",
    "reload",
    "repairs",
    "replacement",
    "shared",
    "unit_limits",
}
ENGINE_MODULES = {module for names in assistant.engines.REGISTRY.values() for module in names.values()}

HEAVY = {"ctranslate2", "faster_whisper", "huggingface_hub", "llama_cpp", "onnxruntime", "torch", "TTS"}
"""Packages that take long to import or much memory; each belongs to one engine or source."""


@cache
def _modules() -> dict[str, ast.Module]:
    """Every module of the package by its dotted name."""
    modules = {}
    for file in sorted((CHECKOUT / "assistant").rglob("*.py")):
        parts = file.relative_to(CHECKOUT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules[name] = ast.parse(file.read_text(encoding="utf-8"))
    return modules


def _imports(nodes: Iterator[ast.AST]) -> set[str]:
    """The modules of this package that the statements among ``nodes`` import."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            inside = {f"{module}.{alias.name}" for alias in node.names}
            modules = inside & _modules().keys()
            # A name that is no module comes from the package's own file.
            found |= modules if modules == inside else modules | {module}
    return {name for name in found if name.split(".")[0] == "assistant"}


def _at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """The statements that run when the module is imported: not those inside functions."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def _place(name: str) -> str:
    """The part of the package that a module belongs to: ``assistant.audio.wav`` is in ``audio``."""
    return name.removeprefix("assistant").lstrip(".").split(".")[0]


def _tier(place: str) -> int:
    """How far up the spine a place is; helpers are 0."""
    if place in COMPOSITION or place == "":
        return len(SPINE) + 1
    return next((number for number, tier in enumerate(SPINE, 1) if place in tier), 0)


def _may_import(importer: str, imported: str) -> bool:
    here, there = _place(importer), _place(imported)
    if imported in ENGINE_MODULES:
        return importer == imported
    if here == there or imported == "assistant":  # the package itself holds the version only
        return True
    if there == "prepare":
        return importer.startswith("assistant.tools.quantize.command")
    if there in ROOMS:
        is_protocol = imported == f"assistant.{there}" and here not in ROOMS and _tier(here) > 0
        return here in COMPOSITION or is_protocol
    return _tier(there) <= (0 if here in ROOMS else _tier(here))


def test_imports_go_one_way() -> None:
    wrong = [
        f"{module} must not know {name}"
        for module, tree in _modules().items()
        for name in sorted(_imports(ast.walk(tree)))
        if not _may_import(module, name)
    ]
    assert not wrong, "the direction is drawn in this file's docstring"


def test_no_import_goes_in_a_circle() -> None:
    graph = {name: _imports(_at_import(tree)) - {name} for name, tree in _modules().items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"these modules import one another: {' -> '.join(error.args[1])}")


def test_names_of_this_file_exist() -> None:
    """A renamed module must not silently become a helper, which may be imported everywhere."""
    places = {_place(name) for name in _modules()}
    assert set().union(*SPINE) | COMPOSITION <= places


def _loaded_by(code: str) -> set[str]:
    """What is in ``sys.modules`` after running ``code`` in a fresh interpreter."""
    script = f"{code}\nimport sys\nprint(*sys.modules, sep='\\n')"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def test_the_command_line_loads_no_engine() -> None:
    loaded = _loaded_by("import assistant.cli.main")
    assert "assistant.cli.main" in loaded
    assert not loaded & (ENGINE_MODULES | HEAVY | {"assistant.tools.quantize"})


def test_only_the_selected_engine_is_loaded() -> None:
    loaded = _loaded_by(
        "from assistant import engines; from assistant.settings import schema as settings\n"
        "engines.load('vad', 'webrtc', settings=settings.VadSettings(engine='webrtc')).close()"
    )
    assert loaded & ENGINE_MODULES == {"assistant.engines.vad.webrtc"}
    assert not loaded & HEAVY


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("assistant.core.events", "assistant.core.state"),
        ("assistant.dialog.turn", "assistant.audio.device"),
        ("assistant.skills", "assistant.dialog.turn"),
        ("assistant.audio.wav", "assistant.store"),
        ("assistant.app.build", "assistant.engines.llm.llama_cpp.engine"),
        ("assistant.app.build", "assistant.tools.quantize.quantize"),
        ("assistant.core.types", "assistant.app.build"),
    ],
)
def test_the_rule_itself_can_say_no(importer: str, imported: str) -> None:
    assert not _may_import(importer, imported)
