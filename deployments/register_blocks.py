"""Registers Cordboard's block types with the Prefect server: `python -m deployments.register_blocks`."""

from __future__ import annotations

import asyncio

from flows.__main__ import prepare_environment


async def register_blocks() -> list[str]:
    """Makes the block types known, so that the UI offers their forms; again changes nothing.

    Returns:
        The slugs of what was registered.
    """
    from blocks.cxone import CXoneCredentials  # noqa: PLC0415  Prefect reads its settings as it is imported
    from blocks.genesys import GenesysCloudCredentials  # noqa: PLC0415
    from blocks.webhook import WebhookEndpoint  # noqa: PLC0415

    blocks = (CXoneCredentials, GenesysCloudCredentials, WebhookEndpoint)
    for block in blocks:
        await block.aregister_type_and_schema()
    return [block.get_block_type_slug() for block in blocks]


def main() -> None:
    """Registers with the server of `PREFECT_API_URL`, else in the database that `python -m flows` uses."""
    prepare_environment(verbose=False)
    print("Registered:", ", ".join(asyncio.run(register_blocks())))


if __name__ == "__main__":
    main()
