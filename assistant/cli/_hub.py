"""``assistant models pull hf:OWNER/REPO[:FILE]``: shows what the hub offers, asks, fetches and tries it."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import get_args

from assistant.app import memory_fit, proof
from assistant.board import memory_plan
from assistant.core.errors import AssistantError, OrderRefused
from assistant.settings.schema import Settings
from assistant.store import Store, hub
from assistant.store.disk import writing
from assistant.store.folder import amend_record
from assistant.store.incoming import Arrival
from assistant.store.progress import Terminal
from assistant.store.pull import pull as fetch


def pull(store: Store, name: str, arguments: argparse.Namespace, terminal: Terminal) -> tuple[Arrival, ...]:
    """Raises OrderRefused when nobody agrees, and what looking it up, fetching it and trying it raise."""
    offer = hub.look_up(name, arguments.name, terminal)
    if offer.name in store.catalog.models:  # another file of the same name
        offer = replace(offer, name=f"{offer.model.attribution.lower()}-{offer.name}"[:64])
    terminal.note(str(offer))
    terminal.note(_room(offer))
    if not arguments.yes:
        _agree()
    arrivals = fetch(store.models_dir, offer.catalog, [offer.name], terminal, accept=arguments.accept_licence)
    with writing(store.models_dir):
        amend_record(store.models_dir / offer.name, origin=offer.origin, licence=offer.model.licence)
    kind = offer.model.kind
    if kind in get_args(proof.Kind) and (
        problem := proof.try_import(kind, arguments.settings, store, offer.name)  # type: ignore[arg-type]
    ):
        terminal.note(f"{offer.name} is here, but can't be used: {problem}")
    elif kind == "llm":
        terminal.note(_plan(arguments.settings, offer.name))
        terminal.note(f"To use it, write into your settings:  llm: {{model: {offer.name}}}")
    return arrivals


def _room(offer: hub.Offer) -> str:
    """Whether it fits, by its size alone."""
    room = memory_plan.room()
    free_mb = None if room.free is None else round(room.free / 1e6)
    if free_mb is None:
        return "How much memory is free is unknown."
    if offer.model.ram_mb <= free_mb:
        return f"{free_mb} MB of memory are {room.why}."
    return f"It needs more memory than the {free_mb} MB that are {room.why}."


def _plan(settings: Settings, name: str) -> str:
    """The plan with its own header, now that it is here."""
    try:
        found = memory_fit.plan(memory_fit.with_model(settings, name))
    except AssistantError as error:
        return error.problem
    return f"{'It fits' if found.fits else 'It does not fit'}: {found}."


def _agree() -> None:
    if not sys.stdin.isatty():
        raise OrderRefused("Nobody is here to agree to this download.", "Add --yes.")
    print("Download it? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise OrderRefused("Nothing was downloaded.", "Run the command again, and answer y.")
