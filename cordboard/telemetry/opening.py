"""Finds out from the environment whether anybody collects, by OpenTelemetry's own variables."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping
from typing import Final

from cordboard.telemetry.retelling import retell
from cordboard.telemetry.telemetry import NOBODY, Telemetry

#: By which of these variables a signal is sent; where none is set, nothing of OpenTelemetry is imported.
ENDPOINTS: Final[Mapping[str, tuple[str, str]]] = {
    "TRACES": ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
    "METRICS": ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"),
}
PROTOCOL = "http/protobuf"
NEEDED = "opentelemetry.exporter.otlp.proto.http"
HOW_TO_INSTALL = "pip install 'cordboard[telemetry]'"
log = logging.getLogger("cordboard.telemetry")


def telemetry_from_env(environ: Mapping[str, str]) -> Telemetry:
    """Who is told: the collector that the environment names, or nobody.

    A collector that cannot be told is no reason not to run: then a line says why, and nobody is told.
    """
    signals = {signal: _is_wanted(environ, signal) for signal in ENDPOINTS}
    if not any(signals.values()) or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return NOBODY
    if fault := _fault(environ):
        log.warning("no traces and metrics are sent: %s", fault)
        return NOBODY
    try:
        from cordboard.telemetry.exporting import Exporting  # noqa: PLC0415  half a second, and only with a collector

        return Exporting(spans=signals["TRACES"], metrics=signals["METRICS"])
    except Exception as error:  # such as a variable that the SDK cannot read
        said = retell(environ).text(str(error))
        log.warning("no traces and metrics are sent (%s): %s", type(error).__name__, said)
        return NOBODY


def _is_wanted(environ: Mapping[str, str], signal: str) -> bool:
    named = any(environ.get(name) for name in ENDPOINTS[signal])
    return named and environ.get(f"OTEL_{signal}_EXPORTER", "otlp").strip().lower() != "none"


def _fault(environ: Mapping[str, str]) -> str:
    if not _is_installed():
        return f"OTEL_EXPORTER_OTLP_ENDPOINT is set, and the exporter is not installed: {HOW_TO_INSTALL}"
    asked = environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or PROTOCOL
    if asked != PROTOCOL:
        return f"OTEL_EXPORTER_OTLP_PROTOCOL is {asked!r}, and only {PROTOCOL} is spoken (port 4318 of a collector)"
    return ""


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec(NEEDED) is not None
    except ModuleNotFoundError:
        return False
