"""What can be set from the environment, with defaults; read once, handed on as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path

from cordboard.errors import BadCall


class LogFormat(StrEnum):
    """How log lines are written."""

    TEXT = "text"  # for people
    JSON = "json"  # one object a line, for collectors


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one run. Each has an environment variable: `CORDBOARD_` and the field's name in capitals.

    Attributes:
        home: folder for everything a run writes.
        ledger_url: SQLAlchemy URL of the ledger; empty means SQLite inside `home`.
        checkpoint_key: signs checkpoints of the audit record: 32 random bytes or more in base64; several are split by
            commas, the first signs. Empty means no checkpoints.
        checkpoint_dir: folder of the checkpoints, apart from the ledger; empty means inside `home`.
        tenant: whose effects these are, part of every ledger key; empty means host and client id of the credentials.
        retry_attempts: sends of one call at the most, the first included.
        retry_total_seconds: time that one call may spend on its attempts and the waits between them.
        retry_after_max_seconds: the longest `Retry-After` that is obeyed; a longer one ends the call.
        in_flight: calls open at once.
        calls_per_second: calls started a second; 0 means no limit of our own.
        body_max_bytes: largest reply that is read, plain and after decompression.
        webhook_url: where status webhooks go; empty means nowhere.
        webhook_secret: signs them, in the Standard Webhooks form `whsec_<base64>`.
        webhook_flush_seconds: how long the end of a run waits for webhooks that are still on their way.
        completion_secrets: verify completions that vendors sign, `whsec_<base64>`; two, split by a space, while one is
            being replaced.
        completion_shared_secrets: what vendors that cannot sign send along; again two at the most.
        erp_url: where the ERP takes records of completions; empty means that none are made.
        erp_secret: signs them, in the form `whsec_<base64>`.
        log_format: how log lines are written, `text` or `json`.
    """

    home: Path = Path(".cordboard")
    ledger_url: str = field(default="", repr=False)  # may hold a password
    checkpoint_key: str = field(default="", repr=False)
    checkpoint_dir: str = ""
    tenant: str = ""
    retry_attempts: int = 4
    retry_total_seconds: float = 60.0
    retry_after_max_seconds: float = 60.0
    in_flight: int = 20
    calls_per_second: float = 0.0
    body_max_bytes: int = 8 * 1024 * 1024
    webhook_url: str = field(default="", repr=False)  # may hold a token
    webhook_secret: str = field(default="", repr=False)
    webhook_flush_seconds: float = 5.0
    completion_secrets: str = field(default="", repr=False)
    completion_shared_secrets: str = field(default="", repr=False)
    erp_url: str = field(default="", repr=False)  # may hold a token
    erp_secret: str = field(default="", repr=False)
    log_format: LogFormat = LogFormat.TEXT

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Reads every `CORDBOARD_*` variable that this class knows.

        Raises:
            BadCall: a variable holds something that its type cannot take; all such variables are named.
        """
        found: dict[str, object] = {}
        faults: list[str] = []
        for item in fields(cls):
            raw = environ.get(f"CORDBOARD_{item.name.upper()}")
            if raw is None or raw == "":
                continue
            kind = type(getattr(_DEFAULTS, item.name))
            try:
                found[item.name] = _read(kind, raw)
            except ValueError as error:
                faults.append(f"CORDBOARD_{item.name.upper()} is {raw!r}: {error}")
        if faults:
            raise BadCall("\n".join(faults))
        return cls(**found)  # type: ignore[arg-type]

    @property
    def ledger(self) -> str:
        """The ledger's URL, with the default filled in."""
        return self.ledger_url or f"sqlite:///{self.home.absolute() / 'ledger.db'}"

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints, with the default filled in."""
        return Path(self.checkpoint_dir) if self.checkpoint_dir else self.home.absolute() / "checkpoints"


def _read(kind: type, raw: str) -> object:
    if kind is int or kind is float:
        number = kind(raw)
        if not 0 <= number < float("inf"):
            raise ValueError("it must be zero or more")
        return number
    if issubclass(kind, LogFormat):
        if raw not in tuple(LogFormat):
            raise ValueError(f"it must be {' or '.join(LogFormat)}")
        return LogFormat(raw)
    return Path(raw) if issubclass(kind, Path) else raw


_DEFAULTS = Settings()
