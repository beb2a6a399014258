"""A patch applied to the flow from which its author started."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from cordboard.errors import BadCall, InvalidDocument
from cordboard.findings import Finding, did_you_mean, near
from cordboard.ivr.canonical import way
from cordboard.ivr.dialects.fields import leads_by_default
from cordboard.ivr.dialects.genesys import from_genesys, to_genesys
from cordboard.ivr.merge.patch import NodeChange, Patch, WayChange
from cordboard.ivr.model import Flow, Transition
from cordboard.outline import join_path

WAYS = "transitionConditions"
#: Looking for names that are spelled alike takes milliseconds; beyond so many findings nobody reads them.
MAX_HINTS = 200


def apply_patch(patch: Patch, base: Flow) -> Flow:
    """The flow as the author of a patch wants it.

    Args:
        patch: the changes.
        base: the flow in the version from which the author edited.

    Raises:
        InvalidDocument: the patch is for another flow or version, or changes or removes what the flow does not have.
        BadCall: the flow is none of Genesys, or one that Genesys has no words for.
    """
    body = vendor_form(base)
    work = _Work(patch)
    work.apply(body, base)
    if work.findings:
        raise InvalidDocument(tuple(sorted(work.findings, key=lambda finding: finding.line or 0)))
    made = from_genesys(body)
    return replace(base, start=made.start, nodes=made.nodes, transitions=made.transitions)


def vendor_form(flow: Flow) -> dict[str, Any]:
    """The flow as Genesys writes it.

    Raises:
        BadCall: the flow is none of Genesys, or one that Genesys has no words for.
    """
    try:
        return to_genesys(flow)
    except ValueError as error:
        raise BadCall(f"patches change flows of Genesys: {error}") from None


def normal(condition: str) -> tuple[str, str]:
    """A condition of Genesys in its normal spelling, and the type of its transition."""
    kind = "default" if leads_by_default(condition) else "conditional"
    return way(Transition("", "", condition, "default" if kind == "default" else "conditional"))


def new_node(name: str) -> dict[str, Any]:
    """A node of Genesys of which nothing is said yet."""
    return {"id": name, WAYS: []}


def changed(node: Mapping[str, Any], change: NodeChange) -> dict[str, Any] | None:
    """A node of Genesys with a change; None where the change cannot be made."""
    work = _Work(Patch("", 0))
    made = work.changed(node, change, "")
    return None if work.findings else made


class _Work:
    """Applies one patch to a body of Genesys, in place, and notes what cannot be done."""

    def __init__(self, patch: Patch) -> None:
        self._patch = patch
        self.findings: list[Finding] = []

    def apply(self, body: dict[str, Any], base: Flow) -> None:
        """Makes all changes that can be made."""
        self._check_target(base)
        nodes = body["nodes"] = dict(body["nodes"])
        there = list(nodes)
        for name, change in self._patch.nodes.items():
            path = join_path("nodes", name)
            if name not in nodes and (change is None or "type" not in change.fields):
                self._note("unknown-node", _missing(change, name), path, name, there)
            elif change is None:
                del nodes[name]
            else:
                nodes[name] = self.changed(nodes.get(name) or new_node(name), change, path)
        for name, whole in self._patch.replace.items():
            nodes[name] = {**new_node(name), **whole}
        if self._patch.start and self._patch.start not in nodes:
            message = f"there is no node `{self._patch.start}`"
            self._note("unknown-node", message, "start", self._patch.start, nodes)
        elif self._patch.start:
            body["startNodeId"] = self._patch.start

    def _check_target(self, base: Flow) -> None:
        if self._patch.flow_id != base.id:
            self._note(
                "other-flow", f"the patch is for `{self._patch.flow_id}`, and the flow is `{base.id}`", "flow_id"
            )
        if base.version is not None and base.version != self._patch.base_version:
            message = f"the author edited version {self._patch.base_version}, and this is version {base.version}"
            self._note("other-version", message, "base_version")

    def changed(self, node: Mapping[str, Any], change: NodeChange, path: str) -> dict[str, Any]:
        """A node as a change at a path makes it."""
        made = self._patched(node, change.fields, path)
        if change.all_ways is not None:
            made[WAYS] = [dict(each) for each in change.all_ways]
        if change.ways:
            ways = _Ways(node.get(WAYS, ()))
            for each in change.ways:
                for rule, message, wanted in ways.change(each):
                    here = join_path(f"{path}.transitions", each.condition)
                    self._note(rule, message, here, wanted, ways.known)
            made[WAYS] = ways.bodies
        return made

    def _patched(self, value: Mapping[str, Any], patch: Mapping[str, Any], path: str) -> dict[str, Any]:
        """A JSON merge patch (RFC 7396), except that only what is there can be taken away."""
        made = dict(value)
        for name, change in patch.items():
            here = self._place(path, name)
            if change is None and name not in made:
                self._note("unknown-field", "is taken away, and the flow does not have it", here, name, made)
            elif change is None:
                del made[name]
            elif isinstance(change, Mapping):
                old = made.get(name)
                made[name] = self._patched(old if isinstance(old, Mapping) else {}, change, here)
            else:
                made[name] = change
        return made

    def _place(self, path: str, name: str) -> str:
        """Where the file says something of a field: beside the others, or under `fields`."""
        document, below = self._patch.document, join_path(f"{path}.fields", name)
        return below if document and below in document.lines else join_path(path, name)

    def _note(self, rule: str, message: str, path: str, wanted: str = "", known: Iterable[str] = ()) -> None:
        document = self._patch.document
        file, line = (document.file, document.line(path)) if document else ("", None)
        hint = did_you_mean(near(wanted, known)) if wanted and len(self.findings) < MAX_HINTS else ""
        self.findings.append(Finding(f"patch/{rule}", message, path, file, line, hint))


class _Ways:
    """The ways out of one node while a patch changes them."""

    def __init__(self, bodies: Iterable[Mapping[str, Any]]) -> None:
        self.bodies = [dict(body) for body in bodies]
        self._keys = [normal(body["condition"]) for body in self.bodies]

    @property
    def known(self) -> list[str]:
        """The conditions, as they are spelled."""
        return [body["condition"] for body in self.bodies]

    def change(self, change: WayChange) -> Iterator[tuple[str, str, str]]:
        """Makes one change; yields what stands against it: rule, message and the condition that was looked for."""
        key = normal(change.condition)
        found, other = self._keys.count(key), normal(change.other)
        if found > 1:
            yield "ambiguous", "this condition stands more than once: give all `transitionConditions`", ""
        elif not found and (change.removed or not change.to):
            message = f"there is no transition with this condition to {'take away' if change.removed else 'move'}"
            yield "unknown-transition", message, change.condition
        elif change.other and (self._keys.count(other) != 1 or other == key):
            message = f"there is no other transition `{change.other}` to stand {change.where}, or more than one"
            yield "unknown-transition", message, change.other
        else:
            self._make(change, key, self._keys.index(key) if found else len(self._keys))

    def _make(self, change: WayChange, key: tuple[str, str], index: int) -> None:
        body = {"condition": change.condition, "destinationNodeId": change.to}
        if index < len(self._keys):
            old = self.bodies.pop(index)
            body = {**old, "destinationNodeId": change.to or old["destinationNodeId"]}
            del self._keys[index]
        if change.removed:
            return
        if change.where:
            index = 0 if change.where == "first" else self._keys.index(normal(change.other))
            index += change.where == "after"
        self.bodies.insert(index, body)
        self._keys.insert(index, key)


def _missing(change: NodeChange | None, name: str) -> str:
    if change is None:
        return "is taken away, and the flow does not have it"
    return f"the flow has no node `{name}`, and a new one needs a `type`"
