"""A parameter that a chain declares secret reaches the vendor and nobody else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from prefect.blocks.system import Secret

pytestmark = [pytest.mark.prefect]

CHAIN = """
    kind: chain
    name: unlock
    params: {pin: {type: string, required: true, secret: true}}
    actions:
      unlock: {definition_id: def-echo, inputs: {pin: "{{ params.pin }}", door: 7}}
    """


def test_it_comes_from_the_environment_and_is_masked_in_all_that_is_kept(
    vendor: Any, run: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vendor here even echoes it."""
    monkeypatch.setenv("CORDBOARD_SECRET_PIN", "pin-canary-4711")
    box = vendor()
    document = run(box, CHAIN)
    assert box.truth.requests_for("def-echo")[0].inputs == {"pin": "pin-canary-4711", "door": 7}
    assert document["actions"]["unlock"]["output"] == {"pin": "********", "door": 7}
    kept = b"".join(file.read_bytes() for file in home.rglob("*") if file.is_file())
    assert b"pin-canary-4711" not in kept + json.dumps(document).encode()
    assert b"door" in kept


def test_it_comes_from_a_secret_block_and_renewing_it_sends_nothing_again(
    vendor: Any, run: Any, prefect_server: str
) -> None:
    box = vendor()
    for value in ("first-pin-canary", "second-pin-canary"):
        Secret(value=value).save("door-pin", overwrite=True)
        document = run(box, CHAIN, secrets={"pin": "door-pin"})
    assert document["actions"]["unlock"]["cached"]
    assert [request.inputs["pin"] for request in box.truth.requests_for("def-echo")] == ["first-pin-canary"]
