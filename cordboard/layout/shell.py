"""Completion in shells: a static script, made from the parser, so that a key press starts no Python."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import shtab

SHELLS = ("bash", "zsh", "fish")


def completion_script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script that completes a command in a shell.

    Args:
        parser: of the command, with all its verbs and their options. Arguments of type `Path` complete to file names.
        shell: one of `SHELLS`.
    """
    for action in _actions(parser):
        if action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks
    return shtab.complete(parser, shell)


def run_completion(parser: argparse.ArgumentParser, shell: str) -> int:
    """Prints the script; 0."""
    print(completion_script(parser, shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # argparse has no public way to walk a parser
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _actions(below)
        else:
            yield action
