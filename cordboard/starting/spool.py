"""A checked batch on disk: what is sent is what was checked, whatever becomes of the file meanwhile.

One file a priority, one line a start. Pieces of a thousand lines are what workers take; every worker makes the same
pieces of the same batch, so that they need nothing but the ledger to share it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from cordboard.errors import BadCall, InvalidDocument
from cordboard.files import DRAFT
from cordboard.findings import Finding
from cordboard.jsontext import digest, dump_json
from cordboard.starting.keeping import prune, remove
from cordboard.triggers.checking import Tally, check_batch
from cordboard.triggers.making import make
from cordboard.triggers.model import Start, Trigger
from cordboard.triggers.templates import is_batch

PIECE = 1000  # starts
_LONGEST_NAME = 100  # characters of the name of a file of rows, of which 200 are allowed with what stands before it


@dataclass(frozen=True, slots=True)
class Piece:
    """Some starts of one priority, in the order of the file.

    Attributes:
        name: unique in its batch.
        path: the file in which they stand.
        offset: of the first, bytes.
        count: how many they are.
        priority: 1 (highest) to 10.
        first: which start of the batch its first is, from 1, the most urgent ones counted first.
    """

    name: str
    path: Path
    offset: int
    count: int
    priority: int
    first: int = 1

    @property
    def last(self) -> int:
        """Which start of the batch its last is."""
        return self.first + self.count - 1

    def read(self) -> Iterator[Start]:
        """The starts.

        Raises:
            BadCall: somebody deleted or changed them.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                for _ in range(self.count):
                    line, key, body = json.loads(file.readline())
                    yield Start(line, key, body)
        except (OSError, ValueError):
            raise BadCall(
                f"{self.path}: the checked rows are gone or were changed; delete the folder and give the command again"
            ) from None


@dataclass(frozen=True, slots=True)
class Spool:
    """A batch that was checked.

    Attributes:
        digest: SHA-256 of all its starts, in hex.
        pieces: the most urgent first.
        tally: what was found when it was checked.
        faulty: the file with the rows that do not fit; None where there are none, or where nobody wanted it.
    """

    digest: str
    pieces: tuple[Piece, ...]
    tally: Tally
    faulty: Path | None = None

    @property
    def total(self) -> int:
        """How many starts it has."""
        return sum(piece.count for piece in self.pieces)

    def starts(self) -> Iterator[Start]:
        """Every start, the most urgent first; one at a time is in memory."""
        for piece in self.pieces:
            yield from piece.read()


@dataclass(slots=True)
class _File:
    """The file of one priority while it is written."""

    stream: BinaryIO
    hash: Any = field(default_factory=sha256)
    count: int = 0
    size: int = 0
    offsets: list[int] = field(default_factory=list)

    def add(self, start: Start) -> None:
        line = dump_json([start.line, start.key, start.body]).encode() + b"\n"
        if self.count % PIECE == 0:
            self.offsets.append(self.size)
        self.stream.write(line)
        self.hash.update(line)
        self.count, self.size = self.count + 1, self.size + len(line)


def spool_batch(
    trigger: Trigger,
    rows: Path | None,
    home: Path,
    *,
    keep_faulty: bool = False,
    clock: Callable[[], float] = time.time,
) -> Spool:
    """Checks a batch, or a single start, and keeps what is to be sent.

    Args:
        trigger: says how to start the workflow.
        rows: the CSV or JSONL file; None where the trigger is no batch.
        home: folder under which it is kept; the same batch has the same place.
        keep_faulty: whether the rows that do not fit are kept as well, to be mended: in a file of this batch alone.
        clock: seconds since the epoch.

    Raises:
        InvalidDocument: the trigger is for no such batch, or the file cannot be read.
        BadCall: the file is neither CSV nor JSONL, or what is checked or faulty cannot be written.
    """
    if rows is None:
        check_is_single(trigger)
    folder = home / "batches"
    with _explained(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        prune(folder, clock())
        draft = Path(tempfile.mkdtemp(dir=folder, prefix=DRAFT))
    faulty = draft.with_suffix(".faulty")
    try:
        spool = _written(trigger, rows, folder, draft, faulty if keep_faulty else None)
        if rows is None or not faulty.exists() or not spool.tally.faulty:
            return spool
        with _explained(folder):
            kept = faulty.replace(folder / f"faulty-{spool.digest[:12]}-{rows.name[-_LONGEST_NAME:]}")
        return replace(spool, faulty=kept)
    finally:
        faulty.unlink(missing_ok=True)
        shutil.rmtree(draft, ignore_errors=True)


def check_is_single(trigger: Trigger) -> None:
    """A trigger whose templates name a row starts nothing without rows: it would be sent without its values.

    Raises:
        InvalidDocument: it is such a trigger.
    """
    if is_batch(trigger):
        message, hint = "its templates name `row`, and no rows were given", "Give the rows: a CSV or JSONL file."
        raise InvalidDocument((Finding("kind/no-rows", message, "", trigger.document.file, 1, hint),))


def _written(trigger: Trigger, rows: Path | None, folder: Path, draft: Path, faulty: Path | None) -> Spool:
    files: dict[int, _File] = {}
    with _explained(folder), ExitStack() as stack:

        def keep(start: Start) -> None:
            with _explained(folder):  # here too: a fault in it is none of the file of faulty rows
                priority = int(start.body["priority"])
                if priority not in files:
                    files[priority] = _File(stack.enter_context((draft / f"{priority:02}.jsonl").open("wb")))
                files[priority].add(start)

        if rows is None:
            key, body, _ = make(trigger, {})  # reading the trigger has checked it
            keep(Start(1, key, body))
            tally = Tally(total=1)
        else:
            tally = check_batch(trigger, rows, faulty=faulty, keep=keep)
    whole = digest([[priority, files[priority].hash.hexdigest()] for priority in sorted(files)])
    place = folder / whole[:32]
    with _explained(folder):
        _put(draft, place)
    return Spool(whole, tuple(_pieces(files, place)), tally)


def _put(draft: Path, place: Path) -> None:
    """Moves a draft to its place. Mostly another worker was first, with the very same bytes."""
    if place.is_dir() and _sizes(place) != _sizes(draft):  # half deleted, or cut off when the power went
        remove(place)
    try:
        draft.rename(place)
    except OSError:
        os.utime(place)


def _sizes(folder: Path) -> dict[str, int]:
    return {each.name: each.stat().st_size for each in folder.iterdir()}


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        mend = "free some space or name another place with CORDBOARD_HOME"
        raise BadCall(f"the checked rows cannot be kept in {folder}: {error.strerror}; {mend}") from None


def _pieces(files: dict[int, _File], place: Path) -> Iterator[Piece]:
    first = 1
    for priority in sorted(files):
        file, path = files[priority], place / f"{priority:02}.jsonl"
        for number, offset in enumerate(file.offsets):
            count = min(PIECE, file.count - number * PIECE)
            yield Piece(f"{priority:02}-{number:06}", path, offset, count, priority, first)
            first += count
