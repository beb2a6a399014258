"""Whatever carries a secret shows none of it: not printed, not dumped, not in the errors of what could not be made."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from blocks.cxone import CXoneCredentials
from blocks.genesys import GenesysCloudCredentials
from blocks.webhook import WebhookEndpoint
from cordboard.redaction import Redactor
from cordboard.sandbox.definition import Client, default_definition
from cordboard.settings import Settings
from cordboard.vendors.token import TokenSource
from cordboard.vendors.webhook import Endpoint, WebhookSender

CANARY = base64.b64encode(b"a canary that must not sing").decode()
SIGNING = f"whsec_{CANARY}"
URL = f"https://hooks.example/{CANARY}"

CARRIERS: dict[str, Callable[[], Any]] = {
    "credentials": lambda: CXoneCredentials(client_id="me", client_secret=CANARY),
    "client": lambda: CXoneCredentials(client_id="me", client_secret=CANARY).get_client(),
    "genesys credentials": lambda: GenesysCloudCredentials(client_id="me", client_secret=CANARY),
    "genesys client": lambda: GenesysCloudCredentials(client_id="me", client_secret=CANARY).get_client(),
    "token source": lambda: TokenSource("https://vendor.example/token", "me", CANARY),
    "token source with a Basic header": lambda: TokenSource("https://vendor.example/t", "me", CANARY, basic_auth=True),
    "webhook block": lambda: WebhookEndpoint(url=URL, secret=SIGNING),
    "webhook endpoint": lambda: Endpoint("env", URL, SIGNING),
    "webhook sender": lambda: WebhookSender(Endpoint("env", URL, SIGNING)),
    "settings": lambda: Settings(ledger_url=f"postgresql://me:{CANARY}@db/x", webhook_url=URL, webhook_secret=SIGNING),
    "redactor": lambda: Redactor([CANARY]),
    "client of a sandbox": lambda: Client(id="me", secret=CANARY),
    "definition of a sandbox": lambda: default_definition().changed(clients=[{"id": "me", "secret": CANARY}]),
}


@pytest.mark.parametrize("make", CARRIERS.values(), ids=CARRIERS)
def test_a_carrier_of_a_secret_does_not_show_it(make: Callable[[], Any]) -> None:
    carrier = make()
    dumped = carrier.model_dump() if hasattr(carrier, "model_dump") else ""
    assert CANARY not in f"{carrier!r} {carrier} {carrier:} {dumped} {[carrier]} {vars(type(carrier))}"


@pytest.mark.parametrize("block", [CXoneCredentials, GenesysCloudCredentials, WebhookEndpoint])
@pytest.mark.parametrize("wrong", [{}, {"client_secret": CANARY, "secret": CANARY}, {"client_secret": [CANARY]}])
def test_a_block_that_cannot_be_made_does_not_show_what_it_was_given(block: Any, wrong: dict[str, Any]) -> None:
    """Where a field is missing, Pydantic's errors repeat all the others unless they are told not to."""
    with pytest.raises(ValidationError) as caught:
        block(**wrong)
    assert CANARY not in str(caught.value)


def test_the_header_that_carries_id_and_secret_is_masked_too() -> None:
    """A vendor that repeats a Basic header repeats neither the id nor the secret as they stand."""
    redactor = Redactor()
    TokenSource("https://vendor.example/token", "me", CANARY, basic_auth=True, redactor=redactor)
    packed = base64.b64encode(f"me:{CANARY.replace('=', '%3D')}".encode()).decode()
    assert packed not in redactor.text(f"authorization: Basic {packed}")
