"""The manual of chains, one idea a test: from a file to what is to be done next. No Prefect is needed for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cordboard.chains.binding import bind
from cordboard.chains.fingerprint import fingerprint, what_changed
from cordboard.chains.model import check_chain, load_chain
from cordboard.chains.params import bind_params
from cordboard.chains.plan import plan_chain
from cordboard.chains.results import ActionResult, ActionStatus
from cordboard.chains.steps import FanOut, Send, Skip, next_step
from cordboard.errors import BindError, InvalidDocument
from cordboard.findings import errors_in

CHAIN = """
kind: chain
name: order-lookup
params:
  order_id: {type: string, required: true}
actions:
  fetch:
    definition_id: def-fetch
    inputs: {id: "{{ params.order_id }}"}
    idempotent: true
  notify:
    definition_id: def-notify
    for_each: "{{ fetch.contacts }}"
    inputs: {to: "{{ item.phone }}", urgent: "{{ fetch.total > 100 }}"}
    when: "{{ fetch.contacts | length > 0 }}"
"""


@pytest.fixture
def chain_file(tmp_path: Path) -> Path:
    """A chain is a file, kept in git."""
    file = tmp_path / "order_lookup.yaml"
    file.write_text(CHAIN)
    return file


def fetched(**output: object) -> ActionResult:
    return ActionResult(ActionStatus.COMPLETED, output=output, available=True, fingerprint="1")


def test_dependencies_come_from_the_templates(chain_file: Path) -> None:
    """`notify` names `fetch`, so it waits for it; `depends_on` is only needed where no value is passed."""
    assert plan_chain(load_chain(chain_file)).layers == (("fetch",), ("notify",))


def test_a_file_is_checked_before_anything_is_sent_and_every_fault_is_told_with_its_line(chain_file: Path) -> None:
    chain_file.write_text(CHAIN.replace("params.order_id", "params.oder_id").replace("def-notify", "def notify"))
    faults = errors_in(check_chain(chain_file))  # there is a warning too: now nothing uses the parameter
    assert [(fault.line, fault.path) for fault in faults] == [
        (9, "actions.fetch.inputs.id"),
        (12, "actions.notify.definition_id"),
    ]
    assert "order_id" in faults[0].message + faults[0].hint


def test_parameters_are_typed_and_unknown_ones_are_refused(chain_file: Path) -> None:
    chain = load_chain(chain_file)
    assert bind_params(chain, {"order_id": "007"}) == {"order_id": "007"}
    with pytest.raises(InvalidDocument):
        bind_params(chain, {"order_id": 7, "colour": "red"})


def test_a_lone_expression_passes_the_value_itself_and_mixed_text_is_text() -> None:
    context = {"fetch": {"total": 250, "contacts": [{"phone": "+15551234567"}]}}
    assert bind("{{ fetch.total }}", context) == 250
    assert bind("total: {{ fetch.total }}", context) == "total: 250"
    assert bind({"list": "{{ fetch.contacts }}"}, context) == {"list": [{"phone": "+15551234567"}]}


def test_what_a_vendor_returns_is_data_and_never_template_text() -> None:
    """A customer may call himself whatever he likes."""
    assert bind("{{ fetch.name }}", {"fetch": {"name": "{{ params.secret }}"}}) == "{{ params.secret }}"


def test_an_undefined_name_is_an_error_that_names_the_place_and_what_was_meant() -> None:
    with pytest.raises(BindError, match=r"inputs\.id.*customer_id"):
        bind("{{ fetch.customer_idd }}", {"fetch": {"customer_id": 1}}, "inputs.id")


def test_the_next_step_of_an_action_is_decided_from_how_its_upstreams_ended(chain_file: Path) -> None:
    notify = load_chain(chain_file).actions["notify"]
    two = next_step(notify, {}, {"fetch": fetched(total=250, contacts=[{"phone": "1"}, {"phone": "2"}])})
    assert isinstance(two, FanOut)
    assert two.items == ({"to": "1", "urgent": True}, {"to": "2", "urgent": True})
    none = next_step(notify, {}, {"fetch": fetched(total=1, contacts=[])})
    assert isinstance(none, Skip) and not none.blocks
    failed = next_step(notify, {}, {"fetch": ActionResult(ActionStatus.FAILED, blocks=True)})
    assert isinstance(failed, Skip) and failed.blocks


def test_a_fingerprint_tells_a_rerun_what_may_be_reused(chain_file: Path) -> None:
    """The same definition, inputs and upstream are the same effect; the vendor never sees timeouts and retries."""
    fetch = load_chain(chain_file).actions["fetch"]
    step = next_step(fetch, {"order_id": "A1"}, {})
    assert isinstance(step, Send)
    assert step.fingerprint == fingerprint("def-fetch", {"id": "A1"}, {})
    other = fingerprint("def-fetch", {"id": "A2"}, {})
    assert what_changed(step.fingerprint.as_json(), other) == "its inputs changed"
