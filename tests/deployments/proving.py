"""Hooks of schemathesis: what it sends is signed, or shown with a secret, or comes from a stranger, by turns."""

from __future__ import annotations

import uuid
from itertools import cycle
from typing import Any

import requests
import schemathesis

from tests.deployments.receiving import SECRET, SHARED, signed

PROOFS = cycle(["signed", "signed", "plain", "none"])
PROOF_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature", "x-cordboard-secret")
UNHEARD = "x-sent-by"  # how the receiver's answer finds its case again; nothing of ours reads it


class Proof(requests.auth.AuthBase):
    """Puts the proof on the very bytes that leave."""

    def __init__(self, how: str) -> None:
        self.how = how

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers[UNHEARD] = self.how
        if self.how == "none":
            return request
        for name in PROOF_HEADERS:
            request.headers.pop(name, None)
        if self.how == "plain":
            request.headers["x-cordboard-secret"] = SHARED
            return request
        body = request.body or b""
        headers = signed(body.encode() if isinstance(body, str) else body, f"msg_{uuid.uuid4().hex}")
        request.headers.update({name: value for name, value in headers.items() if name in PROOF_HEADERS})
        return request


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    kwargs["auth"] = Proof(next(PROOFS))


@schemathesis.check
def only_who_proves_it_is_heard(ctx: Any, response: schemathesis.Response, case: schemathesis.Case) -> None:
    """A stranger is refused whatever is sent, one with proof never for want of it, and nobody hears a secret."""
    assert not any(secret in response.text for secret in (SECRET, SECRET.removeprefix("whsec_"), SHARED))
    if case.method == "POST" and case.path == "/completions":
        how = response.request.headers[UNHEARD]
        assert how != "none" or response.status_code in (401, 415), f"a stranger is answered {response.status_code}"
        assert how == "none" or response.status_code != 401, f"{how} is taken for a stranger"
