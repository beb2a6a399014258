"""The page around picture and calls."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from importlib.resources import files

from cordboard.ivr.draw.shapes import safe
from cordboard.ivr.draw.style import FONT, style_sheet
from cordboard.ivr.reports.page.calls import data_parts
from cordboard.ivr.reports.page.picture import Picture, picture_of
from cordboard.ivr.reports.report import Report, Share, Totals
from cordboard.ivr.suite import Covered

_NO_SCRIPT = "This page lists its calls by a script, which is switched off here. The YAML report has all of them too."
_NO_PICTURE = "The flow is too large for a picture, or has no nodes."


def to_html(report: Report) -> str:
    """The page as one text."""
    return "".join(html_parts(report))


def html_parts(report: Report) -> Iterator[str]:
    """The page, piece by piece."""
    totals, picture = report.totals, picture_of(report.flow, report.coverage)
    style, script = _resource("page.css").replace("FONT", FONT), _resource("page.js")
    yield _head(report, totals, style, script)
    yield _header(report, totals)
    yield _body(picture)
    yield '<script type="application/json" id="data">'
    yield from data_parts(report, picture)
    yield f"</script>\n<script>{script}</script>\n</body>\n</html>\n"


def _resource(name: str) -> str:
    return files("cordboard.ivr.reports.page").joinpath(name).read_text(encoding="utf-8")


def _head(report: Report, totals: Totals, style: str, script: str) -> str:
    styles = f"{_hash(style)} {_hash(style_sheet())}"  # the picture brings its own
    policy = f"default-src 'none'; script-src {_hash(script)}; style-src {styles}; img-src data:"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}; base-uri 'none'; form-action 'none'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{totals.status.capitalize()}: {safe(report.suite)}</title>\n<style>{style}</style>\n</head>\n"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def _header(report: Report, totals: Totals) -> str:
    tiles = "".join(
        (
            _tile(f"{totals.passed:,}", "passed", "passed"),
            _tile(f"{totals.failed:,}", "failed", "failed" if totals.failed else ""),
            _tile(f"{totals.errors:,}", "could not be run", "error" if totals.errors else ""),
            _share("transitions taken", report.coverage.transitions, report.flow_known),
            _share("nodes reached", report.coverage.nodes, report.flow_known),
        )
    )
    flow = report.flow.name or report.flow.id
    about = (f"Flow <bdi>{safe(flow)}</bdi>", f"<bdi>{safe(report.engine)}</bdi> engine", safe(report.started_at))
    return (
        f'<body>\n<header class="{totals.status}"><div><h1><span class="verdict">{totals.status}</span> '
        f"<bdi>{safe(report.suite)}</bdi></h1><p>{totals} · {' · '.join(about)}</p></div>"
        f"<dl>{tiles}</dl></header>\n"
    )


def _tile(figure: str, what: str, kind: str) -> str:
    return f'<div class="{kind}"><dt>{what}</dt><dd>{figure}</dd></div>'


def _share(what: str, parts: Sequence[Covered], known: bool) -> str:
    if not known:
        return _tile("<small>not known</small>", what, "")
    share = Share.of(parts)
    return _tile(f"{share.percent}<small> % · {share.taken:,} of {share.total:,}</small>", what, "")


def _body(picture: Picture) -> str:
    drawn = picture.svg or f"<p>{_NO_PICTURE}</p>"
    return (
        f'<noscript><p class="note">{_NO_SCRIPT}</p></noscript>\n<main>\n'
        '<section id="calls" aria-label="Calls"><div class="find">'
        '<input type="search" id="search" placeholder="Find by name, node or what is wrong" aria-label="Find calls">'
        '<div id="chips" role="group" aria-label="Show"></div></div><ol id="list"></ol></section>\n'
        '<section id="flow" aria-label="The flow"><div class="tools"><button id="closer" aria-label="larger">+</button>'
        '<button id="farther" aria-label="smaller">&minus;</button><button id="whole">whole</button></div>'
        '<p class="legend"><span class="taken">taken by a call</span><span class="missed">by none</span>'
        '<span class="shown">the call that is shown</span></p>'
        f'<div id="picture" tabindex="0">{drawn}</div></section>\n'
        '<section id="call" aria-live="polite"></section>\n</main>\n'
    )
