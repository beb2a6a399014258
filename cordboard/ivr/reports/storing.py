"""Puts report files into a folder: whole or not at all, and for the owner's eyes.

The folder is whatever the caller names, through symbolic links too. What others may have chosen is the files' names:
they are plain, and no link that stands in their place is followed.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cordboard.errors import BadCall

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_BUFFER = 1 << 18


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    """A descriptor of a folder, which is made where it is missing; files are named relative to it.

    Raises:
        BadCall: it cannot be made or opened.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder, _FOLDER)
    except (OSError, ValueError) as error:
        raise _failure(str(folder), error, "Name a folder in which files can be written.") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def put(folder: int, name: str, parts: Iterable[str]) -> None:
    """Writes a file; until all of it is on the disk, an older one of the same name stays as it is.

    Args:
        folder: descriptor of the folder.
        name: a plain name.
        parts: the text, piece by piece.

    Raises:
        BadCall: it cannot be written.
    """
    partial = f".{name}.{secrets.token_hex(6)}.partial"
    try:
        _write(os.open(partial, _NEW_FILE, 0o600, dir_fd=folder), parts)
        os.replace(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    except OSError as error:
        raise _failure(name, error, "Make room for it, or name another folder.") from None
    finally:
        with suppress(FileNotFoundError):
            os.unlink(partial, dir_fd=folder)


def _write(descriptor: int, parts: Iterable[str]) -> None:
    # What is not text in a vendor's reply shows as an escape; a report of an odd call is worth more than none.
    with open(descriptor, "w", _BUFFER, encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
        stream.writelines(parts)
        stream.flush()
        os.fsync(descriptor)


def _failure(name: str, error: OSError | ValueError, hint: str) -> BadCall:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return BadCall(f"the report {name!r} cannot be written: {reason}. {hint}")
