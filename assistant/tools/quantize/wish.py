"""What a person asked to be made of a language model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assistant.tools.quantize import card
from assistant.tools.quantize.block_numbers import BLOCK
from assistant.tools.quantize.recipe import Format, Recipe, tensor_name


@dataclass(frozen=True, slots=True)
class Wish:
    """One model; what was left open is decided by ``making.settled``."""

    source: str
    format: Format
    name: str = ""
    """In the store; empty makes one of the source's name and the format's."""
    imatrix: bool | None = None
    """None leaves it open."""
    method: str = ""
    """A name of METHODS; empty leaves it open."""
    act_order: bool | None = None
    """GPTQ: the columns first that matter most, which is the default."""
    group_size: int = BLOCK
    """Weights with one scale, for formats that leave it open."""
    calibration: Path | None = None
    """Text that shows which weights matter; None is the one that ships."""
    validation: Path | None = None
    """Text on which the loss is measured; None is the one that ships."""
    adapter: Path | None = None
    """A folder with a LoRA adapter, which becomes part of the model first."""
    keep_f16: str = ""
    output_type: int | None = None
    embedding_type: int | None = None
    through: str = ""
    """A format hf-... that is written first, and converted from."""
    threads: int = 1
    output: Path | None = None
    """For formats that nothing here runs: the folder that is made, instead of a model in the store."""
    accept_licence: bool = False
    """To the conditions of the source's licence, where it has any."""
    force: bool = False
    """Install what is measurably worse than it should be. What is broken is refused all the same."""

    @property
    def command(self) -> str:
        """What makes it again."""
        options: dict[str, str | bool] = {
            "to": self.format.name,
            "method": self.method,
            "imatrix" if self.imatrix else "no-imatrix": True,
            "no-act-order": self.act_order is False,
            "group-size": str(self.group_size) if self.group_size != BLOCK else "",
            "calibration": str(self.calibration or ""),
            "validation": str(self.validation or ""),
            "adapter": str(self.adapter or ""),
            "keep-f16": self.keep_f16,
            "output-type": tensor_name(self.output_type),
            "embedding-type": tensor_name(self.embedding_type),
            "as": self.name,
            "output": str(self.output or ""),
            "force": self.force,
        }
        return card.command(self.source, options=options)

    @property
    def recipe(self) -> Recipe:
        """How the file is made."""
        return Recipe(
            self.format,
            self.method,
            bool(self.imatrix),
            self.act_order is not False,
            self.group_size,
            self.keep_f16,
            self.output_type,
            self.embedding_type,
            self.through,
        )
