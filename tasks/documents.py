"""The documents of runs on disk: each whole or not at all, readable by its owner only."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from cordboard.files import whole_file
from cordboard.jsontext import digest


def keep_document(home: Path, folder: str, name: str, document: dict[str, Any]) -> Path:
    """Writes a document to `home/folder/name.json`. Both names may be free text: they cannot lead elsewhere.

    Workers on several machines may write the same one at once, as those of one batch do; the last one counts.
    """
    place = home / "runs" / file_name(folder)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = place / f"{file_name(name)}.json"
    with whole_file(path) as file:
        file.write(json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1).encode())
    return path


def file_name(text: str) -> str:
    """A name for a file or folder. What is not plain becomes a dash, and a digest tells such names apart."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.")[:80]
    return plain if plain == text else f"{plain}-{digest(text)[:8]}".lstrip("-")
