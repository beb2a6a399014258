"""The receiver's log has a line for each completion, by which it is found again in the run that applies it."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import httpx
import pytest

from cordboard.completion.receiving import Reception
from cordboard.completion.verification import Keys
from cordboard.records.ledger import Ledger
from cordboard.settings import Settings
from deployments.receiver import Receiver
from tests.deployments.receiving import SECRET, completion, signed

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_each_completion_is_a_line_with_the_trace_that_its_sender_names(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "cordboard.receiver")
    told: list[str] = []

    async def main() -> None:
        async with await Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
            keys = Keys.from_settings(Settings(completion_secrets=SECRET))
            transport = httpx.ASGITransport(Receiver(Reception(ledger, "acme", keys), told.append).app())
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                traced = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
                await client.post("/completions", content=completion(1), headers=signed(completion(1), "m1") | traced)
                await client.post("/completions", content=b"{}", headers={"traceparent": "nonsense"})

    asyncio.run(main())
    kept, refused = [record.__dict__["cordboard"] for record in caplog.records]
    assert kept == {"status": 202, "outcome": "accepted", "inbox_id": told[0], "trace_id": TRACE}
    assert (refused["status"], refused["inbox_id"]) == (415, "")
    assert "trace_id" not in refused
