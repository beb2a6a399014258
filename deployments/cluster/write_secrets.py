"""Writes the secrets of a cluster: `python -m deployments.cluster.write_secrets FOLDER`, a file for each variable.

Docker Compose mounts the files, and `kubectl create secret generic cordboard --from-file=FOLDER` takes the same folder.
A file that exists stays as it is: the command can be given again, and a value of your own can be put there first.
"""

from __future__ import annotations

import argparse
import base64
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

REDIS = "redis:6379"


def write_secrets(folder: Path, redis: str = REDIS) -> list[str]:
    """Makes what is missing.

    The folder can be entered by its owner only. The files can be read by everybody who gets that far: inside a
    container that is another user.

    Args:
        folder: where the files stand.
        redis: host and port of Redis, as the servers see it.

    Returns:
        The names of the files that were written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    there = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir() if file.is_file()}
    missing = {name: text for name, text in _made(there, redis).items() if name not in there}
    for name, text in missing.items():
        _write(folder / name, text)
    return sorted(missing)


def _made(there: Mapping[str, str], redis: str) -> dict[str, str]:
    """Every file. Those that say the same in another form are made from what is there."""
    sign_in = there.get("PREFECT_SERVER_API_AUTH_STRING") or f"cordboard:{_password()}"
    kept = there.get("redis.conf", "").removeprefix("requirepass ").strip()
    password = kept or _password()
    completion = base64.b64encode(secrets.token_bytes(32)).decode()
    return {
        "PGPASSWORD": _password(),
        "PREFECT_SERVER_API_AUTH_STRING": sign_in,
        "PREFECT_API_AUTH_STRING": sign_in,
        "PREFECT_SERVER_ENCRYPTION_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),  # as Fernet's are
        "redis.conf": f"requirepass {password}",
        "PREFECT_REDIS_MESSAGING_URL": f"redis://:{password}@{redis}/0",
        "PREFECT_SERVER_DOCKET_URL": f"redis://:{password}@{redis}/1",
        "CORDBOARD_COMPLETION_SECRETS": f"whsec_{completion}",
    }


def _password() -> str:
    return secrets.token_hex(24)  # no sign that a URL or a shell reads as anything else


def _write(file: Path, text: str) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444), "w", encoding="utf-8") as output:
        output.write(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Writes them, and says which; their values are not shown."""
    parser = argparse.ArgumentParser(
        prog="python -m deployments.cluster.write_secrets", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--redis", default=REDIS, help="HOST:PORT as the servers see it (default: %(default)s)")
    options = parser.parse_args(argv)
    try:
        written = write_secrets(options.folder, options.redis)
    except OSError as error:
        print(f"{options.folder}: {error.strerror}; name a folder in which you may write", file=sys.stderr)
        return 2
    print(f"Written to {options.folder}: {', '.join(written) or 'nothing, all of them are there'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
