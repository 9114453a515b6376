"""``kinetix-ued levels stats``."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="PATH", help="level files, and folders of them")


def run(arguments: argparse.Namespace) -> int:
    """A table of what the levels are made of, with their content hashes and which of them are the same."""
    from kinetix_ued.levels import format_summary, load_levels

    names, levels = load_levels(arguments.files)
    print(format_summary(names, levels))
    return 0
