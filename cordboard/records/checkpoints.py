"""Signed checkpoints of the audit chain, in a file that is kept apart from the ledger.

A checkpoint says: at this time, record `seq` of this ledger had this hash. Since each record carries the hash of the
one before it, that vouches for every record up to it. Whoever can write the database can write a new chain, but cannot
sign a checkpoint for it without the key, nor take an old one back while the file lies out of reach.

The file has one line of canonical JSON for each checkpoint, the numbers of its records rising. It is only ever appended
to, under a lock, each line in one write that is on the disk before the next may come.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hmac
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from cordboard.errors import BadCall, CheckpointsUnavailable
from cordboard.jsontext import dump_json
from cordboard.settings import Settings

VERSION = 1
FILE = "checkpoints.jsonl"
MIN_KEY_BYTES = 32
MAX_LINE = 4_096  # ours have some 300 bytes
_TAIL = 65_536  # how far back the last good line is looked for
_HOW = "Make one with `openssl rand -base64 32`, and keep it where the ledger's database cannot be written from."


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is vouched for.

    Attributes:
        version: of this form.
        ledger: hash of the ledger's first record, which tells it from every other.
        seq: number of the record.
        hash: its hash.
        at: when the checkpoint was made, ISO 8601 in UTC.
    """

    version: int
    ledger: str
    seq: int
    hash: str
    at: str

    def sealed(self, key: bytes) -> bytes:
        """Its line of the file, signed with HMAC-SHA256 over the canonical JSON of what it says."""
        said = asdict(self)
        signature = hmac.digest(key, dump_json(said).encode(), "sha256").hex()
        return f"{dump_json({**said, 'signature': signature})}\n".encode()


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file: a checkpoint, or why it is none.

    Attributes:
        number: of the line, from 1.
        checkpoint: what it says, or None.
        reason: why it is none, in one sentence; empty for a checkpoint.
    """

    number: int
    checkpoint: Checkpoint | None
    reason: str = ""


def keys_of(text: str) -> tuple[bytes, ...]:
    """Reads `CORDBOARD_CHECKPOINT_KEY`: keys in base64, split by commas; the first signs, each is good to check with.

    Raises:
        BadCall: a key is not base64, or too short; the message holds no part of it.
    """
    return tuple(_key(place, word.strip()) for place, word in enumerate(text.split(","), 1) if word.strip())


def _key(place: int, word: str) -> bytes:
    try:
        key = base64.b64decode(word, validate=True)
    except (binascii.Error, ValueError):
        raise BadCall(f"key {place} of CORDBOARD_CHECKPOINT_KEY is not base64. {_HOW}") from None
    if len(key) < MIN_KEY_BYTES:
        raise BadCall(f"key {place} of CORDBOARD_CHECKPOINT_KEY has {len(key)} bytes, 32 are needed. {_HOW}")
    return key


class CheckpointFile:
    """The file, and the keys that sign and check its lines."""

    def __init__(self, folder: Path, keys: tuple[bytes, ...]) -> None:
        """Names the file; nothing is opened yet.

        Args:
            folder: where it lies. One folder for one ledger.
            keys: the first signs, each is good to check with.

        Raises:
            BadCall: there is no key.
        """
        if not keys:
            raise BadCall(f"CORDBOARD_CHECKPOINT_KEY is not set: no checkpoint can be signed or checked. {_HOW}")
        self.path = folder / FILE
        self._keys = keys

    @classmethod
    def of(cls, settings: Settings) -> CheckpointFile | None:
        """The file that the settings name; None without a key.

        Raises:
            BadCall: a key cannot be used.
        """
        keys = keys_of(settings.checkpoint_key)
        return cls(settings.checkpoints, keys) if keys else None

    def __repr__(self) -> str:
        return f"CheckpointFile({str(self.path)!r})"

    def size(self) -> int | None:
        """Bytes of the file; None where there is none.

        Raises:
            CheckpointsUnavailable: its folder cannot be read.
        """
        with self._explained("read"):
            try:
                return self.path.stat().st_size
            except FileNotFoundError:
                return None

    def lines(self, end: int) -> Iterator[Line]:
        """Every line that begins before this byte, one at a time.

        Raises:
            CheckpointsUnavailable: the file cannot be read.
        """
        with self._explained("read"), self.path.open("rb") as file:
            number, begins = 0, 0
            while begins < end and (raw := file.readline(MAX_LINE)):
                number, begins = number + 1, begins + len(raw)
                yield self._line(number, raw)

    def last(self) -> Checkpoint | None:
        """The last good checkpoint; None where there is none.

        Raises:
            CheckpointsUnavailable: the file cannot be read.
        """
        with self._explained("read"):
            try:
                with self.path.open("rb") as file:
                    return self._last(file.fileno())
            except FileNotFoundError:
                return None

    def add(self, checkpoint: Checkpoint) -> bool:
        """Appends a checkpoint, and returns when it is on the disk.

        Returns:
            False, and nothing was written, where the file has one of this record or a later one.

        Raises:
            CheckpointsUnavailable: the file cannot be written.
        """
        with self._explained("written"):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)  # given back when the file is closed
                last = self._last(file)
                if last and last.seq >= checkpoint.seq:
                    return False
                self._append(file, checkpoint.sealed(self._keys[0]))
            finally:
                os.close(file)
        return True

    def _append(self, file: int, line: bytes) -> None:
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            line = b"\n" + line  # a writer died in the middle of its line: it stays, and spoils this one not
        if os.write(file, line) != len(line):
            with suppress(OSError):
                os.ftruncate(file, size)
            raise OSError("its disk is full")
        os.fsync(file)

    def _last(self, file: int) -> Checkpoint | None:
        size = os.fstat(file).st_size
        begin = max(0, size - _TAIL)
        for raw in reversed(os.pread(file, size - begin, begin).splitlines(keepends=True)):
            if found := self._line(0, raw).checkpoint:
                return found
        return None

    def _line(self, number: int, raw: bytes) -> Line:
        checkpoint = _parsed(raw)
        if checkpoint is None:
            return Line(number, None, "it is no checkpoint: cut off, damaged or not ours")
        if not any(hmac.compare_digest(raw, checkpoint.sealed(key)) for key in self._keys):
            return Line(number, None, "its signature fits none of the keys: it was changed, or signed with another key")
        if checkpoint.version != VERSION:
            return Line(number, None, f"it has version {checkpoint.version}, made by a newer Cordboard: upgrade")
        return Line(number, checkpoint)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = error.strerror or str(error)
            raise CheckpointsUnavailable(
                f"the checkpoint file {self.path} cannot be {what}: {why}. Give this user access to it, or set "
                "CORDBOARD_CHECKPOINT_DIR to another folder."
            ) from None


def _parsed(raw: bytes) -> Checkpoint | None:
    """What a line says, whoever signed it."""
    try:
        said = json.loads(raw)
        version, ledger, seq, hash_, at = (said[name] for name in Checkpoint.__slots__)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    fits = type(version) is type(seq) is int and type(ledger) is type(hash_) is type(at) is str
    return Checkpoint(version, ledger, seq, hash_, at) if fits else None
