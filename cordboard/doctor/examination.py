"""All probes at once, each within its time; no secret of the environment leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from cordboard.doctor import checkpoints, endpoints, ledger, orchestrator, vendors, versions
from cordboard.doctor.model import Check, Probe, Surroundings, error

PROBES: Mapping[str, Probe] = {
    "versions": versions.probe,
    "vendors": vendors.probe,
    "ledger": ledger.probe,
    "audit": checkpoints.probe,
    "endpoints": endpoints.probe,
    "prefect": orchestrator.probe,
}


async def examine(place: Surroundings, probes: Mapping[str, Probe] = PROBES) -> list[Check]:
    """Looks at everything; a probe that hangs or breaks is a check that says so.

    Args:
        place: what is looked at.
        probes: by their names.
    """
    place.learn_secrets()
    found = await asyncio.gather(*(_bounded(name, probe, place) for name, probe in probes.items()))
    return [_masked(check, place) for checks in found for check in checks]


async def _bounded(name: str, probe: Probe, place: Surroundings) -> Sequence[Check]:
    try:
        async with asyncio.timeout(4 * place.timeout_seconds):
            return await probe(place)
    except TimeoutError:
        return [error(name, "it was not looked at in time", "Look for what does not answer, and ask again.")]
    except Exception as fault:  # one probe that breaks must not hide what the others found
        what = f"it could not be looked at ({type(fault).__name__})"
        return [error(name, what, "This is a fault of `cordboard doctor`: report it with the output of --json.")]


def _masked(check: Check, place: Surroundings) -> Check:
    return replace(check, message=place.redactor.text(check.message), mend=place.redactor.text(check.mend))
