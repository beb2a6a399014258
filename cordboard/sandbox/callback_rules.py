"""Where the vendor reports the end of an instance, and what goes wrong on the way: the section `callbacks`."""

from __future__ import annotations

import re
from random import Random
from typing import Annotated, Any, NamedTuple, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from cordboard.sandbox.reading import Part
from cordboard.sandbox.signing import WebhookSecret
from cordboard.sandbox.workflow_rules import Share


def _fits_a_header(secret: SecretStr) -> SecretStr:
    value = secret.get_secret_value()
    if not value or not all("!" <= letter <= "~" for letter in value):
        raise ValueError("must be visible ASCII, as it is sent in a header")
    return secret


def _is_a_place(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@#]*)?", url):
        raise ValueError("must be such as http://127.0.0.1:8080/callbacks, without user and password")
    return url


CallbackUrl = Annotated[str, AfterValidator(_is_a_place)]
SharedSecret = Annotated[SecretStr, AfterValidator(_fits_a_header)]
Attempts = Annotated[int, Field(ge=1, le=100)]
Wait = Annotated[float, Field(gt=0, le=3600)]


class Fate(NamedTuple):
    """What befalls the callback of one instance.

    Attributes:
        lost: it is never sent.
        duplicate: it is sent a second time, under the same id.
        reissued: it is sent a second time, under another id.
        reordered: it waits until that of an instance which ended later has gone.
        delayed: it waits.
        before_reply: the instance ends at once, and says so before its start is answered.
    """

    lost: bool
    duplicate: bool
    reissued: bool
    reordered: bool
    delayed: bool
    before_reply: bool


class Callbacks(Part):
    """How the vendor reports ends; the shares are drawn from the seed, each for itself.

    Attributes:
        url: where to; None sends nothing.
        secret: signs in the Standard Webhooks way.
        shared_secret: goes with each callback as the header `X-Cordboard-Secret`, from a vendor that cannot sign.
        attempts: how often one message is sent, until the receiver answers 2xx or 410.
        retry_seconds: wait before the second attempt; it doubles each time, up to 2 s.
        timeout_seconds: how long the receiver may take to answer.
        duplicates: share that is sent twice under the same id.
        reissued: share that is sent twice, the second time under another id.
        reorder: share that waits until a later one has gone, at most a second.
        delayed: share that waits for `delay_seconds`.
        delay_seconds: how long those wait.
        before_reply: share of instances that end at once and report it before their start is answered.
        lost: share that is never sent.
    """

    url: CallbackUrl | None = None
    secret: WebhookSecret | None = None
    shared_secret: SharedSecret | None = None
    attempts: Attempts = 8
    retry_seconds: Wait = 0.1
    timeout_seconds: Wait = 5
    duplicates: Share = 0
    reissued: Share = 0
    reorder: Share = 0
    delayed: Share = 0
    delay_seconds: Wait = 0.5
    before_reply: Share = 0
    lost: Share = 0

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if self.secret and self.shared_secret:
            raise ValueError("name a secret to sign with, or a shared_secret, not both")
        return self

    def fate(self, draw: Random) -> Fate:
        """Draws what befalls one callback; always as many numbers, so that one share does not move the others."""
        shares = (self.lost, self.duplicates, self.reissued, self.reorder, self.delayed, self.before_reply)
        return Fate(*[draw.random() < share for share in shares])

    def as_written(self) -> dict[str, Any]:
        """The section as it stands in a file, secrets and all."""
        known = {name: getattr(self, name) for name in ("secret", "shared_secret")}
        return self.model_dump(mode="json") | {
            name: secret and secret.get_secret_value() for name, secret in known.items()
        }
