"""A short summary for a pull request or a run's page, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from cordboard.ivr.diff.wording import Names, condition_in_words, visible
from cordboard.ivr.reports.left import not_asked_for
from cordboard.ivr.reports.report import Report, Share
from cordboard.ivr.suite import CaseResult, Covered

_MOST_CASES, _MOST_SENTENCES, _MOST_WAYS = 20, 5, 20
_LONGEST = 400
_TICKS = re.compile("`+")


def to_markdown(report: Report) -> str:
    """The summary; what users named stands in code spans and blocks, in which nothing is markup."""
    return "".join(markdown_parts(report))


def markdown_parts(report: Report) -> Iterator[str]:
    """The summary, line by line."""
    return (f"{line}\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    totals = report.totals
    yield f"## {totals.status.capitalize()}: {code(report.suite)}"
    yield ""
    yield f"{totals}. Flow {code(report.flow.id)}, {code(report.engine)} engine, {code(report.started_at)}."
    yield ""
    yield from _coverage(report)
    yield from _failures(report)
    yield from _not_taken(report)


def _coverage(report: Report) -> Iterator[str]:
    if not report.flow_known:
        yield "Coverage is not known: only the vendor has the flow."
        return
    yield "| | taken | of | |"
    yield "|---|--:|--:|--:|"
    yield _share("nodes", report.coverage.nodes)
    yield _share("transitions", report.coverage.transitions)


def _share(what: str, parts: Sequence[Covered]) -> str:
    share = Share.of(parts)
    return f"| {what} | {share.taken:,} | {share.total:,} | {share.percent} % |"


def _failures(report: Report) -> Iterator[str]:
    wrong = (case for case in report.cases if case.status != "passed")
    shown = list(islice(wrong, _MOST_CASES))
    if shown:
        yield from ("", "### What is wrong")
    for case in shown:
        yield from ("", f"- {code(case.name)} {'failed' if case.status == 'failed' else 'could not be run'}", "")
        yield from (f"  {line}" for line in fenced(_sentences(case)))
    yield from _more(sum(1 for _ in wrong), "call")


def _sentences(case: CaseResult) -> Sequence[str]:
    said = [_short(visible(sentence)) for sentence in case.mismatches[:_MOST_SENTENCES]]
    more = len(case.mismatches) - len(said)
    said = [*said, f"… and {more} more"] if more else said or ["no reason is known"]
    left = not_asked_for(case)
    return [*said, _short(visible(left))] if left else said


def _not_taken(report: Report) -> Iterator[str]:
    names = Names.of(report.flow)
    covered = zip(report.flow.transitions, report.coverage.transitions, strict=True)
    ways = [way for way, known in covered if not known.times]
    if ways:
        yield from ("", "### What no call has taken", "")
    for way in ways[:_MOST_WAYS]:
        line = f", line {way.place.line}" if way.place.line is not None else ""
        when = condition_in_words(way.condition.strip(), way.type)
        yield f"- {code(names.short(way.source))} to {code(names.short(way.target))}, on {code(when)}{line}"
    yield from _more(len(ways) - _MOST_WAYS, "transition")


def _more(count: int, what: str) -> Iterator[str]:
    if count > 0:
        yield from ("", f"… and {count:,} more {what}{'' if count == 1 else 's'}.")


def code(words: str) -> str:
    """A code span; nobody can be mentioned in it, and no tag begins."""
    shown = _short(visible(words)) or " "
    fence = "`" * (1 + _longest_run(shown))
    room = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{room}{shown}{room}{fence}"


def fenced(lines: Sequence[str]) -> Iterator[str]:
    """A block of code, which ends where we end it."""
    fence = "`" * max(3, 1 + max(map(_longest_run, lines), default=0))
    yield f"{fence}text"
    yield from lines
    yield fence


def _longest_run(words: str) -> int:
    return max((len(run) for run in _TICKS.findall(words)), default=0)


def _short(words: str) -> str:
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"
