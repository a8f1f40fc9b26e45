"""`assistant config show|check|schema|limits`: shows the settings, their sources, mistakes and needs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from assistant.app import model_choice
from assistant.board.recognise import recognise
from assistant.cli import limits as unit_limits
from assistant.cli.checks import graphics
from assistant.core.errors import SettingsError
from assistant.runtime import paths
from assistant.settings import load as configuration
from assistant.settings import reference as settings_template
from assistant.settings.keys import keys
from assistant.settings.load import Loaded
from assistant.settings.mistakes import Mistake, at, hint
from assistant.skills.sentences import without_sentences
from assistant.store import open_store

ORIGIN_COLUMN = 48


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the `assistant` parser's subcommands."""
    parser = subparsers.add_parser("config")
    actions = parser.add_subparsers(dest="action", required=True, metavar="show|check|schema|limits")
    show = actions.add_parser("show", help="show the current settings and where each comes from")
    what = show.add_mutually_exclusive_group()
    what.add_argument("--template", action="store_true", help="print a settings file to start from")
    what.add_argument("--reference", action="store_true", help="print every key with its default")
    actions.add_parser("check", help="list every mistake, with its file and line")
    actions.add_parser("schema", help="print the JSON Schema, which editors use to complete keys")
    actions.add_parser(
        "limits", help="print the systemd resource limits for the service (used by scripts/install)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand. Raises SettingsError (except for `check`, which prints it)."""
    if args.action == "schema":
        print(settings_template.json_schema(), end="")
        return 0
    if args.action == "check":
        return _check(args.config)
    if args.action == "limits":
        print(unit_limits.drop_in(configuration.load(args.config).settings), end="")
        return 0
    if args.template:
        schema = paths.shipped_folder("config") / "assistant.schema.json"
        print(settings_template.own(str(schema)), end="")
    elif args.reference:
        print(settings_template.reference(), end="")
    else:
        print(_effective(configuration.load(args.config)))
    return 0


def _check(file: Path | None) -> int:
    try:
        loaded = configuration.load(file)
        strangers = _unknown_models(loaded)
    except SettingsError as error:
        print(error.problem, file=sys.stderr)
        return error.exit_status
    if strangers:
        print(*strangers, sep="\n", file=sys.stderr)
        return SettingsError.exit_status
    board = recognise()
    print("No mistakes found.")
    if note := without_sentences(loaded.settings.stt.language):
        print(note)
    print(*_sources(loaded), f"This machine: {board.equipment}", sep="\n")
    if board.gpus:
        print(f"GPU: {graphics.use(loaded.settings, board.gpus)[0]}")
    return 0


def _unknown_models(loaded: Loaded) -> list[Mistake]:
    """Find models in the settings that are neither in the catalog nor installed.

    Not checked when settings are loaded, because a disk may not be mounted yet.
    """
    settings, mistakes = loaded.settings, []
    entries = open_store(paths.models(settings.store.models)).entries()
    for kind, section in (("stt", settings.stt), ("llm", settings.llm), ("tts", settings.tts)):
        known = [entry.name for entry in entries if entry.kind == kind]
        origin = loaded.origins.get((kind, "model"))
        theirs = kind == "tts" and settings.tts.runtime == "torch"  # Coqui has its own names
        theirs = theirs or section.model == model_choice.AUTO
        if origin and section.model not in known and not theirs:
            problem = f"unknown model '{section.model}'; {hint(section.model, known)}"
            if "/" in section.model or section.model.lower().endswith(".gguf"):
                taken = f"`assistant models import FILE --as NAME --kind {kind}`"
                problem = f"'{section.model}' is a file; import it with {taken}, then write that name here"
            mistakes.append(Mistake(origin, f"{kind}.model", problem))
    return mistakes


def _sources(loaded: Loaded) -> tuple[str, str]:
    nowhere = f"none; neither {' nor '.join(map(str, paths.settings_files()))} exists"
    return (
        f"Settings file: {loaded.file or nowhere}",
        f"Board profile: {loaded.profile} ({loaded.why})",
    )


def _meant(key: str, loaded: Loaded) -> str:
    """What ``auto`` is on this machine."""
    if key != "llm.model" or loaded.settings.llm.model != model_choice.AUTO:
        return ""
    found = model_choice.choice(loaded.settings)
    return f"; here {found.model}: {found.why}"


def _effective(loaded: Loaded) -> str:
    """Format all settings as YAML, each with its source in a comment."""
    lines = [f"# {source}" for source in _sources(loaded)]
    values = loaded.settings.model_dump(mode="json")
    for key in keys().values():
        heading = f"{'  ' * (len(key.path) - 1)}{key.path[-1]}:"
        if key.is_section:
            lines.append(heading)
            continue
        origin = loaded.origins.get(key.path, "default")
        line = f"{heading} {settings_template.in_yaml(at(values, key.path))}"
        lines.append(f"{line:<{ORIGIN_COLUMN}}  # {origin}{_meant(key.name, loaded)}")
    return "\n".join(lines)
