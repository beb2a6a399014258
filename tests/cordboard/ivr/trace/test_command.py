"""One call, printed by the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from cordboard.ivr.command import trace

FLOW = """
kind: ivr-flow
id: ivr_small
start: start
terminals: [end]
nodes: {menu: {type: menu}}
connections:
  - {from: start, to: menu, type: default}
  - {from: menu, to: end, type: default}
"""


@pytest.fixture
def printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The lines of a call with these inputs."""
    path = tmp_path / "small.yaml"
    path.write_text(FLOW)

    def lines(*inputs: str) -> list[str]:
        assert trace(path, inputs, [], as_document=False) == 0
        return capsys.readouterr().out.splitlines()

    return lines


def test_inputs_that_nobody_asked_for_are_told_last(printed) -> None:
    assert printed("12", "say:billing", "hangup")[-1] == "not asked for: 2, say:billing, hangup"


def test_where_every_input_is_asked_for_nothing_is_added(printed) -> None:
    assert printed("1")[-1] == "completed: the call ends at `end`"


def test_what_is_said_cannot_steer_the_terminal(printed) -> None:
    lines = printed("say:a\x1b[2J", "say:b\n\u202e")
    assert lines[1].endswith("← a\\x1b[2J")
    assert lines[-1] == "not asked for: say:b\\n\\u202e"
