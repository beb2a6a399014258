"""Who is told of a run is said by OpenTelemetry's own variables; where nobody is, nothing of it is imported."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

from cordboard.telemetry.exporting import Exporting
from cordboard.telemetry.opening import telemetry_from_env
from cordboard.telemetry.retelling import RETOLD
from cordboard.telemetry.telemetry import NOBODY
from tests.collector import collecting

CHECKOUT = Path(__file__).parents[3]
NOWHERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
UNTOLD = """
import os, sys
from cordboard import cli
from cordboard.telemetry.opening import telemetry_from_env
import cordboard.vendors.session, cordboard.starting.pieces
assert cli.main(["check", "examples/customer_sync.yaml"]) == 0
assert not telemetry_from_env({}).is_on
found = [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]
assert not found, found
"""


def test_without_a_collector_nothing_of_opentelemetry_is_imported() -> None:
    ended = subprocess.run([sys.executable, "-c", UNTOLD], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def ours(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    """What we said; an exporter of another test may still be telling that its collector is gone."""
    return [(each.levelno, each.getMessage()) for each in caplog.records if each.name == "cordboard.telemetry"]


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        NOWHERE | {"OTEL_SDK_DISABLED": "true"},
        NOWHERE | {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"},
    ],
)
def test_nobody_is_told_unless_a_collector_is_named(environ: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    assert telemetry_from_env(environ) is NOBODY
    assert ours(caplog) == []


def test_without_the_extra_one_line_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    assert telemetry_from_env(NOWHERE) is NOBODY
    ((level, said),) = ours(caplog)
    assert level == logging.WARNING and "pip install 'cordboard[telemetry]'" in said


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "only http/protobuf is spoken"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1", "no traces and metrics are sent"),
    ],
)
def test_what_cannot_be_set_up_is_told_and_stops_nothing(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(variable, value)
    assert telemetry_from_env(NOWHERE | {variable: value}) is NOBODY
    assert said in ours(caplog)[-1][1]


@pytest.mark.parametrize(
    ("headers", "place"),
    [
        ("authorization: Bearer canary", ""),  # a colon is no equals sign
        ("api-key=one%0Acanary", ""),
        ("", "/v1/traces?token=canary"),
        ("", "/v1/traces#canary"),
    ],
)
def test_what_the_exporter_says_names_no_secret_of_its_environment(
    headers: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It repeats a header that it cannot read, and the address of a collector that does not answer."""
    with collecting() as collector:
        gone = collector.url
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", headers)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", gone + place)
    handler = logging.StreamHandler(said := StringIO())  # pytest's own one listens to loggers that are cut off, too
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        told = Exporting(metrics=False, close_seconds=0.2)
        with told.span("lost"):
            pass
        asyncio.run(told.close())
    finally:
        logging.getLogger().removeHandler(handler)
    assert f"{RETOLD} Transient error" in said.getvalue() or f"{RETOLD} Failed to export" in said.getvalue()
    assert "canary" not in said.getvalue()


def test_one_signal_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{collector.url}/v1/traces")
        told = telemetry_from_env(os.environ)
        with told.span("traces only"):
            told.measure("cordboard.starts", 1)
        asyncio.run(told.close())
    assert [span.name for span in collector.spans] == ["traces only"]
    assert not collector.points
