"""The tenant of `make up TENANT=1`: credentials are asked for once and kept in blocks of the server, in no file."""

from __future__ import annotations

import base64
import contextlib
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from getpass import getpass
from typing import TYPE_CHECKING, Any

from cordboard.errors import BadCall
from cordboard.vendors.login import Api, Login
from cordboard.vendors.token import TokenSource
from cordboard.vendors.transport import HttpClient
from cordboard.vendors.wire import Outcome, Verdict

if TYPE_CHECKING:
    from blocks.tenant import TenantCredentials

NAME = "tenant"  # of the blocks
RECEIVER_SECRET = "cordboard-completions"  # noqa: S105  the name of its block
PREFIXES = ("CXONE", "GENESYS")
_APIS: tuple[Api, ...] = ("data_actions", "flows", "workflows")
_REPLY_BYTES = 64 * 1024
_NONE = """no credentials of a tenant, and no terminal to ask for them. Do one of these:
- run `make up TENANT=1` on a terminal once;
- set CXONE_CLIENT_ID and CXONE_CLIENT_SECRET, or GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET, for one run of it;
- run a plain `make up`, and make a block named `tenant` in the UI: CXone Credentials or Genesys Cloud Credentials."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """Whose credentials there are.

    Attributes:
        credentials: the block of each vendor.
        receiver: variables of the receiver of completions; none without CXone, whose workflows report to it.
        is_secret_new: whether the secret that senders sign with was made just now.
    """

    credentials: tuple[TenantCredentials, ...]
    receiver: Mapping[str, str]
    is_secret_new: bool = False


async def find_tenant(environ: Mapping[str, str], *, renew: bool) -> Tenant:
    """The blocks named `tenant`; what is missing comes from the environment, else from the person at the terminal.

    Args:
        environ: where `CXONE_*` and `GENESYS_*` may state credentials, or where a tenant is.
        renew: ask anew, also where there is a block.

    Raises:
        BadCall: there are no credentials at all, or those of the environment are refused.
    """
    from blocks.cxone import CXoneCredentials  # noqa: PLC0415  Prefect reads its settings as it is imported
    from blocks.genesys import GenesysCloudCredentials  # noqa: PLC0415

    vendors: tuple[type[TenantCredentials], ...] = (CXoneCredentials, GenesysCloudCredentials)
    kept = {vendor: await _kept(vendor) for vendor in vendors}
    may_ask = sys.stdin.isatty() and (renew or not any(kept.values()))  # who has one vendor is not asked each time
    found = [
        block
        for vendor, old in kept.items()
        if (block := await _current(vendor, old, environ, renew=renew, may_ask=may_ask))
    ]
    if not found:
        raise BadCall(_NONE)
    for block in found:
        if isinstance(block, CXoneCredentials):
            secret, is_new = await _receiver_secret(environ)
            tenant = environ.get("CORDBOARD_TENANT") or block.tenant("workflows")
            receiver = {"CORDBOARD_TENANT": tenant, "CORDBOARD_COMPLETION_SECRETS": secret}
            return Tenant(tuple(found), receiver, is_new)
    return Tenant(tuple(found), {})


async def refusal(login: Login) -> Verdict | None:
    """Asks the tenant for a token.

    Args:
        login: what to ask with.

    Returns:
        Why it gives none, for no job and not without scopes either; None where it gives one.
    """
    ways: dict[tuple[str, tuple[str, ...]], None] = {}
    for api in _APIS:
        with contextlib.suppress(BadCall):  # nothing says where its call flows are
            ways[login.places(api).token_url, login.places(api).scopes] = None
    ways |= {(url, ()): None for url, _ in ways}
    http, refused = HttpClient(in_flight=1, body_max_bytes=_REPLY_BYTES), None
    try:
        for url, scopes in ways:
            tokens = TokenSource(url, login.client_id, login.client_secret, scopes, basic_auth=login.basic_auth)
            answer = await tokens.get(http)
            if not isinstance(answer, Verdict):
                return None
            refused = answer
            if answer.outcome is not Outcome.PERMANENT:
                break
    finally:
        await http.aclose()
    return refused


async def _current(
    vendor: type[TenantCredentials],
    kept: TenantCredentials | None,
    environ: Mapping[str, str],
    *,
    renew: bool,
    may_ask: bool,
) -> TenantCredentials | None:
    """The block that is kept, or the new one in its place."""
    if kept is not None and not renew:
        await _warn(kept)
        return kept
    entered = await _entered(vendor, environ, may_ask=may_ask)
    if entered is None:
        return kept
    await entered.save(NAME, overwrite=True)
    return entered


async def _warn(block: TenantCredentials) -> None:
    if fault := await refusal(block.login()):
        again = "To enter them again: make up TENANT=1 RENEW=1"
        print(f"Warning: {block._block_type_name} are not accepted: {fault.message}\n{again}", file=sys.stderr)


async def _entered(
    vendor: type[TenantCredentials], environ: Mapping[str, str], *, may_ask: bool
) -> TenantCredentials | None:
    """What the environment states, else what a person enters."""
    prefix = vendor._login.PREFIX
    if environ.get(f"{prefix}_CLIENT_ID") and environ.get(f"{prefix}_CLIENT_SECRET"):
        return await _stated(vendor, environ)
    return await _asked(vendor, environ) if may_ask else None


async def _kept(vendor: type[TenantCredentials]) -> TenantCredentials | None:
    try:
        return await vendor.aload(NAME)
    except ValueError:
        return None


async def _stated(vendor: type[TenantCredentials], environ: Mapping[str, str]) -> TenantCredentials:
    block = vendor.from_env(environ)
    if fault := await refusal(block.login()):
        raise BadCall(f"the credentials of the {vendor._login.PREFIX}_* variables are not accepted: {fault.message}")
    return block


async def _asked(vendor: type[TenantCredentials], environ: Mapping[str, str]) -> TenantCredentials | None:
    """Asks until the tenant gives a token, or the person keeps what was entered, or leaves this vendor out."""
    print(f"\n{vendor._block_type_name}: kept encrypted by the server, in no file. Enter at the first question skips.")
    while True:
        answers = _answers(vendor, environ)
        if not answers:
            return None
        try:
            block = vendor.from_env({**environ, **answers})
            fault = await refusal(block.login())
        except BadCall as error:
            print(f"  {error}")
            continue
        if fault is None:
            print("  The tenant gave an access token.")
            return block
        print(f"  {fault.message}")
        if _line("  Enter them again? [Y/n] ").lower().startswith("n"):
            return block


def _answers(vendor: type[TenantCredentials], environ: Mapping[str, str]) -> dict[str, str]:
    prefix, fields = vendor._login.PREFIX, vendor.model_fields
    client_id = _line(f"  {fields['client_id'].title}: ")
    if not client_id:
        return {}
    answers = {"client_id": client_id, "client_secret": getpass(f"  {fields['client_secret'].title} (not shown): ")}
    for name in ("region", "org_id"):
        if name in fields:
            default = environ.get(f"{prefix}_{name.upper()}") or str(fields[name].default)
            answers[name] = _line(f"  {fields[name].title} [{default or 'none'}]: ") or default
    return {f"{prefix}_{name.upper()}": answer for name, answer in answers.items()}


def _line(prompt: str) -> str:
    try:
        return input(prompt).strip()
    except EOFError:
        raise BadCall("the questions were not answered") from None


async def _receiver_secret(environ: Mapping[str, str]) -> tuple[str, bool]:
    """What senders of completions sign with: of the environment, else of its block, else a new one."""
    from prefect.blocks.system import Secret  # noqa: PLC0415  as above

    if stated := environ.get("CORDBOARD_COMPLETION_SECRETS"):
        return stated, False
    try:
        kept: Any = await Secret.aload(RECEIVER_SECRET)
        return str(kept.get()), False
    except ValueError:
        made = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        await Secret(value=made).save(RECEIVER_SECRET)
        return made, True
