"""Log lines as JSON: one object a line, with the ids of where it was written, and without secrets."""

from __future__ import annotations

import importlib.util
import json
import logging
import logging.config
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
import yaml

from cordboard.errors import BadCall
from cordboard.redaction import MASK, Redactor
from cordboard.settings import LogFormat
from cordboard.telemetry import labelled, masking
from cordboard.telemetry.logs import VENDOR, JsonFormatter, set_up_logs, set_up_run_logs, set_up_service_logs

CHECKOUT = Path(__file__).parents[3]


@contextmanager
def anew() -> Iterator[StringIO]:
    """Standard error, and loggers as they are in a process that nobody set up."""
    loggers = [logging.getLogger(name) for name in ("", "cordboard", VENDOR)]
    kept = [(each, each.level, each.handlers[:], each.propagate) for each in loggers]
    for each in loggers:
        each.handlers = []
        each.setLevel(logging.WARNING if each.name == "root" else logging.NOTSET)
    with redirect_stderr(StringIO()) as stream:
        yield stream
    for each, level, handlers, propagate in kept:
        each.handlers, each.propagate = handlers, propagate
        each.setLevel(level)


def lines(said: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.getvalue().splitlines()]


def test_a_line_holds_where_it_was_written_and_what_it_knows() -> None:
    with anew() as said:
        set_up_logs(LogFormat.JSON)
        with labelled(run_key="sync/1", action="fetch", item=None):
            logging.getLogger(VENDOR).info("said %s", "ä\n", extra={"cordboard": {"attempt": 2}})
        (line,) = lines(said)
        time = line.pop("time")
        assert line == {
            "level": "INFO",
            "logger": VENDOR,
            "message": "said ä\n",
            "run_key": "sync/1",
            "action": "fetch",
            "attempt": 2,
        }
        assert time.endswith("Z") and len(time) == len("2026-05-01T02:00:07.113482Z")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_line_is_json_in_every_encoding_and_moves_no_cursor(encoding: str) -> None:
    """Where a terminal has another one, Python writes what does not fit as `\\xe4`, which is not JSON."""
    message = "ä → \ud800 \x9b2J \u2028"
    with anew():
        raw = BytesIO()
        stream = TextIOWrapper(raw, encoding, errors="backslashreplace", write_through=True)
        set_up_logs(LogFormat.JSON, stream=stream)
        logging.getLogger(VENDOR).info(message)
    assert json.loads(raw.getvalue().decode())["message"] == message
    assert len(raw.getvalue().decode().splitlines()) == 1 and "\x9b" not in raw.getvalue().decode()
    stream.close()


def test_text_is_for_people_and_leaves_single_requests_out() -> None:
    with anew() as said:
        set_up_logs(LogFormat.TEXT)
        logging.getLogger(VENDOR).info("a request")
        logging.getLogger("cordboard.chain").info("an action")
        assert said.getvalue() == "an action\n"
        set_up_logs(LogFormat.JSON)
        set_up_logs(LogFormat.TEXT)
        logging.getLogger("cordboard.chain").info("another")
        assert said.getvalue() == "an action\nanother\n"


def test_secrets_are_masked_wherever_they_stand() -> None:
    with anew() as said:
        set_up_logs(LogFormat.JSON)
        redactor = masking(Redactor(['can"ary', "level"]))
        try:
            int('can"ary')
        except ValueError:
            with labelled(run_key='can"ary'):
                logging.getLogger("cordboard").exception('%r can"ary', {"x": 'can"ary'}, extra={"cordboard": {"n": 1}})
        (line,) = lines(said)
        assert "ary" not in said.getvalue()
        assert (line["level"], line["run_key"], line["n"]) == ("ERROR", MASK, 1)
        assert MASK in line["exception"]
        assert redactor


def test_a_worker_writes_json_where_it_is_asked_to() -> None:
    """Its terminal handler gives way, the handler that sends lines to Prefect stays, and a second run adds none."""
    with anew() as said:
        root, kept = logging.getLogger(), StringIO()
        root.addHandler(logging.StreamHandler(sys.stderr))
        root.addHandler(logging.StreamHandler(kept))
        set_up_run_logs({})
        assert len(root.handlers) == 2
        for _ in range(2):
            set_up_run_logs({"CORDBOARD_LOG_FORMAT": "json"})
        logging.getLogger(VENDOR).info("a request")
        logging.getLogger("prefect.flow_runs").warning("of Prefect", extra={"flow_run_id": "f-1", "task_run_id": None})
        assert [(line["message"], line.get("flow_run_id")) for line in lines(said)] == [
            ("a request", None),
            ("of Prefect", "f-1"),
        ]
        assert kept.getvalue() == "a request\nof Prefect\n"


def test_a_service_writes_its_libraries_lines_too() -> None:
    with anew() as said:
        set_up_service_logs(LogFormat.JSON)
        logging.getLogger("asyncio").error("broken")  # uvicorn's is cut off where a test imported Prefect
        logging.getLogger("cordboard.receiver").info("answered")
        assert [line["message"] for line in lines(said)] == ["broken", "answered"]


def test_a_format_that_is_none_is_told_with_those_that_are() -> None:
    with pytest.raises(BadCall, match="CORDBOARD_LOG_FORMAT is 'xml': it must be text or json"):
        set_up_run_logs({"CORDBOARD_LOG_FORMAT": "xml"})


def test_prefects_processes_say_what_prefects_own_file_says_but_as_json() -> None:
    prefect = importlib.util.find_spec("prefect")  # which to import would take seconds
    assert prefect and prefect.origin
    own = yaml.safe_load((Path(prefect.origin).parent / "logging" / "logging.yml").read_text())
    ours = yaml.safe_load((CHECKOUT / "flows" / "logging.yml").read_text())
    assert ours["loggers"].keys() - own["loggers"].keys() == {VENDOR}
    for name, logger in own["loggers"].items():
        as_json = ["console" if handler == "debug" else handler for handler in logger.get("handlers", [])]
        assert ours["loggers"][name] == {**logger, **({"handlers": as_json} if as_json else {})}, name
    assert ours["root"] == own["root"]
    config = {**ours, "loggers": {}, "root": {}, "incremental": False}
    config["handlers"] = {"console": ours["handlers"]["console"]}
    logging.config.dictConfig(config)
    assert issubclass(logging.config.DictConfigurator(config).resolve(ours["formatters"]["json"]["()"]), JsonFormatter)
