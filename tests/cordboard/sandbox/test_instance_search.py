"""Look-ups of workflow instances: by metadata, by status, page by page."""

from __future__ import annotations

INSTANCES = "/api/v2/workflows/instances"


def workflow(**rules):
    return {"wf": {"duration_seconds": 60, **rules}}


def test_instances_are_found_by_metadata_letter_for_letter(start):
    """All of what is asked for must fit."""
    api = start(workflows={"wf": {"duration_seconds": 60}, "other": {"duration_seconds": 0}})
    wanted = api.start_instance(metadata={"ref": "r 1&ü", "source": "erp"}).json()
    api.start_instance(metadata={"ref": "R 1&ü", "source": "erp"})
    api.start_instance("other", metadata={"ref": "r 1&ü", "source": "erp"})
    ref = {"metadata.ref": "r 1&ü"}
    assert api.find(**ref, workflowId="wf") == {"totalCount": 1, "pageNumber": 1, "pageSize": 25, "instances": [wanted]}
    assert api.find(**ref)["totalCount"] == 2
    assert api.find(**ref, status="running")["instances"] == [wanted]
    assert api.find(**{"metadata.source": "erp"})["totalCount"] == 3
    assert api.find(**ref, **{"metadata.source": "crm"})["totalCount"] == 0
    api.start_instance(metadata={"ref": "other", "source": "crm"})
    assert api.find(**ref, **{"metadata.source": "crm"})["totalCount"] == 0
    assert api.find(**{"metadata.ref": ""})["totalCount"] == 0


def test_a_look_up_by_metadata_may_lag_behind(start):
    """Not found is no proof of absence before the lag is over; the count of what runs is right at once."""
    now = [1_000_000.0]
    api = start(clock=lambda: now[0], workflows=workflow(lookup_lag_seconds=3))
    instance_id = api.start_instance(metadata={"ref": "r"}).json()["id"]
    found = []
    for step in (0, 2.999, 0.001):
        now[0] += step
        found.append(api.find(**{"metadata.ref": "r"})["totalCount"])
        assert (api.running(), api.http.get(f"{INSTANCES}/{instance_id}").status_code) == (1, 200)
    assert found == [0, 0, 1]


def test_pages_hold_all_instances_once_in_the_order_of_their_starts(start):
    """With and without filters."""
    api = start(workflows={"wf": {"duration_seconds": 60}, "other": {"duration_seconds": 60}})
    ids = [api.start_instance(metadata={"source": "erp"}).json()["id"] for _ in range(5)]
    for query in ({"workflowId": "wf", "status": "running"}, {"workflowId": "wf"}, {"metadata.source": "erp"}):
        pages = [api.find(**query, pageSize=2, pageNumber=number) for number in (1, 2, 3, 4)]
        assert [page["totalCount"] for page in pages] == [5] * 4
        assert [[each["id"] for each in page["instances"]] for page in pages] == [ids[:2], ids[2:4], ids[4:], []]


def test_every_fault_of_a_query_is_named_at_once(start):
    """A misspelt parameter would else count everything."""
    query = "pageSize=0&pageNumber=x&status=done&workflow=wf&status=done"
    reply = start().http.get(f"{INSTANCES}?{query}")
    assert (reply.status_code, reply.json()["code"]) == (400, "invalid_request")
    assert set(reply.json()["details"]) == {
        "status stands twice",
        "pageNumber must be a whole number from 1 to 1000000",
        "pageSize must be a whole number from 1 to 500",
        "status must be one of running, completed, failed",
        "workflow is not a known parameter",
    }
