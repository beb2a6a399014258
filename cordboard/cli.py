"""The command `cordboard`: offline verbs over files, the ledger and the sandbox.

Exit codes: 0 nothing wrong, 1 the verdict is bad, 2 the input or the call is wrong, 3 a service failed. With `--json`
one document goes to standard output; everything else goes to standard error. The ledger and the sandbox bring large
libraries along and are imported only by the commands that need them.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cordboard import __version__
from cordboard.doctor import verbs as doctor
from cordboard.documents import Document, read_document
from cordboard.errors import CordboardError, InvalidDocument
from cordboard.findings import Finding, errors_in
from cordboard.kinds import KINDS, part_of
from cordboard.kinds import command_of as _module
from cordboard.layout import verbs as layout
from cordboard.recovery import verbs as recovery
from cordboard.sarif import to_annotations, to_sarif
from cordboard.settings import Settings

_UNREADABLE = ("document/", "kind/")
_ROWS = (".csv", ".jsonl")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: the command line without the program's name; by default that of the process.

    Returns:
        The exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an ASCII terminal gets escapes and no traceback
    words = list(sys.argv[1:] if arguments is None else arguments)
    _read_environment(Path(".env"))
    try:
        options = _parser(words[:1]).parse_args(words)
        run: Callable[[argparse.Namespace], int] = options.run
        code = run(options)
        sys.stdout.flush()
    except CordboardError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # The reader has gone, as in `cordboard graph FILE | head`; Python would complain once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    return code


def _read_environment(file: Path) -> None:
    """Takes in what jobs take in too, else a ledger would be looked at that no job has used. What is set wins."""
    if file.is_file():
        from dotenv import load_dotenv  # noqa: PLC0415  most calls have no use for it

        load_dotenv(file)


def _parser(verb: list[str]) -> argparse.ArgumentParser:
    """The parser of the command; arguments of verbs that bring large libraries along are those of `verb` alone."""
    parser = argparse.ArgumentParser(prog="cordboard", description="Contact-centre automation, kept as files in git.")
    parser.add_argument("--version", action="version", version=f"cordboard {__version__}")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_check(verbs)
    _add_views(verbs)
    _add_edits(verbs)
    plan = _verb(verbs, "plan", _plan, "say what registering a call flow would change")
    if "plan" in verb:
        _module("registration").add_arguments(plan)
    schema = _verb(verbs, "schema", _schema, "print the JSON Schema of a kind of file")
    schema.add_argument("kind", choices=KINDS)
    _add_audit(verbs)
    recovery.add_verbs(verbs)
    doctor.add_verbs(verbs)
    layout.add_verbs(verbs, lambda: _parser(["plan", "sandbox"]))
    sandbox = _verb(verbs, "sandbox", _sandbox, "serve a vendor on this machine")
    if "sandbox" in verb:
        _module("sandbox").add_arguments(sandbox)
    return parser


def _add_check(verbs: Any) -> None:
    check = _verb(verbs, "check", _check, "check files and list every fault with its place")
    check.add_argument("files", nargs="+", type=Path, metavar="FILE")
    check.add_argument("--format", choices=("text", "json", "sarif", "github"), default="text")
    check.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    check.add_argument("--rows", type=Path, metavar="ROWS", help="check every row of a batch too: CSV or JSONL")
    check.add_argument("--faulty", type=Path, metavar="FILE", help="write the rows that do not fit, to be mended")


def _add_views(verbs: Any) -> None:
    """Verbs that show what a call flow is and does."""
    graph = _verb(verbs, "graph", _graph, "draw a chain or a call flow")
    graph.add_argument("file", type=Path, metavar="FILE")
    graph.add_argument("--format", choices=("mermaid", "dot", "svg", "html"), default="mermaid")
    diff = _verb(verbs, "diff", _diff, "say what changed between two call flows, in sentences")
    diff.add_argument("before", type=Path, metavar="OLD")
    diff.add_argument("after", type=Path, metavar="NEW")
    diff.add_argument("--behaviour", action="store_true", help="what changes for callers, whatever nodes are called")
    diff.add_argument("--json", action="store_true", help="print one JSON document")
    trace = _verb(verbs, "trace", _trace, "make one call through a call flow, offline, and show its way")
    trace.add_argument("file", type=Path, metavar="FILE")
    trace.add_argument("inputs", nargs="*", metavar="INPUT", help="digits, no_input, no_match, hangup or say:WORDS")
    trace.add_argument(
        "--var", action="append", default=[], metavar="NAME=VALUE", help="a variable when the call begins"
    )
    trace.add_argument("--json", action="store_true", help="print the call as the vendor's debugger does")
    prove = _verb(verbs, "prove", _prove, "prove what must be true of every call, or show the call that breaks it")
    prove.add_argument("file", type=Path, metavar="FILE", help="properties, or a call flow: then every call must end")
    cover = _verb(verbs, "cover", _cover, "write a small suite that takes every connection of a call flow")
    cover.add_argument("file", type=Path, metavar="FILE")
    cover.add_argument("--suite", type=Path, metavar="SUITE", help="only what this suite does not take yet")
    cover.add_argument("--pairs", action="store_true", help="every two connections, one after the other")


def _add_audit(verbs: Any) -> None:
    audits = verbs.add_parser("audit", help="look after the audit log").add_subparsers(required=True, metavar="ACTION")
    verify = _verb(audits, "verify", _audit_verify, "prove that no audit record was changed or removed")
    vouch = _verb(audits, "checkpoint", _audit_checkpoint, "sign that the audit log is as it is now")
    show = _verb(audits, "show", _audit_show, "list the audit records of one run")
    show.add_argument("run_key", metavar="RUN_KEY")
    for audit in (verify, vouch, show):
        audit.add_argument("--ledger", default="", metavar="URL", help="default: what the environment names")
        audit.add_argument("--json", action="store_true", help="print one JSON document")


def _add_edits(verbs: Any) -> None:
    patch = _verb(verbs, "patch", _patch, "write the patch that makes one call flow of another")
    patch.add_argument("before", type=Path, metavar="OLD")
    patch.add_argument("after", type=Path, metavar="NEW")
    patch.add_argument("--base-version", type=int, metavar="N", help="default: the version that OLD states")
    patch.add_argument("--reason", default="", metavar="TEXT", help="why, for the audit")
    patch.add_argument("--out", type=Path, metavar="PATCH", help="default: standard output")
    merge = _verb(verbs, "merge", _merge, "join two edits of one call flow, or show what they disagree on")
    merge.add_argument("base", type=Path, metavar="BASE", help="the flow from which both started")
    merge.add_argument("ours", type=Path, metavar="OURS", help="a flow or a patch")
    merge.add_argument("theirs", type=Path, metavar="THEIRS", help="a flow or a patch")
    merge.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")
    merge.add_argument("--json", action="store_true", help="print flow, conflicts and findings as one JSON document")


def _verb(verbs: Any, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(run=run)
    return parser


def _check(options: argparse.Namespace) -> int:
    if options.rows or options.faulty:
        return _check_rows(options)
    results = [(path, *_examine(path)) for path in options.files]
    print(_report(options.format, results), end="")
    return max(_exit_code(found) for _, found, _ in results)


def _check_rows(options: argparse.Namespace) -> int:
    as_text = options.format == "text"
    found = _module("triggers").check_rows(options.files, options.rows, options.faulty, as_text=as_text)
    print(_report(options.format, found.results, found.counts), end="")
    return int(found.exit_code)


def _report(
    form: str, results: Sequence[tuple[Path, tuple[Finding, ...], str]], rows: Mapping[str, int] | None = None
) -> str:
    if form == "text":
        lines = (
            "".join(f"{each}\n" for each in found) + f"{path.name}: {summary}\n" for path, found, summary in results
        )
        return "".join(lines)
    findings = [finding for _, found, _ in results for finding in found]
    if form == "github":
        return to_annotations(findings)
    if form == "sarif":
        titles = _module("ivr").titles() if any(finding.rule.startswith("ivr/") for finding in findings) else {}
        return json.dumps(to_sarif(findings, titles), indent=2) + "\n"
    documents = [{"file": str(path), "findings": [f.as_json() for f in found]} for path, found, _ in results]
    report = {"ok": not errors_in(tuple(findings)), "files": documents, **({"rows": rows} if rows else {})}
    return json.dumps(report, indent=2) + "\n"


def _examine(path: Path) -> tuple[tuple[Finding, ...], str]:
    """The findings about one file, and a line that sums it up."""
    try:
        document = _no_rows(path)
        kind = _kind_of(document)
        findings, what = part_of(kind).examine(kind, document)
    except InvalidDocument as error:
        return error.findings, _count(error.findings)
    return findings, ", ".join(filter(None, (what, _count(findings))))


def _no_rows(path: Path) -> Document:
    """A document; rows are none, and what YAML makes of them says nothing."""
    if path.suffix.lower() in _ROWS and path.is_file():
        hint = "Check rows with what starts them: `cordboard check TRIGGER --rows FILE`."
        raise InvalidDocument((Finding("kind/rows", "the file holds rows", "", str(path), 1, hint),))
    return read_document(path)


def _kind_of(document: Document) -> str:
    value = document.value
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind in KINDS:
        return str(kind)
    if kind is None and isinstance(value, dict) and "nodes" in value:
        return "ivr-flow"  # as a vendor exports it
    message = "the file does not say its kind" if kind is None else f"`{str(kind)[:64]}` is not a kind that is known"
    hint = f"Write `kind: chain`; known are {', '.join(KINDS)}."
    raise InvalidDocument((Finding("kind/unknown", message, "kind", document.file, 1, hint),))


def _exit_code(findings: tuple[Finding, ...]) -> int:
    errors = errors_in(findings)
    return 0 if not errors else 2 if errors[0].rule.startswith(_UNREADABLE) else 1


def _count(findings: tuple[Finding, ...]) -> str:
    errors = len(errors_in(findings))
    counts = [_number(errors, "error"), _number(len(findings) - errors, "warning")]
    return ", ".join(count for count in counts if not count.startswith("0 ")) or "no findings"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _graph(options: argparse.Namespace) -> int:
    document = _no_rows(options.file)
    kind = _kind_of(document)
    print(part_of(kind).graph(document, options.format), end="")
    return 0


def _schema(options: argparse.Namespace) -> int:
    print(json.dumps(part_of(options.kind).schema(options.kind), indent=2))
    return 0


def _diff(options: argparse.Namespace) -> int:
    if options.behaviour:
        return int(_module("ivr.paths").run_behaviour(options.before, options.after, options.json))
    return int(_module("ivr").diff(options.before, options.after, options.json))


def _trace(options: argparse.Namespace) -> int:
    return int(_module("ivr").trace(options.file, options.inputs, options.var, options.json))


def _prove(options: argparse.Namespace) -> int:
    return int(_module("ivr.paths").run_prove(options.file))


def _cover(options: argparse.Namespace) -> int:
    return int(_module("ivr.paths").run_cover(options.file, options.suite, options.pairs))


def _patch(options: argparse.Namespace) -> int:
    edit = (options.before, options.after, options.base_version, options.reason)
    return int(_module("ivr.merge").run_patch(*edit, options.out))


def _merge(options: argparse.Namespace) -> int:
    files = (options.base, options.ours, options.theirs)
    return int(_module("ivr.merge").run_merge(*files, options.out, options.json))


def _plan(options: argparse.Namespace) -> int:
    return int(_module("registration").run(options))


def _audit_verify(options: argparse.Namespace) -> int:
    settings, part = _settings(), _module("records")
    return int(part.audit_verify(options.ledger or settings.ledger, options.json, part.CheckpointFile.of(settings)))


def _audit_checkpoint(options: argparse.Namespace) -> int:
    settings, part = _settings(), _module("records")
    keep = part.CheckpointFile(settings.checkpoints, part.keys_of(settings.checkpoint_key))
    return int(part.audit_checkpoint(options.ledger or settings.ledger, keep, options.json))


def _audit_show(options: argparse.Namespace) -> int:
    settings, part = _settings(), _module("records")
    return int(part.audit_show(options.ledger or settings.ledger, options.run_key, settings.tenant, options.json))


def _sandbox(options: argparse.Namespace) -> int:
    return int(_module("sandbox").run(options))


def _settings() -> Settings:
    return Settings.from_env(os.environ)
