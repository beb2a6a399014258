"""From a document to a checked model, with every fault reported at its place."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from cordboard.documents import Document, join_path, read_document
from cordboard.errors import InvalidDocument
from cordboard.findings import Finding


class Part(BaseModel):
    """A part of a sandbox file: strict types, no unknown keys, unchangeable."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


ModelT = TypeVar("ModelT", bound=BaseModel)


def read_model(model: type[ModelT], path: Path, kind: str) -> ModelT:
    """Reads a YAML or JSON file into a model.

    Raises:
        InvalidDocument: the file cannot be read or breaks the model's rules; all faults at once.
    """
    return parse_model(model, read_document(path, kind))


def parse_model(model: type[ModelT], document: Document) -> ModelT:
    """Checks a document against a model.

    Raises:
        InvalidDocument: the document breaks the model's rules; all faults at once.
    """
    try:
        return model.model_validate_json(json.dumps(document.value))  # JSON mode: strict, yet a list may fill a tuple
    except ValidationError as error:
        raise InvalidDocument(tuple(_findings(error, model, document))) from None


def _findings(error: ValidationError, model: type[BaseModel], document: Document) -> Iterator[Finding]:
    kind = model.__name__.lower()
    for fault in error.errors(include_url=False, include_input=False):
        path = _path(fault, document.value)
        unknown = fault["type"] == "extra_forbidden"
        yield Finding(
            rule=f"{kind}/{fault['type'].replace('_', '-')}",
            message="unknown key" if unknown else fault["msg"].removeprefix("Value error, "),
            path=path,
            file=document.file,
            line=document.line(path),
            hint=_hint(str(fault["loc"][-1]), model) if unknown else "",
        )


def _path(fault: ErrorDetails, value: Any) -> str:
    """The place in the document. Pydantic's own adds names of union branches, which the author never wrote."""
    path = ""
    for part in fault["loc"]:
        inside = part in value if isinstance(value, dict) else isinstance(value, list) and isinstance(part, int)
        if inside or fault["type"] == "missing":
            path = join_path(path, part)
        value = value[part] if inside else value
    return path


def _hint(key: str, model: type[BaseModel]) -> str:
    near = difflib.get_close_matches(key, _known_keys(model), n=1)
    return f"did you mean {near[0]}?" if near else "remove it; nothing reads it"


def _known_keys(model: type[BaseModel]) -> set[str]:
    schema = model.model_json_schema()
    return {key for part in [schema, *schema.get("$defs", {}).values()] for key in part.get("properties", {})}
