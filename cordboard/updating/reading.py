"""Reads flows and their versions at Genesys Cloud, and finds the one that an author edited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cordboard.errors import BadCall, VendorFailed
from cordboard.ivr.model import Flow
from cordboard.sending import evidence
from cordboard.updating.kept import version_kept
from cordboard.updating.proposing import understood
from cordboard.updating.run import UpdateRun, file_of
from cordboard.vendors.genesys import read_flow, read_flow_version
from cordboard.vendors.wire import Outcome, Request

READ_SECONDS = 30.0
#: Refusals of a version that come again with every try.
_NOT_SHOWN = frozenset({"forbidden", "rejected"})


async def read_live(run: UpdateRun) -> dict[str, Any]:
    """The flow as the vendor has it.

    Raises:
        BadCall: there is no flow of this id.
        VendorFailed: it cannot be read.
    """
    found = await _read(run, read_flow(run.flow_id, run.trace("read")), f"the live flow {run.flow_id}")
    if found is None:
        raise BadCall(f"Genesys Cloud has no flow {run.flow_id}; an update changes a flow that is live")
    return found


async def read_version(run: UpdateRun, version: int) -> dict[str, Any] | None:
    """An earlier version, or None where the vendor does not give it out (any more).

    Raises:
        VendorFailed: it cannot be read.
    """
    request = read_flow_version(run.flow_id, version, run.trace(f"version {version}"))
    return await _read(run, request, f"version {version} of {run.flow_id}")


async def version_shown(run: UpdateRun, version: int) -> dict[str, Any] | None:
    """A version, or None where the vendor will not show it, now or later: then the live flow has to tell.

    Raises:
        VendorFailed: it cannot be read at the moment.
    """
    return (await _version_or_why(run, version))[0]


async def _version_or_why(run: UpdateRun, version: int) -> tuple[dict[str, Any] | None, str]:
    try:
        return await read_version(run, version), ""
    except VendorFailed as error:
        if error.evidence.get("kind") not in _NOT_SHOWN:
            raise
        return None, f" ({error})"


async def _read(run: UpdateRun, request: Request, what: str) -> dict[str, Any] | None:
    verdict = (await run.session.call(request, timeout_seconds=READ_SECONDS)).verdict
    if verdict.outcome is Outcome.ACCEPTED:
        found: dict[str, Any] = verdict.value
        return found
    if verdict.kind == "not_found":
        return None
    raise VendorFailed(f"{what} cannot be read", evidence(verdict))


async def find_base(run: UpdateRun, live: Mapping[str, Any]) -> Flow:
    """The flow that the author edited: the live one, one that the ledger keeps, or one that the vendor still has.

    Raises:
        BadCall: nobody has it any more.
    """
    wanted, now = run.patch.base_version, live["version"]
    if wanted == now:
        return understood(live)
    found, why = await version_kept(run.ledger, run.handle, run.flow_id, wanted), ""
    if found is None:
        found, why = await _version_or_why(run, wanted)
    if found is None:
        raise BadCall(
            f"{_where(run)} edits version {wanted} of {run.flow_id}; the live flow is version {now}, and neither the "
            f"ledger nor the vendor has version {wanted} any more{why}. Without it nobody can tell your edit from the "
            f"edits of others: give the flow that you edited with --base FILE, or make the edit anew from version {now}"
        )
    return understood(found)


def check_version(run: UpdateRun, live: Mapping[str, Any]) -> None:
    """Checks that the version that was edited can be an earlier one of this flow, whoever has it.

    Raises:
        BadCall: it never was.
    """
    wanted, now = run.patch.base_version, live["version"]
    if wanted > now:
        raise BadCall(f"{_where(run)} edits version {wanted} of {run.flow_id}, and the live flow is version {now}")


def check_base(run: UpdateRun, base: Flow) -> None:
    """Checks that a flow from a file is the one that the author edited.

    Raises:
        BadCall: it is another.
    """
    if base.platform != "genesys" or base.id != run.flow_id:
        raise BadCall(f"{base.file} is {base.id} of {base.platform}, and {_where(run)} edits {run.flow_id} of genesys")
    if base.version is not None and base.version != run.patch.base_version:
        edited = run.patch.base_version
        raise BadCall(f"{base.file} is version {base.version}, and {_where(run)} edits version {edited}")


def _where(run: UpdateRun) -> str:
    return file_of(run.patch) or "the patch"
