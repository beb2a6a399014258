"""Files that are whole or not there, and readable by their owner only."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

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
