"""A client of the vendor that was replaced: nothing that the other one has started is started again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cordboard.errors import BadCall
from cordboard.records.ledger import Ledger
from cordboard.starting.clients import require_same_client
from cordboard.starting.model import Batch
from cordboard.starting.orders import effect_of
from tests.cordboard.starting.conftest import Place

OLD, NEW = "api.example.com/old", "api.example.com/new"


async def started(ledger: Ledger, batch: Batch, tenant: str, count: int = 1) -> None:
    """The last starts of the batch, put on record as sent for a tenant."""
    async with await ledger.claim_run(tenant, f"starts/{batch.run_key}/01-000000") as run:
        for start in list(batch.spool.starts())[-count:]:
            await run.intend(effect_of(replace(batch, tenant=tenant), start))


@pytest.fixture
def nowhere(tmp_path: Any, ledger_url: str) -> Place:
    """A place for batches that nobody sends."""
    return Place(None, tmp_path, ledger_url)  # type: ignore[arg-type]


def test_a_key_that_a_replaced_client_used_is_not_used_again_in_another_batch(nowhere: Place, loop: Any) -> None:
    """It means the same in every batch: that of today has another run key than that of yesterday."""

    async def main() -> None:
        yesterday, today = (replace(nowhere.batch(600, day), tenant=NEW) for day in ("friday", "saturday"))
        async with await Ledger.open(nowhere.ledger) as ledger:
            await started(ledger, yesterday, "elsewhere.example.com/old")
            await require_same_client(today, ledger)  # another host: another vendor
            await started(ledger, replace(yesterday, trigger=replace(yesterday.trigger, workflow_id="wf_2")), OLD)
            await require_same_client(today, ledger)
            await started(ledger, yesterday, OLD, 2)
            with pytest.raises(BadCall, match=f"CORDBOARD_TENANT={OLD} to go on.*CORDBOARD_TENANT={NEW} for it"):
                await require_same_client(today, ledger)
            await started(ledger, yesterday, NEW, 2)  # known here as well: none of them would be sent
            await require_same_client(today, ledger)

    loop(main())


def test_content_alone_is_another_start_in_another_batch(nowhere: Place, loop: Any) -> None:
    async def main() -> None:
        yesterday, today = (replace(nowhere.batch(3, day, key=None), tenant=NEW) for day in ("friday", "saturday"))
        async with await Ledger.open(nowhere.ledger) as ledger:
            await started(ledger, yesterday, OLD, 3)
            await require_same_client(today, ledger)

    loop(main())


@pytest.fixture
def loop() -> Any:
    """Runs a coroutine."""
    import asyncio

    return asyncio.run
