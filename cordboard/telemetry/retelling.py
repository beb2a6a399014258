"""Retells what OpenTelemetry's exporters say, without what the environment gave them to sign in with.

They repeat a header that they cannot read, and the whole address of a collector that does not answer: either may hold
a token. So their lines reach nobody but this handler, which tells them under a logger of ours.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote, urlsplit

from cordboard.redaction import Redactor

RETOLD = "cordboard.telemetry.collector"
_THEIRS = ("opentelemetry.exporter.otlp", "opentelemetry.sdk", "opentelemetry.util.re")
_VARIABLE = re.compile(r"OTEL_EXPORTER_OTLP_(\w+_)?(HEADERS|ENDPOINT)")
_BETWEEN = re.compile(r"[\s,;=:&]+")


class _Retelling(logging.Handler):
    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def emit(self, record: logging.LogRecord) -> None:
        """Tells it again, without a traceback: the text of an exception is not needed to mend a collector."""
        logging.getLogger(RETOLD).log(record.levelno, "%s", self._redactor.text(record.getMessage()))


def retell(environ: Mapping[str, str]) -> Redactor:
    """Retells from now on what the exporters say.

    Args:
        environ: with OpenTelemetry's own variables.

    Returns:
        What masks the secrets in them.
    """
    redactor = Redactor(_secrets(environ))
    for name in _THEIRS:
        logger = logging.getLogger(name)
        logger.handlers = [each for each in logger.handlers if not isinstance(each, _Retelling)]
        logger.addHandler(_Retelling(redactor))
        logger.propagate = False
    return redactor


def _secrets(environ: Mapping[str, str]) -> Iterator[str]:
    """All of a header, as it may be written wrong; of an address what signs in, and what is asked for."""
    for name, stated in environ.items():
        found = _VARIABLE.fullmatch(name)
        if found and found[2] == "HEADERS":
            yield from _parts(stated)
        elif found:
            yield from _of_an_address(stated)


def _of_an_address(stated: str) -> Iterator[str]:
    try:
        parts = urlsplit(stated)
    except ValueError:  # it is none
        yield from _parts(stated)
        return
    yield from _parts(parts.query)
    yield from _parts(parts.fragment)
    yield from _parts(parts.netloc.rpartition("@")[0])


def _parts(text: str) -> Iterator[str]:
    for written in (text, unquote(text)):
        yield written
        yield from _BETWEEN.split(written)
