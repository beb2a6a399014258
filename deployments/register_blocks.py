"""Registers Cordboard's block types with the Prefect server: `python -m deployments.register_blocks`."""

from __future__ import annotations

import asyncio
import sys

from cordboard.errors import CordboardError
from flows.__main__ import prepare_environment
from flows.run_in_process import reach_server


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


def main() -> int:
    """Registers with the server of `PREFECT_API_URL`, else in the database that `python -m flows` uses."""
    prepare_environment(verbose=False)
    try:
        print("Registered:", ", ".join(asyncio.run(_once_it_answers())))
    except CordboardError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


async def _once_it_answers() -> list[str]:
    await reach_server()
    return await register_blocks()


if __name__ == "__main__":
    sys.exit(main())
