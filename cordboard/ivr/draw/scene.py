"""What there is to draw, whatever it is drawn with: boxes for nodes, arrows for transitions, words for both."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cordboard.findings import Finding, Severity
from cordboard.ivr.diff.wording import ALWAYS, ANYTHING_ELSE, condition_in_words, visible
from cordboard.ivr.draw.marks import Marks, marks_of, worse
from cordboard.ivr.model import START_TYPE, Flow, Node

Role = Literal["start", "end", "step", "unknown"]

_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True)
class Box:
    """One node.

    Attributes:
        id: the node's id, as it is.
        role: decides the shape; `unknown` is a node that is named by a transition and defined nowhere.
        title: its name, or its id where it has none.
        kind: the vendor's word for it, and its limit of visits.
        prompt: what the caller hears.
        anchor: what to call it in links; letters, digits, `_`, `.` and `-` only.
        decides: whether calls go on from it in more than one way.
        severity: the worst that is said about it.
        notes: what is said about it.
    """

    id: str
    role: Role
    title: str
    kind: str
    prompt: str = ""
    anchor: str = ""
    decides: bool = False
    severity: Severity | None = None
    notes: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Arrow:
    """One transition.

    Attributes:
        source: index of the box that it leaves.
        target: index of the box that it reaches.
        label: when it is taken, in words; empty where there is nothing to choose.
        severity: the worst that is said about it.
        returns: whether it leads back to a step that the call has been at.
    """

    source: int
    target: int
    label: str
    severity: Severity | None
    returns: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """A flow as it is drawn.

    Attributes:
        title: its name, or its id.
        summary: how large it is and what is wrong, in one line.
        start: index of the box where calls begin; None where there is no such node.
        boxes: in file order, undefined targets last.
        arrows: in file order.
        box_of: for each finding, in order, the index of the box it is about; None where it is about none.
    """

    title: str
    summary: str
    start: int | None
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    box_of: tuple[int | None, ...]


def scene_of(flow: Flow, findings: Sequence[Finding] = ()) -> Scene:
    """Prepares a flow and the findings about it; linear in the size of both."""
    marks = marks_of(flow, findings)
    nodes = {node.id: node for node in reversed(flow.nodes)}
    ends = (end for way in flow.transitions for end in (way.source, way.target))
    order = list(dict.fromkeys((*(node.id for node in flow.nodes), *ends)))
    index = {name: number for number, name in enumerate(order)}
    notes: dict[str, list[Finding]] = {}
    for node, finding in zip(marks.node_of, findings, strict=True):
        notes.setdefault(node, []).append(finding)
    start = index.get(flow.start)
    choices = Counter(way.source for way in flow.transitions)
    boxes = []
    for name, number in index.items():
        box = _box(flow, nodes[name]) if name in nodes else _undefined(name)
        severity = worse(box.severity, marks.nodes.get(name))
        said = tuple(notes.get(name, ()))
        decides = choices[name] > 1
        boxes.append(replace(box, anchor=_anchor(name, number), decides=decides, severity=severity, notes=said))
    return Scene(
        title=visible(flow.name or flow.id),
        summary=_summary(len(flow.nodes), len(flow.transitions), findings),
        start=start,
        boxes=tuple(boxes),
        arrows=tuple(_arrows(flow, index, start, marks)),
        box_of=tuple(index.get(node) for node in marks.node_of),
    )


def returning(count: int, ends: Sequence[tuple[int, int]], start: int | None) -> set[int]:
    """Which arrows lead back: those that close a circle when the flow is walked from its start, in order.

    Args:
        count: number of boxes.
        ends: source and target of each arrow.
        start: where to begin; what cannot be reached from there is walked in order afterwards.

    Returns:
        Indexes of arrows; without them there is no circle.
    """
    out: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    for arrow, (source, target) in enumerate(ends):
        out[source].append((arrow, target))
    open_, done, found = [False] * count, [False] * count, set()
    for root in (*([] if start is None else [start]), *_roots(count, ends), *range(count)):
        walk = [] if done[root] else [(root, iter(out[root]))]
        open_[root] = bool(walk)
        while walk:
            box, arrows = walk[-1]
            number, target = next(arrows, (-1, -1))
            if number < 0:
                open_[box], done[box] = False, True
                walk.pop()
            elif open_[target]:
                found.add(number)
            elif not done[target]:
                open_[target] = True
                walk.append((target, iter(out[target])))
    return found


def _roots(count: int, ends: Sequence[tuple[int, int]]) -> Iterator[int]:
    reached = {target for _, target in ends}
    return (box for box in range(count) if box not in reached)


def _anchor(name: str, number: int) -> str:
    return f"node-{name}" if _PLAIN_ID.fullmatch(name) else f"node--{number}"


def _undefined(name: str) -> Box:
    return Box(name, "unknown", visible(name), "not defined", severity=Severity.ERROR)


def _box(flow: Flow, node: Node) -> Box:
    role: Role = "end" if flow.ends_call(node) else "step"
    if node.id == flow.start or node.type == START_TYPE:
        role = "start"
    limit = f"{node.max_visits} visit{'' if node.max_visits == 1 else 's'} at most" if node.max_visits else ""
    kind = " · ".join(word for word in (visible(node.type), limit) if word)
    return Box(node.id, role, visible(node.name or node.id), kind, node.prompt)


def _arrows(flow: Flow, index: dict[str, int], start: int | None, marks: Marks) -> Iterator[Arrow]:
    ends = [(index[way.source], index[way.target]) for way in flow.transitions]
    back = returning(len(index), ends, start)
    choices = Counter(source for source, _ in ends)
    for number, (way, (source, target)) in enumerate(zip(flow.transitions, ends, strict=True)):
        label = condition_in_words(way.condition.strip(), way.type)
        plain = choices[source] == 1 and source != target and label in {ALWAYS, ANYTHING_ELSE}
        yield Arrow(source, target, "" if plain else label, marks.ways.get(number), number in back)


def _summary(nodes: int, ways: int, findings: Sequence[Finding]) -> str:
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    counts = ((nodes, "node"), (ways, "connection"), (errors, "error"), (len(findings) - errors, "warning"))
    said = [f"{count:,} {noun}{'' if count == 1 else 's'}" for count, noun in counts if count or noun == "node"]
    return ", ".join(said)
