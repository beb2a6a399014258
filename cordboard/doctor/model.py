"""What a check says, and what it may look at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from cordboard.redaction import Redactor
from cordboard.settings import Settings

#: Parts of the names of variables whose values are masked wherever they would be shown.
_SECRET = ("SECRET", "AUTH_STRING", "PASSWORD", "ENCRYPTION_KEY", "API_KEY", "CHECKPOINT_KEY")


class Standing(StrEnum):
    """How something stands; only errors make the command end with 1."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """What was found about one thing.

    Attributes:
        name: of the thing, such as `ledger`.
        standing: how it stands.
        message: what was found, in one sentence; for a check that was skipped, why.
        mend: how to mend it, in one sentence; empty where there is nothing to mend.
    """

    name: str
    standing: Standing
    message: str
    mend: str = ""


def ok(name: str, message: str) -> Check:
    """It is as it should be."""
    return Check(name, Standing.OK, message)


def warning(name: str, message: str, mend: str) -> Check:
    """It works, and something could come of it."""
    return Check(name, Standing.WARNING, message, mend)


def error(name: str, message: str, mend: str) -> Check:
    """It does not work, or is open to others."""
    return Check(name, Standing.ERROR, message, mend)


def skipped(name: str, why: str) -> Check:
    """It was not looked at."""
    return Check(name, Standing.SKIPPED, why)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What probes look at: nothing is read from the process itself.

    Attributes:
        environ: environment variables.
        settings: the same, as the runs read them.
        now: seconds since the epoch.
        mounts: text of `/proc/self/mountinfo`; empty where there is none.
        addresses: addresses of this machine under which only a server that listens on all of them answers.
        send_test: whether a signed test message may be sent to the webhook endpoint.
        timeout_seconds: for one question to another machine.
        redactor: knows every secret of the environment, and learns each token.
    """

    environ: Mapping[str, str] = field(repr=False)
    settings: Settings
    now: Callable[[], float]
    mounts: str = ""
    addresses: tuple[str, ...] = ()
    send_test: bool = False
    timeout_seconds: float = 5.0
    redactor: Redactor = field(default_factory=Redactor)

    def learn_secrets(self) -> None:
        """Tells the redactor every secret that the environment holds, also those inside URLs."""
        for name, value in self.environ.items():
            if any(part in name for part in _SECRET):
                self.redactor.learn(value, *value.replace(",", " ").split(), value.partition(":")[2])
            if "URL" in name and (password := _password_of(value)):
                self.redactor.learn(password)

    @property
    def home(self) -> Path:
        """The folder of everything that a run writes."""
        return self.settings.home.absolute()


Probe = Callable[[Surroundings], Awaitable[list[Check]]]


def _password_of(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""
