"""Keeps people's data on disk: readable by its owner only, whole or not at all, and gone a week after its last use."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

KEPT_SECONDS = 7 * 24 * 3600.0
DRAFT = ".draft-"  # what names begin with that are not whole yet, or not any more


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its place once it is written; several processes may write it at once, and the last one counts.

    Args:
        path: where it will be, with mode 0600.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=DRAFT)
    try:
        with os.fdopen(descriptor, "wb") as out:
            yield out
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def prune(folder: Path, now: float) -> None:
    """Deletes the files and folders in a folder that nothing has touched for a week.

    Args:
        folder: in which they lie.
        now: seconds since the epoch.
    """
    for each in folder.iterdir():
        with contextlib.suppress(OSError):
            if now - each.stat().st_mtime > KEPT_SECONDS:
                remove(each)


def remove(what: Path) -> None:
    """Deletes a file or folder. A folder leaves its place first: whoever is killed here leaves no half of it there."""
    if what.is_dir():
        aside = Path(tempfile.mkdtemp(dir=what.parent, prefix=DRAFT))
        what.replace(aside)
        shutil.rmtree(aside)
    else:
        what.unlink()
