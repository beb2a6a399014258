"""What callers notice of an update. Where nobody can tell, a sentence says so: silence would mean "nothing"."""

from __future__ import annotations

from cordboard.errors import InvalidDocument
from cordboard.findings import errors_in
from cordboard.ivr.paths import Change, behaviour_changes
from cordboard.ivr.trace import compile_flow
from cordboard.updating.model import Proposal
from cordboard.updating.run import UpdateRun

#: So many moments of calls are compared to say what callers notice; larger flows are compared in part, and it says so.
MOST_PAIRS = 20_000


def compare(run: UpdateRun) -> str:
    """Says what callers notice of the proposal, into `run.noticed`. Returns why nobody can tell; empty where it can."""
    try:
        run.noticed, why = _changes_of(run.proposed), ""
    except InvalidDocument as error:  # the live flow is broken; what the edit mends stands among the differences
        why = f"the live flow cannot be called as it is: {error.findings[0].message}"
    except Exception as error:  # whatever it is: whoever decides must not take it for "nothing"
        why = f"{type(error).__name__}: {str(error)[:200]}"
    if why:
        run.noticed = (_nobody_knows(why),)
    return why


def told_of_callers(run: UpdateRun) -> tuple[Change, ...]:
    """What can be told of callers; also where nobody compared what there was to compare."""
    if run.noticed is None and run.proposal is not None and _is_comparable(run.proposal):
        return (_nobody_knows("nobody looked"),)
    return run.noticed or ()


def _changes_of(proposal: Proposal) -> tuple[Change, ...]:
    if not _is_comparable(proposal):
        return ()
    before, after = compile_flow(proposal.live), compile_flow(proposal.flow)
    return behaviour_changes(before, after, most_pairs=MOST_PAIRS)


def _is_comparable(proposal: Proposal) -> bool:
    """Whether there is something that could be saved; what is not fit to be is no flow for callers."""
    return proposal.merged is not None and not proposal.changes_nothing and not errors_in(proposal.findings)


def _nobody_knows(why: str) -> Change:
    return Change("unfinished", f"It could not be compared, so nobody knows what callers notice ({why})")
