"""Registers Cordboard's block types with the Prefect server: `python -m deployments.register_blocks`."""

from __future__ import annotations

import asyncio

from prefect.blocks.core import Block

from blocks.cxone import CXoneCredentials
from blocks.webhook import WebhookEndpoint

BLOCKS: tuple[type[Block], ...] = (CXoneCredentials, WebhookEndpoint)


async def register_blocks() -> None:
    """Makes the block types known, so that the UI offers their forms; again changes nothing."""
    for block in BLOCKS:
        await block.aregister_type_and_schema()


def main() -> None:
    """Registers and says what was registered."""
    asyncio.run(register_blocks())
    print("Registered:", ", ".join(block.get_block_type_slug() for block in BLOCKS))


if __name__ == "__main__":
    main()
