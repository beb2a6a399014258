"""Imports run one way: deployments → flows → tasks → blocks → cordboard, and inside cordboard towards its ground."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import networkx as nx

CHECKOUT = Path(__file__).parents[2]
HOUSE = ("deployments", "flows", "tasks", "blocks", "cordboard")

#: Inside `cordboard` a module may import modules of its own storey and of those below; parts of one storey that stand
#: in different sets do not know each other.
STOREYS: tuple[tuple[set[str], ...], ...] = (
    ({"__main__"},),
    ({"cli"},),
    ({"layout"},),
    ({"kinds"}, {"doctor"}),
    ({"sandbox"}, {"sending", "registration", "updating", "starting", "completion", "recovery"}),
    ({"triggers"},),
    ({"chains"}, {"ivr"}, {"vendors"}, {"records"}),
    ({"documents"}, {"telemetry"}),
    ({"errors", "files", "findings", "jsontext", "redaction", "settings", "__init__"},),
)


def test_no_layer_imports_a_layer_above_it() -> None:
    upwards = [
        f"{path}: {target}"
        for path, target in _imports(*HOUSE)
        if _is_ours(target) and HOUSE.index(target.split(".")[0]) < HOUSE.index(path.parts[0])
    ]
    assert upwards == []


def test_cordboard_never_imports_prefect() -> None:
    """The domain runs, and is tested, without an orchestrator."""
    assert [f"{path}: {target}" for path, target in _imports("cordboard") if target.split(".")[0] == "prefect"] == []


def test_inside_cordboard_imports_run_downwards() -> None:
    wrong = []
    for path, target in _imports("cordboard"):
        if not target.startswith("cordboard."):
            continue
        here, there = _storey(_part(path.with_suffix("").parts[1])), _storey(_part(target.split(".")[1]))
        if there[0] < here[0] or (there[0] == here[0] and there[1] != here[1]):
            wrong.append(f"{path}: {target}")
    assert wrong == []


def test_modules_import_each_other_in_no_circle() -> None:
    graph = nx.DiGraph()
    modules = {_module(path) for path in _sources(*HOUSE)}
    for path, target in _imports(*HOUSE, typing_too=False):
        source = _module(path)
        known = next((name for name in (target, target.rpartition(".")[0]) if name in modules), None)
        if known and known != source:
            graph.add_edge(source, known)
    assert [names for names in nx.strongly_connected_components(graph) if len(names) > 1] == []


def test_a_circle_would_be_seen(tmp_path: Path) -> None:
    """The reader of imports sees both forms, also inside functions."""
    source = tmp_path / "module.py"
    source.write_text("import a.b\ndef f():\n    from c.d import e\n")
    assert _targets(source, typing_too=True) == ("a.b", "c.d.e", "c.d")


def _imports(*folders: str, typing_too: bool = True) -> Iterator[tuple[Path, str]]:
    for path in _sources(*folders):
        for target in _targets(CHECKOUT / path, typing_too):
            yield path, target


def _sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (path.relative_to(CHECKOUT) for path in sorted((CHECKOUT / folder).rglob("*.py")))


@cache
def _targets(path: Path, typing_too: bool) -> tuple[str, ...]:
    return tuple(_found_in(path, typing_too))


@cache
def _nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def _found_in(path: Path, typing_too: bool) -> Iterator[str]:
    nodes = _nodes(path)
    hidden = set() if typing_too else {id(inner) for node in nodes if _only_typing(node) for inner in ast.walk(node)}
    for node in nodes:
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield str(node.module)


def _only_typing(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _is_ours(target: str) -> bool:
    return target.split(".", maxsplit=1)[0] in HOUSE


def _module(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _part(name: str) -> str:
    return name.removesuffix(".py")


def _storey(part: str) -> tuple[int, int]:
    for level, storey in enumerate(STOREYS):
        for side, names in enumerate(storey):
            if part in names:
                return level, side
    return len(STOREYS) - 1, 0  # a name such as `__version__`, imported from the package itself
