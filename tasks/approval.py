"""Asks a person in the Prefect UI: the run pauses, with what would change in front of whoever decides."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from prefect.exceptions import FlowPauseTimeout, NotPausedError
from prefect.flow_runs import apause_flow_run, aresume_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from prefect.utilities.urls import url_for
from pydantic import Field

from cordboard.jsontext import digest
from cordboard.updating.callers import told_of_callers
from cordboard.updating.proposing import saved_body
from cordboard.updating.run import UpdateRun
from tasks.process import log

POLL_SECONDS = 2
_GRACE_SECONDS = 30


class Decision(RunInput):
    """What a person answers."""

    agree: bool = Field(
        default=False,
        title="Save this change",
        description="Turn it on to save it to the live call flow. Left as it is, nothing is sent.",
        json_schema_extra={"position": 0},
    )
    decided_by: str = Field(
        default="", title="Your name", description="Goes on the audit record.", json_schema_extra={"position": 1}
    )
    comment: str = Field(
        default="", title="Comment", description="Goes on the audit record.", json_schema_extra={"position": 2}
    )


async def agreed(run: UpdateRun, page: str, seconds: float, poll_seconds: int = POLL_SECONDS) -> bool:
    """Whether somebody agrees that the proposal is saved. The same change is not asked about twice.

    Args:
        run: the update.
        page: what would change, as Markdown; stands above the form.
        seconds: how long an answer is waited for; none is a no.
        poll_seconds: how often it is looked for.
    """
    change = _change_of(run)
    if change == run.decided_on:  # somebody saved in between, and what we change is the same
        return True
    started = time.monotonic()
    try:
        said = await _answer(page, seconds, poll_seconds)
    except ValueError:  # resumed without an answer, as the API allows
        said = _no("the run was resumed without an answer")
    run.paused_seconds += time.monotonic() - started
    run.decision = said
    run.decided_on = change if said["saved"] else ""
    return bool(said["saved"])


async def _answer(page: str, seconds: float, poll_seconds: int) -> dict[str, Any]:
    """What somebody says. Prefect ends a run whose pause ran out as it likes; so ours runs out before Prefect's."""
    form = Decision.with_initial_data(description=page)
    log.info("waiting for a decision about it: %s", url_for("flow-run", obj_id=flow_run.id))
    longer = int(seconds) + _GRACE_SECONDS
    waiting = asyncio.ensure_future(apause_flow_run(wait_for_input=form, timeout=longer, poll_interval=poll_seconds))
    try:
        done, _ = await asyncio.wait({waiting}, timeout=seconds)
        if not done:
            with contextlib.suppress(NotPausedError):  # somebody answers at this very moment: then that counts
                why = f"nobody answered within {seconds:g} s"
                await aresume_flow_run(flow_run.id, run_input={"agree": False, "comment": why})
        answer = await asyncio.wait_for(waiting, None if done else _GRACE_SECONDS)
    except (TimeoutError, FlowPauseTimeout):
        return _no("the run was neither resumed nor answered")  # such as one that was cancelled in the UI
    finally:
        waiting.cancel()
    return {"saved": answer.agree, "by": answer.decided_by, "comment": answer.comment}


def _no(why: str) -> dict[str, Any]:
    return {"saved": False, "by": "", "comment": why}


def _change_of(run: UpdateRun) -> str:
    """Stands for what is changed and what callers notice of it."""
    proposal = run.proposed
    before, after = saved_body(proposal.live)["nodes"], saved_body(proposal.flow)["nodes"]
    nodes = {name: (before.get(name), after.get(name)) for name in {*before, *after}}
    changed = sorted((name, *pair) for name, pair in nodes.items() if pair[0] != pair[1])
    sentences = sorted(each.sentence for each in proposal.differences)
    return digest([changed, sentences, [each.sentence for each in told_of_callers(run)]])
