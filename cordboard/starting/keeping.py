"""Deletes what is kept of people's data, a week after its last use."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

from cordboard.files import DRAFT

KEPT_SECONDS = 7 * 24 * 3600.0


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
