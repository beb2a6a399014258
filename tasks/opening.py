"""Opens everything that a chain run needs, after everything that can be checked offline has been checked."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prefect.blocks.system import Secret
from prefect.runtime import flow_run
from pydantic import BaseModel, Field

from blocks.cxone import CXoneCredentials
from blocks.webhook import WebhookEndpoint
from cordboard.chains.model import load_chain
from cordboard.chains.params import bind_params, secrets_from_env
from cordboard.errors import BadCall
from cordboard.records.audit import told
from cordboard.redaction import Redactor
from tasks.chain_run import ChainRun
from tasks.connections import connected


class RunChain(BaseModel):
    """What to run."""

    file: str = Field(
        title="Chain file",
        description="Path of the chain file, from the root of the checkout.",
        examples=["examples/customer_sync.yaml"],
        json_schema_extra={"position": 0},
    )
    params: dict[str, Any] = Field(
        default_factory=dict,
        title="Parameters",
        description="Values for the chain's `params`, as a JSON object.",
        json_schema_extra={"position": 1},
    )
    secrets: dict[str, str] = Field(
        default_factory=dict,
        title="Secret parameters",
        description="For each parameter that the chain declares secret, the name of a Prefect Secret block.",
        json_schema_extra={"position": 4},
    )
    run_key: str = Field(
        default="",
        title="Run key",
        description="Leave empty for a new run. With the key of an earlier run, what completed then is reused.",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,127})?$",
        json_schema_extra={"position": 2},
    )
    deadline_seconds: float = Field(
        default=3600,
        gt=0,
        le=86400,
        title="Deadline (seconds)",
        description="Nothing starts after this long; calls that are open then are ended.",
        json_schema_extra={"position": 3},
    )


@asynccontextmanager
async def opened(
    asked: RunChain, credentials: CXoneCredentials | None, webhook: WebhookEndpoint | None, redactor: Redactor
) -> AsyncIterator[ChainRun]:
    """Checks everything that can be checked offline, then opens client, ledger and webhook relay, and closes them."""
    chain = load_chain(Path(asked.file))
    secrets = {**secrets_from_env(chain, os.environ), **await _secrets_from_blocks(asked.secrets)}
    params = bind_params(chain, asked.params, secrets)
    redactor.learn(*secrets.values())
    run_key = asked.run_key or str(flow_run.id or uuid.uuid4())
    async with connected(
        f"{chain.name}/{run_key}",
        kind="chain",
        api="data_actions",
        credentials=credentials,
        webhook=webhook,
        redactor=redactor,
        chain=chain.name,
    ) as connections:
        handle = connections.handle
        run = ChainRun(
            chain,
            params,
            connections,
            run_key=run_key,
            known=await handle.all_entries() if handle.epoch > 1 else {},
            allowed_seconds=asked.deadline_seconds,
        )
        if handle.epoch > 1:
            run.told = await told(connections.ledger, handle.tenant, handle.run_key, "action.completed")
        yield run


async def _secrets_from_blocks(names: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for param, block in names.items():
        try:
            secret: Any = await Secret.aload(block)
            found[param] = str(secret.get())
        except ValueError as error:
            raise BadCall(f"no Secret block {block!r} for the parameter {param}: {error}") from None
    return found
