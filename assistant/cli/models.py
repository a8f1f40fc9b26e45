"""``assistant models``: lists, downloads, checks, imports and removes models."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from assistant.app import memory_fit, model_choice, proof
from assistant.cli import _hub, _judged_models
from assistant.core.errors import AssistantError
from assistant.runtime import paths
from assistant.runtime.harmless import one_line
from assistant.settings import load as configuration
from assistant.settings.schema import Settings
from assistant.store import Entry, Store, hub, licences, open_store
from assistant.store.catalog import Kind
from assistant.store.incoming import Arrival
from assistant.store.progress import Terminal, megabytes


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the `assistant` parser's subcommands."""
    parser = subparsers.add_parser("models")
    actions = parser.add_subparsers(
        metavar="list|pull|choose|calibrate|verify|import|remove|encrypt|decrypt|licences", required=True
    )

    def action(name: str, work: Callable[..., int], text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.add_argument("--json", action="store_true", help="print JSON")
        sub.set_defaults(run=run, action=work, reads_only=work in {_list, _verify, _licences})
        return sub

    listing = action("list", _list, "list all models, with status, size, memory, languages and license")
    listing.add_argument(
        "--fit",
        action="store_true",
        help=("for each model, check whether it fits in memory with the others in the settings"),
    )
    pull = action("pull", _pull, "download models that are missing or damaged")
    pull.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="a model, a set (default: the set 'default'), or hf:OWNER/REPO[:FILE] from the hub",
    )
    pull.add_argument("--as", dest="name", metavar="NAME", help="name for a model from the hub")
    pull.add_argument("--yes", action="store_true", help="download models from the hub without asking")
    pull.add_argument("--set", action="append", default=[], metavar="SET", help="a set")
    _judged_models.add_options(
        action(
            "choose",
            _judged_models.choose,
            "measure the installed language models, and let auto take the best",
        ),
        action("calibrate", _judged_models.calibrate, "measure how far to trust a language model's memory"),
    )
    verify = action("verify", _verify, "read and hash every file of the installed models")
    verify.add_argument("names", nargs="*", metavar="NAME", help="a model (default: all installed models)")
    bring = action("import", _import, "import models from a USB stick or folder")
    bring.add_argument("path", type=Path, metavar="PATH", help="folder or file")
    bring.add_argument("--as", dest="name", metavar="NAME", help="name for a model of your own")
    bring.add_argument("--kind", choices=get_args(Kind), help="kind of your own model")
    for sub in (pull, bring):
        sub.add_argument(
            "--accept-licence",
            action="store_true",
            help="accept the conditions of their licenses; this is remembered",
        )
    action("licences", _licences, "show the license of every model, installed or in the catalog")
    remove = action("remove", _remove, "delete models, and partial downloads of them")
    remove.add_argument("names", nargs="+", metavar="NAME")
    for name, text in (
        ("encrypt", "encrypt installed models; the assistant decrypts them into memory"),
        ("decrypt", "replace encrypted files by the plain ones"),
    ):
        change = action(name, _change, text)
        change.add_argument("names", nargs="+", metavar="NAME")
        change.add_argument(
            "--key-file",
            type=Path,
            metavar="FILE",
            help="file of 32 bytes that only you can read (default: store.key_file)",
        )
        change.set_defaults(change=name)


def run(arguments: argparse.Namespace) -> int:
    """Run the subcommand. Raises AssistantError."""
    settings = arguments.settings = configuration.load(arguments.config).settings
    store = open_store(paths.models(settings.store.models))
    terminal = Terminal(sys.stderr)
    try:
        status: int = arguments.action(store, arguments, terminal)
    finally:
        terminal.clear()
    return status


