"""The first hour, as its page tells it: every command is given, in order, against a local vendor."""

from __future__ import annotations

from pathlib import Path

import pytest

from cordboard.sandbox.server import running_sandbox
from tests.cordboard.layout.conftest import Terminal, commands_of

CHECKOUT = Path(__file__).parents[3]
PAGE = CHECKOUT / "docs" / "first-hour.md"
README = CHECKOUT / "cordboard" / "layout" / "files" / "README.md"
IN_THE_CHECKOUT = {"make demo", ". .venv/bin/activate"}  # the demo has tests of its own


def test_the_page_gives_every_command_that_the_new_repository_names_next() -> None:
    given = commands_of(PAGE)
    named = commands_of(README)
    assert len(named) == 5
    assert [line for line in named if not any(each.startswith(line) for each in given)] == []
    assert next(line for line in given if line not in IN_THE_CHECKOUT) == "cordboard init ~/contact-centre"


@pytest.mark.slow
@pytest.mark.prefect
def test_every_command_of_the_first_hour_does_what_the_page_says(
    terminal: Terminal, prefect_server: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_sandbox() as box:
        for name, value in box.env().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PREFECT_API_URL", prefect_server)
        given = [terminal(line) for line in commands_of(PAGE) if line not in IN_THE_CHECKOUT]
        chain = Path("chains/customer_sync.yaml")
        chain.write_text(chain.read_text().replace(' contacts"', ' contacts, as of today"'))
        given.append(terminal(next(each.line for each in given if "run-chain" in each.line)))
    assert [(each.line, each.printed) for each in given if each.code != 0] == []
    chains, updates, starts = (
        [each.printed for each in given if job in each.line] for job in ("run-chain", "update-ivr", "trigger-workflows")
    )
    assert ("reused" in chains[0], chains[1].count("  reused "), chains[2].count("  reused ")) == (False, 4, 3)
    assert len(box.truth.effects_of("def-update-crm")) == 2 and len(box.truth.effects_of("def-notify")) == 3
    assert ("planned" in updates[0], "To take it back" in updates[1]) == (True, True)
    assert "3 of them before" in starts[1] and len(box.truth.instances) == 3
    assert len(box.truth.posts("/api/v2/flows")) == 1 and len(list(box.truth.saves_of("clinic-menu"))) == 1
    assert "<svg" in Path("reception.html").read_text() and list(Path("reports").glob("*.html"))
