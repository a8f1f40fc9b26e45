"""The order of the rooms: a room may import those before it only, and so nothing goes in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.conftest import CHECKOUT

ROOMS = (
    "core",
    "runtime",
    "text",
    "store",
    "board",
    "settings",
    "audio",
    "engines",
    "knowledge",
    "skills",
    "dialog",
    "services",
    "app",
    "cli",
    "tools",
)
ENTRANCE = "__main__"
"""Above all rooms: what ``python -m assistant`` runs."""


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


def _room(name: str) -> str:
    """The room that a module is in: ``assistant.audio.wav`` is in ``audio``."""
    return name.removeprefix("assistant").lstrip(".").split(".")[0]


def _may_import(importer: str, imported: str) -> bool:
    order = ("", *ROOMS, ENTRANCE)  # the package itself holds the version only
    return order.index(_room(imported)) <= order.index(_room(importer))


def test_a_room_imports_those_before_it_only() -> None:
    wrong = [
        f"{module} must not know {name}"
        for module, tree in _modules().items()
        for name in sorted(_imports(ast.walk(tree)))
        if not _may_import(module, name)
    ]
    assert not wrong


def test_no_import_goes_in_a_circle() -> None:
    graph = {name: _imports(_at_import(tree)) - {name} for name, tree in _modules().items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"these modules import one another: {' -> '.join(error.args[1])}")


def test_every_module_is_in_a_room() -> None:
    assert {_room(name) for name in _modules()} == {"", *ROOMS, ENTRANCE}


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("assistant.core.events", "assistant.runtime.clock"),
        ("assistant.runtime.engine_thread", "assistant.engines"),
        ("assistant.board.core_plan", "assistant.settings.schema"),
        ("assistant.skills", "assistant.dialog.turn"),
        ("assistant.services.control.server", "assistant.app.build"),
        ("assistant.cli.main", "assistant.tools.bench.command"),
        ("assistant.tools.bench.command", "assistant.__main__"),
    ],
)
def test_the_rule_itself_can_say_no(importer: str, imported: str) -> None:
    assert not _may_import(importer, imported)
    assert _may_import(imported, importer)
