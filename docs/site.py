"""What the site has beside the pages of this folder: README, changes and the API reference, made when it is built."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # this file is read where mkdocs is not installed too
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
HOUSE = ("cordboard", "blocks", "tasks", "flows", "deployments")
FROM_THE_ROOT = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?://|#)([^)#]+)(#[^)]*)?\)")


def references() -> Iterator[tuple[str, str]]:
    """The name of every part with a page of its own, and the page's path: packages, and modules beside them."""
    for layer in HOUSE:
        yield layer, f"reference/{layer}.md"
        for path in sorted((ROOT / layer).iterdir()) if layer == "cordboard" else ():
            if (path / "__init__.py").is_file() or (path.suffix == ".py" and not path.stem.startswith("_")):
                yield f"{layer}.{path.stem}", f"reference/{layer}.{path.stem}.md"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds the reference to the navigation."""
    assert config.nav is not None
    config.nav.append({"API reference": [{name: path} for name, path in references()]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made."""
    from mkdocs.structure.files import File  # noqa: PLC0415

    for name, path in references():
        whole = name != "cordboard"  # its parts have pages of their own
        content = f"::: {name}\n    options:\n      show_submodules: {str(whole).lower()}\n"
        files.append(File.generated(config, path, content=content))
    for source, path in FROM_THE_ROOT.items():
        files.append(File.generated(config, path, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Leads links to where the site has the page; what is a file but no page of the site keeps its text alone."""
    folder = ROOT if page.file.src_uri in FROM_THE_ROOT.values() else ROOT / "docs"

    def led(link: re.Match[str]) -> str:
        file = (folder / link[2]).resolve()
        target = file.name if file.parent == ROOT / "docs" else FROM_THE_ROOT.get(file.name)
        if target is None and file.exists():
            return link[1]
        return f"[{link[1]}]({target or link[2]}{link[3] or ''})"  # one that leads nowhere is mkdocs' to tell

    return _LINK.sub(led, markdown)
