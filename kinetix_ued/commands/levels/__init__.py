"""``kinetix-ued levels``: what can be done with level files, one action a module."""

from __future__ import annotations

import argparse
import importlib

ACTIONS = {
    "check": "say of each file whether it is a level; exit status 1 if one is not",
    "convert": "write levels in another format",
    "sample": "write levels of a generator, and a picture of them",
    "show": "draw levels, from files or a generator, into one picture",
    "stats": "count what levels are made of, and find duplicates",
}
"""Actions and what they do. Each is a module with ``add_arguments(parser)`` and ``run(arguments) -> exit status``."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, summary in ACTIONS.items():
        module = importlib.import_module(f"{__name__}.{name}")
        action = actions.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        module.add_arguments(action)
        action.set_defaults(act=module.run)


def run(arguments: argparse.Namespace) -> int:
    return arguments.act(arguments)
