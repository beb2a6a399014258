"""`cordboard sandbox`: a local vendor to try chains on."""

from __future__ import annotations

import argparse
import asyncio
import errno
import shlex
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cordboard.documents import Document
from cordboard.errors import BadCall
from cordboard.files import whole_file
from cordboard.findings import Finding
from cordboard.sandbox.app import Sandbox
from cordboard.sandbox.definition import Definition, default_definition, load_definition
from cordboard.sandbox.faults import Faults, load_faults
from cordboard.sandbox.server import environment, serving


def examine(kind: str, document: Document) -> tuple[tuple[Finding, ...], str]:
    """The findings about a file of `kind: sandbox` or `kind: faults`: none.

    Raises:
        InvalidDocument: it breaks a rule; all faults at once.
    """
    load_definition(Path(document.file)) if kind == "sandbox" else load_faults(Path(document.file))
    return (), kind


def graph(document: Document, _form: str) -> str:
    """Nothing that could be drawn.

    Raises:
        BadCall: always.
    """
    raise BadCall(f"{document.file} is neither a chain nor a call flow: there is nothing to draw")


def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of `kind: sandbox` or `kind: faults`."""
    model = Definition if kind == "sandbox" else Faults
    return model.model_json_schema()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `cordboard sandbox`."""
    parser.add_argument("--definition", type=Path, metavar="FILE", help="what to serve (default: a small CRM)")
    parser.add_argument("--faults", type=Path, metavar="FILE", help="what goes wrong")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to bind (default: a free one)")
    parser.add_argument("--seed", type=int, default=0, help="repeats tokens, ids and drawn faults (default: 0)")
    parser.add_argument("--truth", type=Path, metavar="FILE", help="append what really happened, as JSON lines")
    parser.add_argument("--callback-url", metavar="URL", help="where to report the ends of workflow instances")
    parser.add_argument("--env-file", type=Path, metavar="FILE", help="write the credentials here once it serves")


def run(args: argparse.Namespace) -> int:
    """Serves until SIGINT or SIGTERM.

    Returns:
        0, after a signal.

    Raises:
        InvalidDocument: the definition, the faults or the callback URL break a rule.
        BadCall: a port is taken or out of range, or a file cannot be written.
    """
    definition = load_definition(args.definition) if args.definition else default_definition()
    faults = load_faults(args.faults) if args.faults else Faults()
    try:
        sandbox = Sandbox(definition, faults, args.seed, truth_file=args.truth, callback_url=args.callback_url)
        asyncio.run(_serve(sandbox, args))
    except (OSError, OverflowError) as error:
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = f"something listens on port {args.port} already; give another with --port" if taken else str(error)
        raise BadCall(f"cannot start the sandbox: {why}") from error
    return 0


async def _serve(sandbox: Sandbox, args: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(sandbox, args.host, args.port) as base_url:
        variables = environment(sandbox.definition, base_url)
        if args.env_file:
            _write_whole(args.env_file, variables)
        _announce(sandbox, base_url, variables)
        await stop.wait()


def _announce(sandbox: Sandbox, base_url: str, variables: Mapping[str, str]) -> None:
    actions = ", ".join(sandbox.definition.data_actions)
    print(f"sandbox {sandbox.definition.name} at {base_url}, until Ctrl-C", file=sys.stderr)
    print(f"data actions: {actions}", file=sys.stderr)
    print(f"call flows: {', '.join(sandbox.flows) or 'none yet'}", file=sys.stderr)
    print(f"workflows: {', '.join(sandbox.definition.workflows) or 'none'}", file=sys.stderr)
    print("in another terminal:", file=sys.stderr, flush=True)
    print("\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()), flush=True)


def _write_whole(path: Path, variables: Mapping[str, str]) -> None:
    """Writes the file in one step, so that whoever waits for it never reads half of it; only its owner may read it."""
    with whole_file(path) as file:
        file.write("".join(f"{name}={value}\n" for name, value in variables.items()).encode())
