"""Licences with conditions that a person must agree to, and who agreed to which in this store.

Most models may be used by anybody for anything; the makers of Llama and Gemma ask for more. What was
agreed to lies beside the models, so that one is asked once for each licence. This is no legal advice: it
knows names and web addresses, and shows them before a model comes in, not after.
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
    """Conditions that must be agreed to."""

    key: str
    """What the store remembers them by."""
    title: str
    address: str
    """Where they are read."""


KNOWN = (
    Terms("llama2", "Llama 2 Community License", "https://www.llama.com/llama2/license/"),
    Terms("llama3.1", "Llama 3.1 Community License", "https://www.llama.com/llama3_1/license/"),
    Terms("llama3.2", "Llama 3.2 Community License", "https://www.llama.com/llama3_2/license/"),
    Terms("llama3.3", "Llama 3.3 Community License", "https://www.llama.com/llama3_3/license/"),
    Terms("llama3", "Llama 3 Community License", "https://www.llama.com/llama3/license/"),
    Terms("llama4", "Llama 4 Community License", "https://www.llama.com/llama4/license/"),
    Terms("gemma", "Gemma Terms of Use", "https://ai.google.dev/gemma/terms"),
)
"""As model hubs call them; the longer name before the one that it begins with."""


def terms(licence: str, address: str = "") -> Terms | None:
    """The conditions of the licence of that name; None when it has none that are known here.

    ``address`` is where the catalogue says that they are read, for a licence of any name.
    """
    bare = re.sub(r"^licenseref|[^a-z0-9.]|community|licen[cs]e", "", licence.lower())
    found = next((known for known in KNOWN if bare.startswith(known.key)), None)
    if address and found is None:
        return Terms(licence, licence, address)
    return found


def terms_of(model: Model) -> Terms | None:
    """What must be agreed to before a model of the catalogue comes in."""
    return terms(model.licence, model.licence_terms)


def accepted(models_dir: Path) -> Mapping[str, str]:
    """Key of the terms -> when they were agreed to (UTC, ISO 8601)."""
    said = facts(models_dir / ACCEPTED, MAX_BYTES)
    return {key: when for key, when in said.items() if isinstance(when, str)}


Agree = Callable[[str, str], None]
"""Told the name of a model and its licence, as soon as that is known. Raises LicenceNotAccepted."""


def agreement(models_dir: Path, *, accept: bool) -> Agree:
    """What asks about the licence of a model that a person named. As ``require``."""

    def agree(model: str, licence: str) -> None:
        require(models_dir, [(model, terms(licence))], accept=accept)

    return agree


def require(models_dir: Path, wanted: Iterable[tuple[str, Terms | None]], *, accept: bool) -> None:
    """Raises LicenceNotAccepted for the first of ``wanted`` (model, its terms) that no person agreed to.

    With ``accept`` somebody just did, and it is remembered.
    """
    already = dict(accepted(models_dir))
    new = {}
    for name, its in wanted:
        if its is None or its.key in already:
            continue
        if not accept:
            raise LicenceNotAccepted(
                f"{name} comes under the {its.title}, which has conditions: {its.address}.",
                "Read them; to agree, give the same command with --accept-licence.",
            )
        new[its.key] = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
        log.info("accepted licence=%s model=%s", its.key, name)
    if new:
        with writing(models_dir):
            make_folder(models_dir)
            replace_content(models_dir / ACCEPTED, json.dumps(already | new, indent=1) + "\n")
