"""The keys of a batch: which have been there, and on which line."""

from __future__ import annotations

import hashlib
import sqlite3
from types import TracebackType

from cordboard.errors import BadCall

#: KiB of memory; beyond some hundred thousand keys the rest is in a temporary file, which goes with its process.
_CACHE = 16 * 1024


class Seen:
    """Remembers a digest of 16 bytes and a line for each key, not the key, and of any number of them in bounded memory.

    Two keys with one digest are as likely as a collision of BLAKE2b with 128 bits: never, for a batch.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)  # the empty name: private, and on disk if need be
        for setting in (f"cache_size = -{_CACHE}", "journal_mode = OFF", "synchronous = OFF"):
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY, line INTEGER) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def first(self, key: str, line: int) -> int | None:
        """The line on which a key was first, or None where that is this one.

        Raises:
            BadCall: the folder for temporary files is full.
        """
        digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
        try:
            if self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (digest, line)).rowcount:
                return None
            ((first,),) = self._database.execute("SELECT line FROM seen WHERE digest = ?", (digest,))
        except sqlite3.Error as error:
            raise BadCall(f"keys cannot be kept in the folder for temporary files: {error}") from None
        return int(first)

    def __enter__(self) -> Seen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()
