"""Licenses with conditions that the user must accept, and which of them were accepted in this store.

Most models may be used by anyone for anything; the makers of Llama and Gemma ask for more. Acceptance is
recorded beside the models, so the user is asked once per license. This is not legal advice: the module knows
names and URLs, and shows them before a model is installed, not after.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from assistant.core.errors import LicenceNotAccepted
from assistant.runtime.json_file import facts
from assistant.store.catalog import Model
from assistant.store.disk import make_folder, replace_content, writing

log = logging.getLogger(__name__)

ACCEPTED = ".licences.json"
MAX_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Terms:
    """Conditions that must be accepted."""

    key: str
    """Identifies them in the store's record."""
    title: str
    address: str
    """URL of their text."""


KNOWN = (
    Terms("llama2", "Llama 2 Community License", "https://www.llama.com/llama2/license/"),
    Terms("llama3.1", "Llama 3.1 Community License", "https://www.llama.com/llama3_1/license/"),
    Terms("llama3.2", "Llama 3.2 Community License", "https://www.llama.com/llama3_2/license/"),
    Terms("llama3.3", "Llama 3.3 Community License", "https://www.llama.com/llama3_3/license/"),
    Terms("llama3", "Llama 3 Community License", "https://www.llama.com/llama3/license/"),
    Terms("llama4", "Llama 4 Community License", "https://www.llama.com/llama4/license/"),
    Terms("gemma", "Gemma Terms of Use", "https://ai.google.dev/gemma/terms"),
)
"""Names that model hubs use; a longer name precedes any shorter one it starts with."""


def terms(licence: str, address: str = "") -> Terms | None:
    """Return the conditions of the named license, or None if none are known.

    ``address`` is the URL of the conditions from the catalog, for a license of any name.
    """
    bare = re.sub(r"^licenseref|[^a-z0-9.]|community|licen[cs]e", "", licence.lower())
    found = next((known for known in KNOWN if bare.startswith(known.key)), None)
    if address and found is None:
        return Terms(licence, licence, address)
    return found


def terms_of(model: Model) -> Terms | None:
    """Return the conditions that must be accepted before a catalog model is installed."""
    return terms(model.licence, model.licence_terms)


def accepted(models_dir: Path) -> Mapping[str, str]:
    """Key of the terms -> when they were accepted (UTC, ISO 8601)."""
    said = facts(models_dir / ACCEPTED, MAX_BYTES)
    return {key: when for key, when in said.items() if isinstance(when, str)}


Agree = Callable[[str, str], None]
"""Called with a model's name and license as soon as they are known. Raises LicenceNotAccepted."""


def agreement(models_dir: Path, *, accept: bool) -> Agree:
    """Return a function that checks the license of a model the user named. See ``require``."""

    def agree(model: str, licence: str) -> None:
        require(models_dir, [(model, terms(licence))], accept=accept)

    return agree


def require(models_dir: Path, wanted: Iterable[tuple[str, Terms | None]], *, accept: bool) -> None:
    """Raise LicenceNotAccepted for the first of ``wanted`` (model, its terms) that was never accepted.

    With ``accept`` they are accepted now, and that is recorded.
    """
    already = dict(accepted(models_dir))
    new = {}
    for name, its in wanted:
        if its is None or its.key in already:
            continue
        if not accept:
            raise LicenceNotAccepted(
                f"{name} is licensed under the {its.title}, which has conditions: {its.address}.",
                "Read them. To accept, run the same command with --accept-licence.",
            )
        new[its.key] = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
        log.info("accepted licence=%s model=%s", its.key, name)
    if new:
        with writing(models_dir):
            make_folder(models_dir)
            replace_content(models_dir / ACCEPTED, json.dumps(already | new, indent=1) + "\n")
