"""What an expression refers to, and whether it asks first if that is there.

`{{ enrich.email }}` needs `enrich`. `{{ enrich.email | default('') }}` does not, nor does
`{{ enrich.email if enrich is defined else '' }}`: such references are *guarded*, and an action that may have been
skipped can only be named by guarded ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from jinja2 import nodes

Steps = tuple[str | int, ...]
NULL = "null"
"""JSON's spelling, which Jinja's parser takes for a name; templates take it for `none`."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One name with the access path behind it, such as `enrich.contacts[0].id`.

    Attributes:
        root: the name, such as `enrich`, `params` or `item`.
        path: keys and indexes behind it, as far as they are constants.
        guarded: whether the expression works, too, where the root is not there.
        whole: whether the path is the whole access; False where it goes on by a computed key.
    """

    root: str
    path: Steps = ()
    guarded: bool = False
    whole: bool = True

    def as_guarded(self) -> Reference:
        """The same reference, guarded."""
        return replace(self, guarded=True)

    def __str__(self) -> str:
        steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return self.root + "".join(steps)


def references(node: nodes.Node) -> Iterator[Reference]:
    """Every reference of an expression, in the order of reading."""
    return _walk(node, frozenset())


def reference_of(node: nodes.Node) -> Reference | None:
    """The reference that an expression is, or None where it is anything else."""
    if isinstance(node, nodes.Name):
        return None if node.name == NULL else Reference(node.name)
    if isinstance(node, nodes.Getattr | nodes.Getitem):
        owner = reference_of(node.node)
        return None if owner is None else _step(owner, node)
    return None


def certain(node: nodes.Node, *, when: bool = True) -> frozenset[str]:
    """The roots that are surely there where the expression is true (or false, for `when=False`)."""
    if isinstance(node, nodes.Not):
        return certain(node.node, when=not when)
    if isinstance(node, nodes.And if when else nodes.Or):
        return certain(node.left, when=when) | certain(node.right, when=when)
    if isinstance(node, nodes.Test) and node.name == ("defined" if when else "undefined"):
        found = reference_of(node.node)
        return frozenset() if found is None else frozenset({found.root})
    return frozenset()


def _step(owner: Reference, node: nodes.Getattr | nodes.Getitem) -> Reference:
    key = node.attr if isinstance(node, nodes.Getattr) else node.arg
    if isinstance(key, nodes.Const):
        key = key.value
    if owner.whole and isinstance(key, str | int):
        return replace(owner, path=(*owner.path, key))
    return replace(owner, whole=False)


def _walk(node: nodes.Node, known: frozenset[str]) -> Iterator[Reference]:
    found = reference_of(node)
    if found is not None:
        yield found.as_guarded() if found.root in known else found
        yield from _computed_keys(node, known)
        return
    for child, also_known in _children(node):
        yield from _walk(child, known | also_known)


def _computed_keys(node: nodes.Node, known: frozenset[str]) -> Iterator[Reference]:
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        if isinstance(node, nodes.Getitem):
            yield from _walk(node.arg, known)
        node = node.node


def _children(node: nodes.Node) -> Iterator[tuple[nodes.Node, frozenset[str]]]:
    """The parts of an expression, each with the roots that are surely there when it is evaluated."""
    if isinstance(node, nodes.And | nodes.Or):
        yield node.left, frozenset()
        yield node.right, certain(node.left, when=isinstance(node, nodes.And))
    elif isinstance(node, nodes.CondExpr):
        yield node.test, frozenset()
        yield node.expr1, certain(node.test)
        if node.expr2 is not None:
            yield node.expr2, certain(node.test, when=False)
    else:
        asked = _asked(node)
        for child in node.iter_child_nodes():
            yield child, asked if child is getattr(node, "node", None) else frozenset()


def _asked(node: nodes.Node) -> frozenset[str]:
    """The roots that a `default` or an `is defined` on this expression takes care of."""
    asks = isinstance(node, nodes.Filter) and node.name == "default"
    asks = asks or (isinstance(node, nodes.Test) and node.name in {"defined", "undefined"})
    inner = getattr(node, "node", None)
    while isinstance(inner, nodes.Filter):
        inner = inner.node
    found = reference_of(inner) if asks and inner is not None else None
    return frozenset() if found is None else frozenset({found.root})
