"""The ledger: whether it opens and writes, its version, where it lies, who may read it, and room on its disk."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
from pathlib import Path

from sqlalchemy import URL, Connection, inspect, select, update

from cordboard.doctor.model import Check, Surroundings, error, ok, skipped, warning
from cordboard.errors import CordboardError, LedgerUnavailable
from cordboard.records.engine import explained, ledger_url, open_database, sqlite_file
from cordboard.records.schema import VERSION, prepare, schema_version

#: Write-ahead logs need shared memory, which these do not have between machines.
NETWORK = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "gluster", "lustre", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse")
DISK_FAILS_BYTES = 100 * 1024**2
DISK_WARNS_BYTES = 1024**3
_POSTGRES = "Put the ledger on PostgreSQL (CORDBOARD_LEDGER_URL=postgresql://…), or on a disk of this machine."


async def probe(place: Surroundings) -> list[Check]:
    """Everything about the ledger and the folder beside it."""
    try:
        url = ledger_url(place.settings.ledger)
    except CordboardError as fault:
        return [error("ledger", str(fault), "Correct CORDBOARD_LEDGER_URL.")]
    file = sqlite_file(url)
    near = [judge_mount(file, place.mounts)] if file else [skipped("ledger place", "it is on a PostgreSQL server")]
    modes = judge_modes([place.home, *_files_of(place.home, file)])
    return [await _opened(url, place), *near, judge_disk(file.parent if file else place.home), modes]


async def _opened(url: URL, place: Surroundings) -> Check:
    file = sqlite_file(url)
    if file and not file.exists():
        return _not_yet(file)
    try:
        async with asyncio.timeout(2 * place.timeout_seconds):
            version = await _tried(url, place.timeout_seconds)
    except TimeoutError:
        return error("ledger", "the database did not answer in time", "Start it, or correct CORDBOARD_LEDGER_URL.")
    except LedgerUnavailable as fault:
        said, _, mend = str(fault).partition(": ")
        return error("ledger", said, f"{mend[:1].upper()}{mend[1:]}.")
    if version is None:
        return ok("ledger", "the database opens and is empty; the first run makes its tables")
    return judge_version(version)


def _not_yet(file: Path) -> Check:
    if os.access(_existing(file.parent), os.W_OK | os.X_OK):
        return ok("ledger", f"there is none yet; the first run makes {file}")
    return error(
        "ledger", f"{file} cannot be made", "Give this user write access to its folder, or set CORDBOARD_HOME."
    )


async def _tried(url: URL, seconds: float) -> int | None:
    """Writes without keeping it, and returns the schema's version; None for a database without our tables."""
    if sqlite_file(url):
        url = url.update_query_dict({"timeout": str(seconds)})
    with explained(url):
        database = open_database(url)
        try:
            return await database.write(_version_of)
        finally:
            await database.close()


def _version_of(connection: Connection) -> int | None:
    if not inspect(connection).has_table(schema_version.name):
        with connection.begin_nested() as point:  # who may connect may not make tables yet, as on PostgreSQL 15
            prepare(connection)
            point.rollback()
        return None
    with connection.begin_nested() as point:
        connection.execute(update(schema_version).values(version=schema_version.c.version))
        point.rollback()
    return connection.scalar(select(schema_version.c.version))


def judge_version(version: int) -> Check:
    """The schema's version against the one that this Cordboard knows."""
    if version > VERSION:
        message = f"its schema has version {version}, and this Cordboard knows {VERSION}"
        return error("ledger", message, "Upgrade Cordboard here: a newer one made this ledger.")
    older = "" if version == VERSION else f"; the next run brings it to {VERSION}"
    return ok("ledger", f"opens and writes, schema version {version}{older}")


def judge_mount(file: Path, mounts: str) -> Check:
    """Whether an SQLite ledger lies on a network file system.

    Args:
        file: the ledger's.
        mounts: text of `/proc/self/mountinfo`.
    """
    if not mounts:
        return skipped("ledger place", "this system does not list its mounts")
    kind = _kind_of_mount(_existing(file).resolve(), mounts)
    if kind.startswith(NETWORK):
        return error("ledger place", f"{file} is SQLite on a network file system ({kind})", _POSTGRES)
    return ok("ledger place", f"on a disk of this machine ({kind})")


def _kind_of_mount(path: Path, mounts: str) -> str:
    best, kind = -1, "unknown"
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        at = Path(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[4]))
        if path.is_relative_to(at) and len(at.parts) >= best:
            best, kind = len(at.parts), after.split()[0]
    return kind


def judge_disk(folder: Path, free: int | None = None) -> Check:
    """Whether there is room; `free` in bytes, by default what the disk says."""
    free = shutil.disk_usage(_existing(folder)).free if free is None else free
    said = f"{free / 1024**3:.1f} GiB free at {folder}"
    mend = "Free some space: when the disk is full, no intent can be recorded and nothing is sent."
    if free < DISK_FAILS_BYTES:
        return error("disk", said, mend)
    return warning("disk", said, mend) if free < DISK_WARNS_BYTES else ok("disk", said)


def judge_modes(paths: list[Path]) -> Check:
    """Whether others can read what vendors returned: files must be 0600, folders 0700."""
    there = [path for path in paths if path.exists()]
    if not there:
        return skipped("file modes", "nothing has been written yet")
    open_ones = [path for path in there if path.stat().st_mode & 0o077]
    if open_ones:
        named = ", ".join(f"{path} ({path.stat().st_mode & 0o777:04o})" for path in open_ones[:5])
        home = paths[0]
        roots = dict.fromkeys(shlex.quote(str(home if path.is_relative_to(home) else path)) for path in open_ones)
        mend = f"`chmod -R go-rwx {' '.join(roots)}`, and look who has read it."
        return error("file modes", f"others may open {named}", mend)
    return ok("file modes", f"{len(there)} files and folders are for their owner only")


def _files_of(home: Path, ledger: Path | None) -> list[Path]:
    named = [home / "prefect.env", home / "prefect.key", home / "prefect" / "prefect.db"]
    return [*named, *([ledger] if ledger else [])]


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return next((each for each in (path, *path.parents) if each.exists()), Path("/"))
