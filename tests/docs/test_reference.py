"""The architecture page says what is so, and the site of the documentation has every page and every module."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml

from tests.architecture.test_layers import HOUSE, STOREYS

CHECKOUT = Path(__file__).parents[2]
ARCHITECTURE = (CHECKOUT / "docs" / "architecture.md").read_text()


def picture() -> Iterator[str]:
    """The drawing of the layers, made from the tables that the architecture test holds imports against."""
    yield "flowchart TB"
    yield f"    {' --> '.join(HOUSE)}"
    yield "    subgraph cordboard"
    yield "        direction TB"
    for level, storey in enumerate(STOREYS):
        boxes = ["<br/>".join(sorted(parts)).replace("__", "#95;#95;") for parts in storey]
        if len(boxes) == 1:
            yield f'        row{level}["{boxes[0]}"]'
            continue
        yield f'        subgraph row{level}[" "]'
        yield "            direction TB"
        yield from (f'            row{level}_{side}["{box}"]' for side, box in enumerate(boxes))
        yield "        end"
    yield f"        {' --> '.join(f'row{level}' for level in range(len(STOREYS)))}"
    yield "    end"


def test_the_picture_of_the_layers_is_that_of_the_architecture_test() -> None:
    (drawn,) = re.findall(r"```mermaid\n(.*?)```", ARCHITECTURE, re.DOTALL)
    expected = "".join(f"{line}\n" for line in picture())
    assert drawn == expected, f"put this into docs/architecture.md:\n{expected}"


def test_every_folder_has_its_line_and_every_line_its_folder() -> None:
    packages = {path.parent for path in CHECKOUT.glob("cordboard/*/__init__.py")} | {CHECKOUT / name for name in HOUSE}
    table = ARCHITECTURE.partition("## What each folder holds")[2].partition("\n## ")[0]
    listed = set(re.findall(r"(?m)^\| `([\w/]+)` \|", table))
    assert listed == {str(path.relative_to(CHECKOUT)) for path in packages}


def test_code_that_the_page_names_exists() -> None:
    for path in re.findall(r"`((?:cordboard|tests)/[\w/]+\.py)`", ARCHITECTURE):
        assert (CHECKOUT / path).is_file(), path
    assert "def send_once(" in (CHECKOUT / "cordboard" / "sending" / "once.py").read_text()


# --- the site, without building it: `make docs` does that, and a warning fails it -------------------------------------


class _Settings(yaml.SafeLoader):
    """Reads mkdocs.yml, whose tags name functions of libraries."""


_Settings.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda _loader, name, _node: name)
SITE: dict[str, Any] = yaml.load((CHECKOUT / "mkdocs.yml").read_text(), _Settings)


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_hooks", CHECKOUT / SITE["hooks"][0])
    assert spec and spec.loader
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    return module


def pages_in(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for entry in nav if isinstance(nav, list) else nav.values():
            yield from pages_in(entry)


def test_the_site_has_every_page_once(hooks: ModuleType) -> None:
    pages = [path.name for path in (CHECKOUT / "docs").glob("*.md")]
    assert sorted(pages_in(SITE["nav"])) == sorted([*pages, *hooks.FROM_THE_ROOT.values()])


def test_the_reference_has_every_package_and_module(hooks: ModuleType) -> None:
    named = dict(hooks.references())
    assert set(HOUSE) <= set(named)
    for layer in HOUSE:
        for path in (CHECKOUT / layer).rglob("*.py"):
            parts = path.relative_to(CHECKOUT).with_suffix("").parts
            if not parts[-1].startswith("_"):
                page = ".".join(parts[: 2 if layer == "cordboard" else 1])
                assert named[page] == f"reference/{page}.md"
    assert all(importlib.util.find_spec(name) for name in named)


def test_a_warning_is_an_error(hooks: ModuleType) -> None:
    """`--quiet` would take warnings away before they are counted."""
    (command,) = re.findall(r"(?m)^docs:.*\n\t(.*)$", (CHECKOUT / "Makefile").read_text())
    assert command.endswith("-m mkdocs build --strict")
    extras = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert any(need.startswith("mkdocstrings[python]") for need in extras["docs"])


@pytest.mark.parametrize(
    ("page", "link", "led"),
    [
        ("index.md", "[a](docs/simulate.md)", "[a](simulate.md)"),
        ("index.md", "[a](LICENSE)", "a"),
        ("simulate.md", "[a](../README.md#try-it)", "[a](index.md#try-it)"),
        ("simulate.md", "[a](../examples/faults.yaml)", "a"),
        ("simulate.md", "[a](nowhere.md)", "[a](nowhere.md)"),  # and mkdocs tells
        ("simulate.md", "[a](https://example.com/x) [b](#engines)", "[a](https://example.com/x) [b](#engines)"),
    ],
)
def test_links_lead_to_where_the_site_has_the_page(hooks: ModuleType, page: str, link: str, led: str) -> None:
    where = SimpleNamespace(file=SimpleNamespace(src_uri=page))
    assert hooks.on_page_markdown(link, where) == led
