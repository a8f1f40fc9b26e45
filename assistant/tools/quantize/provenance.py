"""What a model was made of and with, for its card: checksums of that, and versions of what worked on it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from assistant.store.folder import CHUNK_BYTES
from assistant.store.progress import Meter, Watcher
from assistant.tools.quantize import environments
from assistant.tools.quantize.checkpoint import convert
from assistant.tools.quantize.converter import PACKAGE
from assistant.tools.quantize.recipe import WITH_TORCH, Recipe


class Origin:
    """What there was before anything was made of it."""

    def __init__(self, watcher: Watcher) -> None:
        self.files: list[Path] = []
        self.converted = False
        """By llama.cpp's converter, from a checkpoint."""
        self._watcher = watcher

    def convert(self, folder: Path, to: Path) -> None:
        """``checkpoint.convert``, remembered."""
        self.files, self.converted = files_of(folder), True
        convert(folder, to, self._watcher)


def files_of(folder: Path) -> list[Path]:
    """A checkpoint's weights, or an adapter's, and what describes them; in order of their names."""
    kinds = ("*.safetensors", "config.json", "adapter_config.json")
    return sorted(file for kind in kinds for file in folder.glob(kind))


def checksum(files: Sequence[Path], watcher: Watcher) -> str:
    """SHA-256 of ``files``, one after the other."""
    digest = hashlib.sha256()
    meter = Meter("Checking the source", sum(file.stat().st_size for file in files), watcher)
    for file in files:
        with file.open("rb") as reader:
            while chunk := reader.read(CHUNK_BYTES):
                digest.update(chunk)
                meter.add(len(chunk))
    return digest.hexdigest()


def used(*, converted: bool, recipe: Recipe | None = None) -> dict[str, str]:
    """Versions of what is not in this environment: the packages beside torch, and llama.cpp's converter."""
    packages: list[str] = []
    if recipe and recipe.format.name in WITH_TORCH:
        packages += ["accelerate", "bitsandbytes"]
    if recipe and recipe.format.name == "hf-int4":
        packages.append("compressed-tensors")
    if recipe and recipe.method == "qat":
        packages.append("torchao")
    if converted or (recipe and recipe.needs_torch):
        packages += ["torch", "transformers"]
    versions = environments.versions("torch", packages) if packages else {}
    return versions | ({"converter": f"{PACKAGE.package} {PACKAGE.version}"} if converted else {})
