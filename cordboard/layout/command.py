"""What `cordboard init` does."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

from cordboard.layout.repository import repository_files
from cordboard.layout.writing import Laying, lay


def run_init(folder: Path, as_document: bool) -> int:
    """Writes the example repository and says what to do next.

    Args:
        folder: where to write.
        as_document: print one JSON document.

    Returns:
        0 where all is there, 2 where other files are in the way and nothing was written.

    Raises:
        BadCall: the folder cannot be written.
    """
    laying = lay(folder, repository_files())
    if as_document:
        print(json.dumps(_document(folder, laying), indent=2))
    elif laying.in_the_way:
        print(_refusal(folder, laying), file=sys.stderr)
    else:
        print(_summary(folder, laying))
    return 2 if laying.in_the_way else 0


def _document(folder: Path, laying: Laying) -> dict[str, object]:
    return {
        "ok": not laying.in_the_way,
        "folder": str(folder),
        "written": list(laying.written),
        "unchanged": list(laying.unchanged),
        "in_the_way": list(laying.in_the_way),
    }


def _refusal(folder: Path, laying: Laying) -> str:
    listed = "\n".join(f"  {folder / path}" for path in laying.in_the_way)
    return (
        f"Nothing was written: these are there already, and are not what would be written.\n{listed}\n"
        "Move them away, or name another folder: cordboard init FOLDER"
    )


def _summary(folder: Path, laying: Laying) -> str:
    if not laying.written:
        return f"{folder}: all {len(laying.unchanged)} files are there already, nothing to write"
    kept = f", {len(laying.unchanged)} were there already" if laying.unchanged else ""
    listed = "\n".join(f"  {path}" for path in laying.written)
    change = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    return (
        f"{folder}: {len(laying.written)} files written{kept}\n{listed}\n"
        f"Next: {change}cordboard check flows/*.yaml suites/*.yaml; README.md says how to go on"
    )
