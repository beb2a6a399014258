"""Draws a chain: Mermaid for Markdown and the Prefect UI, DOT for Graphviz. The same chain gives the same text."""

from __future__ import annotations

from collections.abc import Iterator

from cordboard.chains.model import Action, Chain
from cordboard.chains.plan import plan_chain

_LONGEST = 60


def to_mermaid(chain: Chain) -> str:
    """The chain as a Mermaid flowchart: every action a box, an arrow to each that waits for it."""
    numbers = _numbers(chain)
    lines = ["flowchart LR"]
    for name, action in chain.actions.items():
        label = "<br/>".join(_mermaid_text(line) for line in _label(action))
        opening, closing = ("[[", "]]") if action.for_each else ("[", "]")
        lines.append(f'    {numbers[name]}{opening}"{label}"{closing}')
    lines += [f"    {numbers[before]} --> {numbers[after]}" for before, after in _arrows(chain)]
    return "\n".join(lines) + "\n"


def to_dot(chain: Chain) -> str:
    """The chain as a Graphviz digraph; a `for_each` is a box with a double border."""
    numbers = _numbers(chain)
    lines = [f"digraph {_dot_text(chain.name)} {{", "    rankdir=LR;", '    node [shape=box, fontname="sans-serif"];']
    for name, action in chain.actions.items():
        border = ", peripheries=2" if action.for_each else ""
        label = _dot_text("\n".join(_label(action)))
        lines.append(f"    {numbers[name]} [label={label}{border}];")
    lines += [f"    {numbers[before]} -> {numbers[after]};" for before, after in _arrows(chain)]
    return "\n".join([*lines, "}"]) + "\n"


def _numbers(chain: Chain) -> dict[str, str]:
    """Ids that cannot clash with words of either language, such as `end`."""
    return {name: f"a{number}" for number, name in enumerate(chain.actions, start=1)}


def _arrows(chain: Chain) -> Iterator[tuple[str, str]]:
    plan = plan_chain(chain)
    return ((before, after) for before in plan.order for after in plan.downstream[before])


def _label(action: Action) -> Iterator[str]:
    yield action.id
    yield action.definition_id
    if action.for_each:
        yield _short(f"for each of {action.for_each}")
    if action.when:
        yield _short(f"when {action.when}")
    if action.on_failure.mode != "stop":
        yield f"on failure: {action.on_failure.mode}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _mermaid_text(text: str) -> str:
    return "".join(char if char.isalnum() or char in " _-.,:()" else f"#{ord(char)};" for char in text)


def _dot_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
