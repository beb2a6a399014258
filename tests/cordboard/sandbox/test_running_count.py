"""The running count is what a recount of every instance gives, at every moment."""

from __future__ import annotations

from itertools import count

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.sandbox import default_definition, running_sandbox
from cordboard.sandbox.callback_rules import Fate
from cordboard.sandbox.instances import STATUSES, Filters, Instance, Instances

NO_FATE = Fate(False, False, False, False, False, False)
INSTANCES = "/api/v2/workflows/instances"
LASTING = {"wf_0": 0, "wf_2": 2, "wf_5": 5}
LIMIT = 3
WORKFLOWS = {name: {"duration_seconds": lasts, "max_running": LIMIT} for name, lasts in LASTING.items()}
steps = st.lists(st.one_of(st.sampled_from([*LASTING]), st.sampled_from([0.5, 1, 2, 7])), min_size=4, max_size=25)


@settings(max_examples=25, deadline=None)
@given(steps)
def test_over_http_the_count_is_that_of_a_recount_and_the_limit_holds(ops):
    """Starts and waits in any order: what the vendor says, refuses and remembers follows from the starts alone."""
    now, most = [1_000_000.0], dict.fromkeys(LASTING, 0)
    definition = default_definition().changed(workflows=WORKFLOWS)
    with (
        running_sandbox(definition, clock=lambda: now[0]) as box,
        httpx.Client(base_url=box.base_url, trust_env=False, verify=False) as http,
    ):
        form = {"client_id": box.env()["CXONE_CLIENT_ID"], "client_secret": box.env()["CXONE_CLIENT_SECRET"]}
        token = http.post("/oauth/token", data={"grant_type": "client_credentials", **form}).json()["access_token"]
        http.headers["authorization"] = f"Bearer {token}"
        for op in ops:
            if isinstance(op, str):
                room = recount(box.truth, op, now[0]) < LIMIT
                assert (http.post(INSTANCES, json={"workflowId": op}).status_code == 201) == room
                most[op] = max(most[op], recount(box.truth, op, now[0]))
            else:
                now[0] += op
            for name in LASTING:
                found = http.get(INSTANCES, params={"workflowId": name, "status": "running", "pageSize": 1}).json()
                assert found["totalCount"] == recount(box.truth, name, now[0])
        assert {name: box.truth.most_running(name) for name in LASTING} == most


def recount(truth, workflow_id, now):
    """From what was started alone."""
    return sum(entry.workflow_id == workflow_id and entry.at <= now < entry.ends_at for entry in truth.instances)


ops_in_process = st.lists(
    st.one_of(
        st.floats(0, 3),
        st.tuples(
            st.sampled_from("ab"), st.floats(0, 4), st.sampled_from(["completed", "failed"]), st.sampled_from("xy")
        ),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(ops_in_process)
def test_every_search_finds_what_looking_at_each_instance_finds(ops):
    """Also each status, each page, both workflows, and metadata that lag; and each end is told once."""
    now, numbers, started, told = [100.0], count(1), [], []
    lags = {"a": 0.0, "b": 1.0}
    instances = Instances(lags, lambda: now[0], told.append)
    for op in ops:
        if isinstance(op, float):
            now[0] += op
        else:
            workflow_id, lasts, ends_as, source = op
            at, number = instances.now(), str(next(numbers))
            made = Instance(
                number, workflow_id, "req", 5, {"s": source}, {}, at, at + lasts, ends_as, NO_FATE, ("m", "n")
            )
            started.append(made)
            instances.add(made)
        for workflow_id in ("a", "b"):
            for status in (None, *STATUSES):
                fits = [each for each in started if fits_in(each, workflow_id, status, now[0])]
                found = instances.search(Filters(workflow_id, status), 0, 100)
                assert (found[0], {each.id for each in found[1]}) == (len(fits), {each.id for each in fits})
                visible = [
                    each
                    for each in fits
                    if each.metadata == {"s": "x"} and each.started_at + lags[workflow_id] <= now[0]
                ]
                assert instances.search(Filters(workflow_id, status, {"s": "x"}), 1, 2) == (len(visible), visible[1:3])
    assert sorted(each.id for each in told) == sorted(each.id for each in started if each.ends_at <= now[0])


def fits_in(instance, workflow_id, status, now):
    is_now = "running" if now < instance.ends_at else instance.ends_as
    return instance.workflow_id == workflow_id and status in (None, is_now)


def test_a_clock_that_goes_back_revives_nobody():
    """Time stands still until it has caught up."""
    now = [100.0]
    instances = Instances({"a": 0.0}, lambda: now[0], lambda _: None)
    instances.add(Instance("1", "a", "req", 5, {}, {}, 100.0, 105.0, "completed", NO_FATE, ("m", "n")))
    seen = []
    for now[0] in (104.0, 106.0, 101.0):
        seen.append((instances.running("a"), instances.now()))
    assert seen == [(1, 104.0), (0, 106.0), (0, 106.0)]
