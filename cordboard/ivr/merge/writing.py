"""A patch as a YAML file, which reads back as the same patch."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

import yaml
from pydantic import ValidationError

from cordboard.documents import parse_document
from cordboard.errors import BadCall, InvalidDocument
from cordboard.ivr.merge.applying import WAYS
from cordboard.ivr.merge.patch import NodeChange, Patch, WayChange
from cordboard.ivr.merge.reading import read_patch
from cordboard.ivr.merge.shape import OWN_FIELDS, NodeChangeShape


def written(patch: Patch) -> str:
    """The text of a patch's file, in YAML.

    Raises:
        BadCall: the patch holds what no file of ours may hold, such as control characters.
    """
    document: dict[str, Any] = {"kind": "ivr-patch", "flow_id": patch.flow_id, "base_version": patch.base_version}
    document |= {name: text for name, text in (("reason", patch.reason), ("start", patch.start)) if text}
    document |= {"nodes": {name: change and _node(change) for name, change in patch.nodes.items()}}
    document |= {"replace": {name: dict(body) for name, body in patch.replace.items()}} if patch.replace else {}
    text = yaml.dump(document, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=110)
    try:
        again, findings = read_patch(parse_document(text, "patch"))
    except InvalidDocument as error:
        again, findings = None, error.findings
    if again != patch:
        raise BadCall(f"this patch cannot be written as a file: {'; '.join(map(str, findings)) or 'it would change'}")
    return text


class _Writer(yaml.SafeDumper):
    """Writes no aliases, and each number as one that our reader takes for a number."""

    def ignore_aliases(self, data: Any) -> bool:
        """Nothing is ever referred to."""
        return True

    def float_in_digits(self, data: float) -> yaml.ScalarNode:
        """A number without an exponent."""
        digits = format(Decimal(repr(data)), "f")
        return self.represent_scalar("tag:yaml.org,2002:float", digits if "." in digits else f"{digits}.0")

    yaml_representers: ClassVar[Any] = {**yaml.SafeDumper.yaml_representers, float: float_in_digits}


def _node(change: NodeChange) -> dict[str, Any]:
    made: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in change.fields.items():
        (made if name in OWN_FIELDS and _fits(name, value) else rest)[name] = value
    made |= {"fields": rest} if rest else {}
    if change.ways:
        made["transitions"] = {way.condition: _way(way) for way in change.ways}
    if change.all_ways is not None:
        made[WAYS] = [dict(way) for way in change.all_ways]
    return made


def _fits(name: str, value: Any) -> bool:
    try:
        NodeChangeShape.model_validate({name: value})
    except ValidationError:
        return False
    return True


def _way(change: WayChange) -> Any:
    if change.removed:
        return None
    place: Mapping[str, Any] = {change.where: change.other or True} if change.where else {}
    return {**({"to": change.to} if change.to else {}), **place} if place else change.to
