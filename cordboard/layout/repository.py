"""The files of an example repository: those that ship with the package, and those that are made from the code."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

from cordboard.layout.editors import editor_files

_HIDDEN = "dot-"  # packages and git treat names that begin with a dot in ways of their own


def repository_files() -> dict[str, bytes]:
    """All files that `cordboard init` writes: content by path from the repository's root, in the order of the paths."""
    shipped = dict(_walk(files("cordboard.layout") / "files", ""))
    made = {path: text.encode() for path, text in editor_files().items()}
    return dict(sorted((shipped | made).items()))


def _walk(folder: Traversable, above: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        path = above + entry.name.replace(_HIDDEN, ".", 1) if entry.name.startswith(_HIDDEN) else above + entry.name
        if entry.is_dir():
            yield from _walk(entry, f"{path}/")
        else:
            yield path, entry.read_bytes()
