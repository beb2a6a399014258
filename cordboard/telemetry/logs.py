"""Log lines as JSON objects, one a line, with the ids of where in a run they were written.

{"time": "2026-05-01T02:00:07.113482Z", "level": "INFO", "logger": "cordboard.vendor", "message": "…",
 "run_key": "customer-sync/nightly", "action": "fetch_customer", "attempt": 2, "request_id": "…", …}
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from cordboard.settings import LogFormat, Settings
from cordboard.telemetry.labels import labels
from cordboard.telemetry.masking import masked, masked_value

#: Fields that every line has.
ALWAYS: Final = ("time", "level", "logger", "message")
#: What Prefect puts on the records of its runs, under its names.
_PREFECT: Final = ("flow_run_id", "flow_run_name", "task_run_id", "task_run_name")
VENDOR = "cordboard.vendor"


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object, without the secrets of this process's runs.

    What a logging configuration gives to formatters of text is taken and not used.
    """

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__()

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="microseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": masked(record.getMessage()),
        }
        known = {name: found for name in _PREFECT if (found := getattr(record, name, None)) is not None}
        line |= masked_value({**known, **labels(), **getattr(record, "cordboard", {})})
        if record.exc_info:
            line["exception"] = masked(self.formatException(record.exc_info))
        return json.dumps(line, default=str)  # pure ASCII: no encoding and no terminal makes anything else of it


def set_up_logs(log_format: LogFormat, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Sets up what our own loggers write, for a program that runs by hand or serves.

    Text is for people who watch: it leaves out the single requests to vendors, which JSON has one line of each.

    Args:
        log_format: text or JSON.
        level: of what is written.
        stream: where to; standard error by default.
    """
    logger = logging.getLogger("cordboard")
    logger.setLevel(level)
    as_json = log_format is LogFormat.JSON
    logging.getLogger(VENDOR).setLevel(level if as_json else logging.WARNING)
    logger.propagate = not as_json  # else a handler of the root logger writes it once more
    if not logger.handlers:
        logger.addHandler(logging.StreamHandler(stream or sys.stderr))
    for handler in logger.handlers:
        if handler.formatter is None or as_json or isinstance(handler.formatter, JsonFormatter):
            handler.setFormatter(JsonFormatter() if as_json else logging.Formatter("%(message)s"))


def set_up_service_logs(log_format: LogFormat, stream: TextIO | None = None) -> None:
    """Sets up what a service writes, libraries included: warnings as text; as JSON also what it does all day."""
    as_json = log_format is LogFormat.JSON
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else logging.Formatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("cordboard").setLevel(logging.INFO if as_json else logging.WARNING)


def set_up_run_logs(environ: Mapping[str, str]) -> None:
    """In a process that others set up, such as a worker's: writes JSON where that is asked for.

    Where a handler writes JSON already, as with `flows/logging.yml`, or our own logger has one, nothing is changed.
    Else the handlers of the root logger that write to a terminal give way to one that writes JSON.
    """
    if Settings.from_env(environ).log_format is not LogFormat.JSON:
        return
    root = logging.getLogger()
    ours = [*root.handlers, *logging.getLogger("cordboard").handlers]
    if any(isinstance(handler.formatter, JsonFormatter) for handler in ours):
        return
    for handler in [each for each in root.handlers if _writes_to_terminal(each)]:
        root.removeHandler(handler)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root.addHandler(handler)
    logging.getLogger(VENDOR).setLevel(logging.INFO)


def _writes_to_terminal(handler: logging.Handler) -> bool:
    return isinstance(handler, logging.StreamHandler) and handler.stream in {sys.stdout, sys.stderr}
