"""How `python -m flows` runs a flow in this process: what is asked for, the credentials, the server, the document."""

from __future__ import annotations

import asyncio
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from cordboard.errors import BadCall, Theirs

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from blocks.webhook import WebhookEndpoint

Asked = TypeVar("Asked", bound=BaseModel)


def asked_of(model: type[Asked], **options: Any) -> Asked:
    """What a flow is asked for; an option that was not given takes the flow's own default.

    Raises:
        BadCall: an option holds what it cannot hold.
    """
    try:
        return model(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        said = [(fault["loc"][-1:], _in_words(fault)) for fault in error.errors()]
        faults = "; ".join(": ".join([*map(str, where), what]) for where, what in said)
        raise BadCall(f"cannot run it so: {faults}") from None


def _in_words(fault: ErrorDetails) -> str:
    if fault["type"] in {"string_pattern_mismatch", "string_too_long"}:  # only keys and ids have a pattern or a length
        return "takes up to 128 of a-z, A-Z, 0-9, '.', '_' and '-', the first a letter or a digit"
    return fault["msg"].removeprefix("Value error, ")


def show(document: dict[str, Any], in_words: Any, *, as_json: bool) -> None:
    """Prints a document, for programs or for people."""
    print(json.dumps(document, ensure_ascii=False, allow_nan=False)) if as_json else in_words(document)


async def run(
    flow: Any,
    asked: Any,
    credentials: str | None,
    *webhook: str | None,
    vendor: Literal["cxone", "genesys"] = "cxone",
    needs_login: bool = True,
) -> Any:
    """Runs a flow with the credentials and webhooks that were named, and gives back its state."""
    login = None
    if needs_login and not credentials:
        login = _credentials_block(vendor).from_env(os.environ)  # what is missing is told at once
    await reach_server()
    endpoint = [await load_webhook(name) for name in webhook]
    if needs_login and credentials:
        login = await _load(_credentials_block(vendor), credentials)
    return await flow(asked, login, *endpoint, return_state=True)


async def login_of(credentials: str, vendor: Literal["cxone", "genesys"] = "cxone") -> Any:
    """The credentials block of a name, once the server answers."""
    await reach_server()
    return await _load(_credentials_block(vendor), credentials)


def state_settings(file: Path) -> None:
    """States in the environment what the checkout's `prefect.toml` states: Prefect reads that in the checkout alone.

    Else a run from another folder would have Prefect's own defaults: results as pickles, telemetry of its server, and
    20 seconds for that to start. A folder with a `prefect.toml` of its own has its own say; what is set already wins.

    Args:
        file: that of the checkout.
    """
    if file.is_file() and not Path(file.name).exists():
        for name, value in _variables(tomllib.loads(file.read_text(encoding="utf-8")), "PREFECT"):
            os.environ.setdefault(name, value)


def _variables(settings: Mapping[str, Any], above: str) -> Iterator[tuple[str, str]]:
    for key, value in settings.items():
        name = f"{above}_{key.upper()}"
        if isinstance(value, Mapping):
            yield from _variables(value, name)
        else:
            yield name, str(value).lower() if isinstance(value, bool) else str(value)


async def reach_server() -> None:
    """Makes sure that Prefect answers, and lets us in.

    Raises:
        BadCall: it refuses the sign-in.
        Theirs: it does not answer.
    """
    from prefect.client.orchestration import get_client  # noqa: PLC0415
    from prefect.exceptions import PrefectHTTPStatusError  # noqa: PLC0415

    try:
        async with get_client() as client:
            trouble, url = await client.api_healthcheck(), client.api_url
            if not trouble:
                await client.api_version()  # unlike its health, only for those who sign in
    except PrefectHTTPStatusError as error:
        if error.response.status_code != HTTPStatus.UNAUTHORIZED:
            raise Theirs(f"the Prefect server answers {error.response.status_code} to {error.request.url}") from None
        hint = "load the `prefect.env` that `make up` wrote (set -a; . .cordboard/prefect.env; set +a)"
        at = error.request.url.copy_with(path=None, query=None)
        raise BadCall(
            f"the Prefect server at {at} refuses the sign-in: {hint}, or set PREFECT_API_AUTH_STRING"
        ) from None
    except RuntimeError as error:  # a server of this run's own that did not come up in time
        raise Theirs(f"this run's own Prefect server did not start: {error} Give the command again.") from None
    if trouble:
        raise Theirs(f"the Prefect server at {url} cannot be reached: {trouble}")


def _credentials_block(vendor: Literal["cxone", "genesys"]) -> Any:
    from blocks.cxone import CXoneCredentials  # noqa: PLC0415
    from blocks.genesys import GenesysCloudCredentials  # noqa: PLC0415

    return GenesysCloudCredentials if vendor == "genesys" else CXoneCredentials


async def load_webhook(name: str | None) -> WebhookEndpoint | None:
    """The webhook block of a name, or None without one."""
    from blocks.webhook import WebhookEndpoint  # noqa: PLC0415

    return await _load(WebhookEndpoint, name) if name else None


async def _load(block: Any, name: str) -> Any:
    try:
        return await block.aload(name)
    except ValueError as error:
        raise BadCall(f"no block {block.get_block_type_slug()}/{name} on this Prefect server: {error}") from None


def document_of(state: Any) -> dict[str, Any]:
    """The document that a flow ended with; its error where it has none."""
    found = asyncio.run(state.aresult(raise_on_failure=False))
    if isinstance(found, BaseException):
        raise found
    return dict(found)
