"""What a batch shows in the Prefect UI: how far it is while it runs, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from prefect.artifacts import (
    acreate_markdown_artifact,
    acreate_progress_artifact,
    aupdate_progress_artifact,
)

from cordboard.starting.model import Batch, Progress
from tasks.artifacts import plain
from tasks.flow_artifacts import artifact_key
from tasks.process import beside_the_point

EVERY_SECONDS = 2.0
_MOST_ROWS = 50


@asynccontextmanager
async def shown_progress(batch: Batch, progress: Progress) -> AsyncIterator[None]:
    """Keeps the bar on the run's page up to date for as long as it is entered."""
    bar: Any = None
    async with beside_the_point("the progress bar"):
        key = f"{artifact_key(batch.trigger.workflow_id)}-progress"
        bar = await acreate_progress_artifact(_percent(progress), key=key, description=progress_line(progress))
    task = asyncio.create_task(_keep(bar, progress), name="progress of the batch") if bar else None
    try:
        yield
    finally:
        if task:
            task.cancel()
            await asyncio.wait([task])
            async with beside_the_point("the progress bar"):
                await aupdate_progress_artifact(bar, _percent(progress), description=progress_line(progress))


async def _keep(bar: UUID, progress: Progress) -> None:
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        async with beside_the_point("the progress bar"):
            await aupdate_progress_artifact(bar, _percent(progress), description=progress_line(progress))


def progress_line(progress: Progress) -> str:
    """How far it is, how fast, how long it will take and what it waits for."""
    ends = f"{progress.started} started"
    ends += "".join(
        f", {count} {name}"
        for name, count in (
            ("started before", progress.already),
            ("failed", progress.failed),
            ("unknown", progress.unknown),
        )
        if count
    )
    left = progress.seconds_left
    line = f"{progress.ended} of {progress.total}: {ends}; {progress.per_second:.1f} a second"
    line += f"; about {duration(left)} left" if left else ""
    return line + (f"; waits for {progress.waits_for}" if progress.waits_for else "")


def duration(seconds: float) -> str:
    """A time as people say it.

    >>> [duration(seconds) for seconds in (9, 100, 4000)]
    ['9 s', '2 min', '1 h 7 min']
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


async def publish_batch(document: Mapping[str, Any]) -> None:
    """Creates the page of a batch, also of one that was only checked."""
    key = f"{artifact_key(document['workflow_id'])}-starts"
    checked = document["status"] in {"planned", "invalid"}
    page, what = (
        (checked_markdown, "Whether every row fits") if checked else (batch_markdown, "What became of each row")
    )
    await acreate_markdown_artifact(page(document), key=key, description=what)


def checked_markdown(document: Mapping[str, Any]) -> str:
    """A page on rows of which none was sent."""
    total, faulty = document["total"], document["faulty"]
    lines = [f"# {plain(document['workflow_id'])}: {document['status']}", ""]
    lines += [f"**Nothing was sent.** Starts that fit: {total}; rows that do not: {faulty}."]
    if document["faulty_rows"]:
        lines += ["", f"To mend and feed again: `{document['faulty_rows']}`"]
    if not document["read_to_its_end"]:
        lines += ["", "**The rest of the file could not be read**: see the first line below."]
    found = document["findings"]
    if found:
        more = document["faults"] - sum(each["rule"] == "row/unfit" for each in found)
        lines += ["", f"The first {len(found)} faults; {more} more are in the file."] if more else []
        lines += ["", "| line | row | what is wrong | how to mend it |", "|---|---|---|---|"]
        lines += [
            f"| {each.get('line') or ''} | {plain(each['path'])} | {plain(each['message'])} | {plain(each['hint'])} |"
            for each in found
        ]
    return "\n".join([*lines, "", f"Run key `{document['run_key']}`"])


def batch_markdown(document: Mapping[str, Any]) -> str:
    """A page on a batch as it ended."""
    good, total = document["started"] + document["already_started"], document["total"]
    lines = [f"# {plain(document['workflow_id'])}: {document['status']}", ""]
    lines += [f"**{good} of {total} rows are started**, {document['already_started']} of them before this run.", ""]
    lines += [f"- {document[name]} {said}" for name, said in _ENDS if document.get(name)]
    lines += [f"- {plain(kind)}: {count}" for kind, count in document.get("kinds", {}).items()]
    if document.get("faulty_rows"):
        lines += ["", f"Rows that do not fit: `{document['faulty_rows']}`"]
    if document.get("error"):
        lines += ["", f"The run ended early: {plain(str(document['error']))}"]
    latency = document["latency"]
    if latency["count"]:
        pace = document["starts_per_second"]
        lines += [
            "",
            f"{pace:.1f} starts a second; half of the calls took up to {latency['p50']:.0f} ms, "
            f"95 of 100 up to {latency['p95']:.0f} ms.",
        ]
    lines += ["", f"Each row: `{document['results']}`", "", f"Run key `{document['run_key']}`: give it to go on."]
    wrong = [each for each in document["instances"] if each["error"]] if total <= 1000 else []
    if wrong:
        lines += ["", "| key | status | why |", "|---|---|---|"]
        lines += [
            f"| {plain(each['key'])} | {each['status']} | {plain(each['error']['message'])} |"
            for each in wrong[:_MOST_ROWS]
        ]
    return "\n".join(lines)


_ENDS = (
    ("failed", "were not started; the reasons stand below"),
    ("unknown", "may have been started: their answers were lost. Look at the vendor before you start them again"),
    ("faulty", "do not fit and were left out"),
)


def _percent(progress: Progress) -> float:
    return 100.0 * progress.ended / progress.total if progress.total else 100.0
