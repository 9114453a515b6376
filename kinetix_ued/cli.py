"""The command line: which commands there are, and what becomes of their errors.

A command is a module in ``commands/`` with ``add_arguments(parser)`` and ``run(arguments) -> exit status``. Only the
chosen one is imported, so that help and misspelt commands do not wait for JAX.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from . import __version__
from .output import drop_unwritable, steady_output
from .terminal import printable

PROGRAM, TRACEBACK = "kinetix-ued", "--traceback"

COMMANDS = {
    "train": ("train", "train an agent on levels that a curriculum proposes"),
    "compare": ("compare", "train several curricula under one protocol and compare them"),
    "eval": ("evaluate", "score agents on level files, or on held-out random levels"),
    "solve": ("solve", "search for actions that solve levels, and record them"),
    "leaderboard": ("leaderboard", "make the table of results from what eval --json wrote"),
    "replay": ("replay", "play recorded actions in a level"),
    "curves": ("curves", "draw the learning curves of runs"),
    "film": ("film", "film an agent at its levels"),
    "agents": ("agents", "list, show, save and import trained agents"),
    "levels": ("levels", "sample, draw, check, count and convert levels"),
    "bench": ("bench", "measure speed on this machine"),
}
"""Module and summary of every command."""

USER_ERROR, INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0 where all went well, 2 for a mistake of the user's, in one line."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with steady_output():  # a reader that has seen enough, such as head, ends neither training nor writing of files
            return _run(arguments)
    finally:
        drop_unwritable()


def _run(arguments: list[str]) -> int:
    traceback = TRACEBACK in arguments
    arguments = [argument for argument in arguments if argument != TRACEBACK]  # it may stand anywhere
    try:
        chosen = make_parser(arguments).parse_args(arguments)
        with warnings.catch_warnings():
            warnings.showwarning = _one_line
            return chosen.run(chosen)
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, OSError, FloatingPointError) as problem:
        if traceback:
            raise
        print(f"{PROGRAM}: error: {_message(problem)}", file=sys.stderr)
        return USER_ERROR


def make_parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser for ``arguments``: of the commands, only the one that they name knows its options."""
    parser = _Parser(
        prog=PROGRAM, description="Unsupervised environment design in a 2D physics world.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    parser.add_argument(TRACEBACK, action="store_true", help="with any command: show where an error comes from")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    named = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(
            name, help=summary, description=summary[0].upper() + summary[1:] + ".", allow_abbrev=False
        )
        if name == named:
            implementation = importlib.import_module(f"{__package__}.commands.{module}")
            implementation.add_arguments(command)
            command.set_defaults(run=implementation.run)
    return parser


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line: the usage of a command with sixty options hides what is wrong."""

    def error(self, message: str) -> NoReturn:
        self.exit(USER_ERROR, f"{self.prog}: error: {printable(message)} (see {self.prog} --help)\n")


def _message(problem: Exception) -> str:
    """An exception in one line."""
    if isinstance(problem, OSError) and problem.filename is not None and problem.strerror:
        return printable(f"{problem.filename}: {problem.strerror}")
    return printable(" ".join(str(problem).split())) or type(problem).__name__


def _one_line(message, category, filename, lineno, file=None, line=None) -> None:
    """A warning as users want to read it."""
    print(f"{PROGRAM}: {printable(' '.join(str(message).split()))}", file=sys.stderr)
