"""Tokens: who gets one, what it may do, and when it ends."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from cordboard.sandbox import Sandbox, default_definition
from cordboard.sandbox.definition import SCOPES


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth2/token", "/v1/oauth2/token"])
def test_each_of_the_vendors_token_paths_gives_a_token(start, path):
    """The vendor's products disagree about the path; the sandbox knows all three."""
    api = start()
    form = {"grant_type": "client_credentials", "client_id": "sandbox-client"}
    token = api.http.post(path, data={**form, "client_secret": api.box.env()["CXONE_CLIENT_SECRET"]}).json()
    assert token["token_type"] == "Bearer"
    assert token["expires_in"] == 3600
    assert token["scope"] == " ".join(SCOPES)


def test_a_client_may_show_its_secret_as_basic_auth(start):
    """RFC 6749 has both ways; tenants differ."""
    api = start()
    env = api.box.env()
    basic = httpx.BasicAuth(env["CXONE_CLIENT_ID"], env["CXONE_CLIENT_SECRET"])
    assert api.http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=basic).status_code == 200


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "dataactions:execute billing:write"}, 400, "invalid_scope"),
    ],
)
def test_a_bad_token_request_is_refused_in_oauths_words(start, form, status, error):
    """`error` and `error_description`, as RFC 6749 has them; the secret is not repeated."""
    reply = start().ask_token(**form)
    assert (reply.status_code, reply.json()["error"]) == (status, error)
    assert "wrong" not in reply.text.replace("wrong secret", "")


def test_a_call_without_a_good_token_is_401(start):
    """A missing token and an unknown one look the same to a client."""
    api = start()
    assert api.notify(authorization="").status_code == 401
    unknown = api.notify(authorization="Bearer nonsense")
    assert (unknown.status_code, unknown.json()["code"]) == (401, "invalid_token")
    api.box.sandbox.revoke_tokens()
    assert api.notify().status_code == 401
    assert not api.box.truth.effects


def test_a_token_without_the_scope_is_403_and_the_scope_is_named(start):
    """A client that asked for less than it may have gets less."""
    api = start().sign_in(scope="dataactions:read")
    reply = api.notify()
    assert reply.status_code == 403
    assert "dataactions:execute" in reply.json()["message"]
    assert not api.box.truth.effects


def test_a_token_works_to_the_end_of_its_life_and_not_longer():
    """The sandbox's clock is handed in, so a test does not wait for an hour to pass."""
    now = [1000.0]
    sandbox = Sandbox(default_definition().changed(token_seconds=60), clock=lambda: now[0])

    async def statuses() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox), base_url="http://sandbox") as http:
            client = sandbox.definition.clients[0]
            form = {"grant_type": "client_credentials", "client_id": client.id}
            form["client_secret"] = client.secret.get_secret_value()
            token = (await http.post("/oauth/token", data=form)).json()
            assert token["expires_in"] == 60
            found = []
            for later in (0, 59, 60):
                now[0] = 1000.0 + later
                body = {"definition_id": "def-notify", "inputs": {}}
                headers = {"authorization": f"Bearer {token['access_token']}"}
                found.append(
                    (await http.post("/api/v2/dataactions/executions", json=body, headers=headers)).status_code
                )
            return found

    assert asyncio.run(statuses()) == [200, 200, 401]


def test_the_truth_names_the_client_but_never_its_secret(start):
    """A log that is handed around must not carry credentials."""
    api = start()
    api.ask_token(client_secret="wrong")
    api.notify()
    assert [entry.client for entry in api.box.truth.entries] == ["sandbox-client"] * 4
    shown = repr(api.box.truth.entries) + repr(api.box.sandbox.definition)
    assert api.box.env()["CXONE_CLIENT_SECRET"] not in shown
    assert api.http.headers["authorization"].removeprefix("Bearer ") not in shown
