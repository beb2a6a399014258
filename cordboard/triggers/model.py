"""What a trigger file says, and what becomes of one row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cordboard.documents import Document
from cordboard.findings import Finding
from cordboard.triggers.values import DataType, Unfit


@dataclass(frozen=True, slots=True)
class Variable:
    """One value of the context: a JSON value in which templates may stand, and the type that is sent."""

    value: Any
    data_type: DataType


@dataclass(frozen=True, slots=True)
class Trigger:
    """How a workflow is started, once or for every row of a batch.

    Attributes:
        workflow_id: the vendor's id of the workflow.
        priority: 1 (highest) to 10, or a template.
        context: what the workflow works with, by name.
        metadata: what stands beside it, for people and look-ups; each text may be a template.
        key: template of the logical id of a start; None where it is made from the content.
        safety: `neither`, `lookup` or `keyed`: what can be done after a lost reply.
        settle_seconds: how long after a lost reply the vendor may still start the instance.
        timeout_seconds: how long one call may take.
        max_running: instances that may run at once; None for no limit that we know of.
        document: where it stands.
    """

    workflow_id: str
    priority: Any = 5
    context: Mapping[str, Variable] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    safety: str = "neither"
    settle_seconds: float = 30.0
    timeout_seconds: float = 30.0
    max_running: int | None = None
    document: Document = field(default_factory=lambda: Document("", None, {}))


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a batch's file.

    Attributes:
        number: of the row, from 1; neither the header nor empty lines count.
        line: 1-based line of the file on which it starts.
        fields: its values by column.
        raw: its cells (CSV) or its line (JSONL), as they stand in the file.
        unfit: why it cannot be read, where it cannot.
        unfit_line: on which line that is.
    """

    number: int
    line: int
    fields: Mapping[str, Any]
    raw: tuple[str, ...] | bytes
    unfit: Unfit | None = None
    unfit_line: int = 0


@dataclass(frozen=True, slots=True)
class Start:
    """A row that fits: the workflow can be started with it.

    Attributes:
        line: of the row.
        key: the logical id of the start.
        body: what the vendor is sent: `workflowId`, `priority`, `context`, `metadata`.
    """

    line: int
    key: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Faulty:
    """A row that does not fit, with everything that is wrong with it."""

    row: Row
    findings: tuple[Finding, ...]
