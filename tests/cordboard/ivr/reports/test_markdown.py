"""The summary for a pull request."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.ivr.reports import Report, to_markdown
from cordboard.ivr.reports.markdown import code, fenced
from cordboard.ivr.suite import Case, CaseResult, Expectation
from cordboard.ivr.trace import digits, speech


def test_the_summary_says_what_is_wrong_and_what_was_not_taken(run: Callable[..., Report]) -> None:
    report = run([Case("sales", (digits("1"),))], extra=[CaseResult("two", "failed", None, ("exit: `a`",))])
    assert to_markdown(report) == (
        "## Failed: `nightly`\n"
        "\n"
        "1 of 2 calls passed, 1 failed. Flow `menu`, `local` engine, `2025-11-21T06:40:00+00:00`.\n"
        "\n"
        "| | taken | of | |\n"
        "|---|--:|--:|--:|\n"
        "| nodes | 4 | 4 | 100 % |\n"
        "| transitions | 3 | 5 | 60 % |\n"
        "\n"
        "### What is wrong\n"
        "\n"
        "- `two` failed\n"
        "\n"
        "  ```text\n"
        "  exit: `a`\n"
        "  ```\n"
        "\n"
        "### What no call has taken\n"
        "\n"
        "- `node_menu` to `node_menu`, on `anything else`, line 12\n"
        "- `node_menu` to `node_end`, on `giving up`, line 13\n"
    )


def test_of_a_flow_that_is_not_known_no_coverage_is_claimed(unknown: Report) -> None:
    text = to_markdown(unknown)
    assert "Coverage is not known: only the vendor has the flow.\n" in text
    assert "%" not in text


def test_a_call_that_failed_says_what_no_node_asked_for(run: Callable[..., Report]) -> None:
    case = Case("sales", (digits("1"), speech("`hello`")), expect=Expectation(exit="node_menu"))
    assert '\n  no node asked for "`hello`"\n  ```\n' in to_markdown(run([case]))


def test_a_run_without_faults_says_only_that(run: Callable[..., Report]) -> None:
    text = to_markdown(run([Case("sales", (digits("1"),)), Case("nothing")]))
    assert text.startswith("## Passed: `nightly`\n\n2 of 2 calls passed. Flow")
    assert "What is wrong" not in text


def test_of_many_faults_the_first_are_shown_and_the_rest_counted(run: Callable[..., Report]) -> None:
    extra = [CaseResult(f"case {number}", "failed", None, ("no",) * 9) for number in range(30)]
    text = to_markdown(run((), extra=extra))
    assert "`case 19`" in text
    assert "`case 20`" not in text
    assert "… and 10 more calls." in text
    assert text.count("… and 4 more\n") == 20


def test_nothing_hostile_stands_outside_of_code(hostile: Report) -> None:
    """What is left once code is taken away is ours."""
    assert to_markdown(hostile).replace("\n", "").isprintable()
    text = re.sub(r"(?ms)^  (`{3,})text\n.*?^  \1$", "", to_markdown(hostile))
    text = re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", text)
    assert not re.search(r"[<>@\[\]\\&]", text)


@pytest.mark.parametrize(
    ("words", "span"), [("a", "`a`"), ("a`b", "``a`b``"), ("`", "`` ` ``"), ("", "` `"), ("a\nb", "`a\\nb`")]
)
def test_a_code_span_ends_where_we_end_it(words: str, span: str) -> None:
    assert code(words) == span


@given(st.lists(st.text("`~ a\n", max_size=9), max_size=4))
def test_no_line_ends_a_block_of_code_early(lines: list[str]) -> None:
    first, *inside, last = fenced([line.replace("\n", "") for line in lines])
    assert first == f"{last}text"
    assert not any(line.lstrip().startswith(last) for line in inside)


def test_a_long_name_is_cut(run: Callable[..., Report]) -> None:
    assert len(to_markdown(replace(run(()), suite="x" * 5000))) < 2000
