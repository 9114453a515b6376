"""``kinetix-ued leaderboard``: the table of results, from what ``eval --json`` wrote."""

from __future__ import annotations

import argparse
import sys

from kinetix_ued.writable import refuse_unwritable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("results", nargs="+", metavar="RESULTS.json", help="what kinetix-ued eval --json has written")
    add("--into", metavar="FILE.md", help="write it between the two leaderboard marks of this file (standard output)")


def run(arguments: argparse.Namespace) -> int:
    if arguments.into:
        refuse_unwritable(arguments.into, overwrite=True)

    from kinetix_ued.benchmarks.leaderboard import format_leaderboard, replace_leaderboard
    from kinetix_ued.benchmarks.report import read_results

    text = format_leaderboard([read_results(path) for path in arguments.results])
    if not arguments.into:
        print(text)
        return 0
    replace_leaderboard(arguments.into, text)
    print(f"written to {arguments.into}", file=sys.stderr)
    return 0
