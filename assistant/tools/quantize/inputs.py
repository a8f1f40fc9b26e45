"""The inputs of a recipe: what must be measured or computed for a model before a file can be made.

Each is made once, when first needed, so that a comparison of many formats reads the calibration text only
once. They are stored in the workspace and deleted with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from assistant.store.progress import Watcher
from assistant.tools.quantize import awq, dialogues, qat
from assistant.tools.quantize.dialogues import Texts
from assistant.tools.quantize.gguf_io import GgufWeights, copy_with, is_plain
from assistant.tools.quantize.importance import (
    Correlations,
    Importance,
    gather_correlations,
    gather_importance,
    save_importance,
)
from assistant.tools.quantize.qat import Trained
from assistant.tools.quantize.quantizer import Job, quantize
from assistant.tools.quantize.recipe import FORMATS
from assistant.tools.quantize.scorers import opened
from assistant.tools.quantize.source import Source


@dataclass
class Inputs:
    """The inputs shared by all recipes for one source."""

    source: Source
    calibration: Path
    """The text that shows which weights matter."""
    spoken: Texts
    """What the assistant says."""
    threads: int
    work_dir: Path
    watcher: Watcher
    in_detail: bool = False
    """True if a method needs the correlations anyway; the text is then not read separately for less."""

    @property
    def calibrated(self) -> bool:
        """True if the calibration text was used for anything made here."""
        return not {"importance", "correlations", "trained"}.isdisjoint(vars(self))

    @cached_property
    def plain(self) -> Path:
        """The model as a 16-bit GGUF file."""
        if is_plain(self.source.header):
            return self.source.file
        file = self.work_dir / "plain" / "plain.gguf"
        file.parent.mkdir()
        job = Job(str(self.source.file), str(file), FORMATS["f16"].number, self.threads)
        return quantize(job, FORMATS["f16"], self.watcher).file

    @cached_property
    def importance(self) -> Importance:
        """How strongly each column is driven."""
        if self.in_detail:
            return self.correlations.importance()
        texts = dialogues.read(self.calibration)
        return gather_importance(self.source.folder, texts, self.spoken, self.threads, self.watcher)

    @cached_property
    def correlations(self) -> Correlations:
        """How the inputs of each matrix are correlated."""
        texts, to = dialogues.read(self.calibration), self.work_dir / "correlations"
        header = self.source.header
        return gather_correlations(self.source.folder, header, texts, self.spoken, to, self.watcher)

    @cached_property
    def balanced(self) -> tuple[Path, Importance]:
        """The plain model after AWQ, and how strongly its columns are then driven."""
        found = awq.folded(GgufWeights(self.plain), self.correlations, self.watcher)
        file = self.work_dir / "balanced" / "balanced.gguf"
        file.parent.mkdir()
        copy_with(self.plain, file, found.arrays)
        return file, found.importance(self.correlations.importance())

    @cached_property
    def trained(self) -> Trained:
        """The plain model after a short training for 4 bits."""
        with opened(self.source.folder, self.threads, self.watcher) as scorer:
            passages = scorer.passages(dialogues.read(self.calibration))
        return qat.train(
            self.plain, self.importance, passages, self.threads, self.work_dir / "trained", self.watcher
        )

    def weighed(self, method: str) -> Importance:
        """Return how strongly the columns are driven in the model that ``method`` rounds."""
        match method:
            case "awq":
                return self.balanced[1]
            case "gptq":  # The text need not be read again.
                return self.correlations.importance()
            case _:
                return self.importance

    def saved(self, matrix: Importance, name: str) -> Path:
        """Write an importance matrix to a file, for the quantizer process."""
        file = self.work_dir / f"{name}.npz"
        save_importance(matrix, file)
        return file
