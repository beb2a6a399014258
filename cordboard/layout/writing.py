"""Writes files into a folder and overwrites none: where another file is in the way, nothing is written at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from cordboard.errors import BadCall


class Place(Enum):
    """What is where a file is to go."""

    FREE = "free"
    SAME = "same"
    TAKEN = "taken"


@dataclass(frozen=True)
class Laying:
    """What became of the files, by path from the folder.

    Attributes:
        written: new files.
        unchanged: files that were there already, byte for byte.
        in_the_way: what else is there; where there is any, nothing was written.
    """

    written: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    in_the_way: tuple[str, ...] = ()


def lay(folder: Path, contents: Mapping[str, bytes]) -> Laying:
    """Writes files that are not there yet.

    Args:
        folder: where to write; it is made if it is not there.
        contents: content by path from the folder.

    Raises:
        BadCall: the folder or a file cannot be read or written. Files written until then stay; the same call goes on.
    """
    try:
        places = {path: _place(folder, path, content) for path, content in contents.items()}
        taken = tuple(dict.fromkeys(found for found, place in places.values() if place is Place.TAKEN))
        if taken:
            return Laying(in_the_way=taken)
        new = tuple(path for path, (_, place) in places.items() if place is Place.FREE)
        for path in new:
            _write(folder / path, contents[path])
    except OSError as error:
        raise BadCall(f"cannot write into {folder}: {error}. Mend that and give the same command again.") from error
    return Laying(new, tuple(path for path in contents if path not in new))


def _place(folder: Path, path: str, content: bytes) -> tuple[str, Place]:
    """What is where a file is to go: the path itself, or the file that stands where one of its folders must be."""
    target = folder / path
    for above in reversed(Path(path).parents):
        there = folder / above
        if _exists(there) and not there.is_dir():
            return str(above), Place.TAKEN
    if not _exists(target):
        return path, Place.FREE
    same = target.is_file() and target.read_bytes() == content
    return path, Place.SAME if same else Place.TAKEN


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()  # a link that leads nowhere is something too


def _write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:  # not even a file that has come to be since is overwritten
        try:
            file.write(content)
            file.flush()
        except OSError:
            target.unlink()  # half a file would be in the way of the next call
            raise
