"""``kinetix-ued levels stats``."""

from __future__ import annotations

import argparse

from kinetix_ued.terminal import printable

from .common import add_skipping_argument, read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="PATH", help="level files, and folders of them")
    add_skipping_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """A table of what the levels are made of, with their content hashes and which of them are the same."""
    from kinetix_ued.levels import format_summary, stack_levels

    files, found = read(arguments.files, arguments.skip_bad)
    print(format_summary(list(map(printable, files)), stack_levels(list(found.levels.values()))))
    return 0