def _list(store: Store, arguments: argparse.Namespace, _terminal: Terminal) -> int:
    entries = store.entries()
    fits = [_fit(entry, arguments.settings) for entry in entries] if arguments.fit else []
    if arguments.json:
        models = [_plain(asdict(entry)) for entry in entries]
        for model, found in zip(models, fits, strict=False):
            model["fit"] = found
        _print_json(
            models=models,
            sets=store.catalog.sets,
            models_dir=str(store.models_dir),
        )
        return 0
    heads: tuple[str, ...] = ("NAME", "KIND", "STATE", "SIZE", "MEMORY", "LANGUAGES", "LICENCE")
    rows = [heads, *(_row(entry) for entry in entries)]
    if fits:
        answers = model_choice.answers()
        rows = [
            (*row[:5], told, "RIGHT" if row is heads else answers.get(row[0], "-"), *row[5:])
            for row, told in zip(rows, ("FITS", *(_fit_told(found) for found in fits)), strict=True)
        ]
        heads = rows[0]
    rows = [tuple(one_line(cell) for cell in row) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    print(f"\nFolder: {store.models_dir}")
    for name, members in store.catalog.sets.items():
        print(f"Set {name}: {', '.join(members)}")
    return 0


def _fit(entry: Entry, settings: Settings) -> dict[str, Any] | None:
    """Plan with this model in place of the chosen one; None if that is impossible."""
    if entry.kind not in {"stt", "llm", "tts"}:
        return None
    if entry.kind == "llm":
        wanted = memory_fit.with_model(settings, entry.name)
    else:
        section = getattr(settings, entry.kind).model_copy(update={"model": entry.name})
        wanted = settings.model_copy(update={entry.kind: section})
    try:
        found = memory_fit.plan(wanted)
    except AssistantError:  # this model, or another one in the settings, is not installed
        return None
    remedy = found.remedy
    return {
        "fits": found.fits,
        "needed_mb": round(found.need.needed / 1e6),
        "peak_rss_mb": round(found.need.peak / 1e6),
        "free_mb": None if found.room.free is None else round(found.room.free / 1e6),
        "context_tokens": found.context_tokens,
        "largest_context_tokens": int(remedy.value) if remedy and remedy.what == "context" else None,
    }


def _fit_told(found: dict[str, Any] | None) -> str:
    if found is None or found["fits"] is None:
        return "-"
    if found["fits"]:
        return f"yes, {found['needed_mb']} MB"
    largest = found["largest_context_tokens"]
    return f"with {largest} tokens" if largest else f"no, {found['needed_mb']} MB"


def _row(entry: Entry) -> tuple[str, ...]:
    more = f" +{len(entry.languages) - 3}" if len(entry.languages) > 3 else ""
    return (
        entry.name,
        entry.kind,
        "encrypted" if entry.encrypted and entry.state == "installed" else entry.state,
        megabytes(entry.size_bytes),
        f"{entry.ram_mb} MB" if entry.ram_mb else "-",
        " ".join(entry.languages[:3]) + more or "-",
        entry.licence or "-",
    )


def _pull(store: Store, arguments: argparse.Namespace, terminal: Terminal) -> int:
    names = [*arguments.names, *arguments.set] or ["default"]
    if "default" in names and arguments.settings.llm.model == model_choice.AUTO:
        best = model_choice.wanted(arguments.settings).model
        names += [best] if best in store.catalog.models else []
    strangers = [name for name in names if hub.asked(name)]
    known = [name for name in names if name not in strangers]
    arrivals = store.pull(known, terminal, accept=arguments.accept_licence) if known else ()
    for name in strangers:
        arrivals += _hub.pull(store, name, arguments, terminal)
    _report("pulled", arrivals, arguments)
    return 0


def _import(store: Store, arguments: argparse.Namespace, terminal: Terminal) -> int:
    accept = arguments.accept_licence
    arrivals = store.import_from(arguments.path, arguments.name, arguments.kind, terminal, accept=accept)
    if arguments.kind in get_args(proof.Kind):
        for arrival in arrivals:
            if problem := proof.try_import(arguments.kind, arguments.settings, store, arrival.name):
                terminal.note(f"{arrival.name} is here, but can't be used: {problem}")
    _report("imported", arrivals, arguments)
    return 0


def _report(what: str, arrivals: tuple[Arrival, ...], arguments: argparse.Namespace) -> None:
    if arguments.json:
        _print_json(**{what: [_plain(asdict(arrival)) for arrival in arrivals]})
        return
    for arrival in arrivals:
        print(f"{arrival.name}: {what if arrival.origin else 'here already'}, {one_line(arrival.path)}")


def _verify(store: Store, arguments: argparse.Namespace, terminal: Terminal) -> int:
    names = arguments.names or [entry.name for entry in store.entries() if entry.state != "missing"]
    results = []
    for name in names:
        fault = _fault(store, name, terminal)
        results.append({"name": name, "ok": fault is None, **(_told(fault) if fault else {})})
        if not arguments.json:
            terminal.clear()
            print(one_line(f"{name}: {fault or 'every byte is right'}"), flush=True)
    if arguments.json:
        _print_json(models=results)
    elif not names:
        print("No models are installed. `assistant models pull` downloads the default ones.")
    return 0 if all(result["ok"] for result in results) else 1


def _fault(store: Store, name: str, terminal: Terminal) -> AssistantError | None:
    try:
        store.verify(name, terminal)
    except AssistantError as fault:
        return fault
    return None


def _told(fault: AssistantError) -> dict[str, str]:
    return {"code": fault.code, "problem": fault.problem, "next_step": fault.next_step}


def _remove(store: Store, arguments: argparse.Namespace, terminal: Terminal) -> int:
    removed = [{"name": name, "freed_bytes": store.remove(name, terminal)} for name in arguments.names]
    if arguments.json:
        _print_json(removed=removed)
    else:
        for one in removed:
            print(f"{one['name']}: removed, {megabytes(one['freed_bytes'])} freed")
    return 0


def _licences(store: Store, arguments: argparse.Namespace, _terminal: Terminal) -> int:
    agreed = licences.accepted(store.models_dir)
    told = []
    for entry in store.entries():
        known = store.catalog.models.get(entry.name)
        terms = licences.terms_of(known) if known else licences.terms(entry.licence)
        told.append(
            {
                "name": entry.name,
                "installed": entry.state != "missing",
                "licence": entry.licence,
                "note": entry.licence_note,
                "attribution": entry.attribution or entry.description,
                "conditions": terms.address if terms else None,
                "accepted_at": agreed.get(terms.key) if terms else None,
            }
        )
    if arguments.json:
        _print_json(models=told)
        return 0
    for one in told:
        where = "installed" if one["installed"] else "not installed"
        print(f"{one['name']} ({where}): {one_line(one['licence'] or 'not known')}")
        if one["conditions"]:
            when = one["accepted_at"]
            agreed_to = f"accepted on {when}" if when else "not accepted: use --accept-licence"
            print(f"  Conditions: {one['conditions']} ({agreed_to})")
        print(*(f"  {one_line(line)}" for line in (one["note"], one["attribution"]) if line), sep="\n")
    return 0


def _change(store: Store, arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Encrypt or decrypt."""
    from assistant.store import encrypting, keys  # noqa: PLC0415  few models are encrypted

    key = keys.find(arguments.key_file or arguments.settings.store.key_file)
    work = getattr(encrypting, arguments.change)
    done = [work(store, name, key, terminal) for name in arguments.names]
    if arguments.json:
        _print_json(**{f"{arguments.change}ed": [_plain(asdict(one)) for one in done]})
    else:
        for one in done:
            print(f"{one.name}: {arguments.change}ed, {megabytes(one.size_bytes)} in {one.path}")
    return 0


def _print_json(**document: Any) -> None:
    print(json.dumps(document, ensure_ascii=False))


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}
