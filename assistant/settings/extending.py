"""Settings added by other packages: names of engines and sound backends, and sections of keys.

Knows none of our keys. Packages are asked when settings are read, not when they are defined.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pydantic import BaseModel, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, create_model
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

M = TypeVar("M", bound=BaseModel)

log = logging.getLogger(__name__)

AT_START = Field(json_schema_extra={"x-at-start": True})
"""Marks a key, or a section of keys, that takes effect at the next start only."""


class Named:
    """Marks text that must be one of these names, which are known only after packages are queried."""

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self._names = names

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "enum": [*self._names()]}

    def _checked(self, name: str) -> str:
        if name not in (names := [*self._names()]):
            raise PydanticCustomError("unknown_name", "must be {names}", {"names": " or ".join(names)})
        return name


def with_sections(model: type[M], added: Iterable[tuple[str, str, Any, bool]]) -> type[M]:
    """Return ``model`` with additional sections: (parent section, name, keys, only read at start).

    A section without valid defaults is left out.
    """
    sections: dict[str, dict[str, Any]] = defaultdict(dict)
    for section, name, keys, at_start in added:
        try:
            of_start = AT_START.json_schema_extra if at_start else None
            sections[section][name] = (keys, Field(default=keys(), json_schema_extra=of_start))
        except ValueError as error:  # noqa: PERF203 - a key without a default
            log.warning("settings=%s.%s left-out=%r", section, name, str(error))
    fields: dict[str, Any] = {}
    for section, more in sections.items():
        base: Any = model.model_fields[section].annotation
        grown = create_model(base.__name__, __base__=base, __doc__=base.__doc__, **more)
        fields[section] = (grown, grown())
    return create_model(model.__name__, __base__=model, __doc__=model.__doc__, **fields) if fields else model
