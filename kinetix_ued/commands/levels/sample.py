"""``kinetix-ued levels sample``."""

from __future__ import annotations

import argparse
from pathlib import Path

from kinetix_ued.terminal import printable
from kinetix_ued.writable import refuse_unwritable, refuse_unwritable_folder

from .common import FORMATS, add_sampling_arguments, names_of, sample

SHEET = "sheet.png"
"""Name of the picture of all levels."""

MAX_PICTURES = 256
"""Levels that the picture shows at most."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--generator", default="random", metavar="NAME", help="a generator's name, or file.py:function (%(default)s)"
    )
    add_sampling_arguments(parser)
    parser.add_argument("--to", choices=FORMATS, default="native", help="format to write (%(default)s)")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write to")
    parser.add_argument("--sheet", action=argparse.BooleanOptionalAction, default=True, help=f"draw {SHEET} of the levels")
    parser.add_argument("--overwrite", action="store_true", help="replace files")


def run(arguments: argparse.Namespace) -> int:
    """Level files, and a picture of the first of them; nothing is written where one of the files is there already."""
    out = Path(arguments.out)
    refuse_unwritable_folder(out)
    names = names_of(arguments.generator, arguments)
    targets = [out / f"{name}.json" for name in names]
    for target in [*targets, *([out / SHEET] if arguments.sheet else [])]:
        refuse_unwritable(target, arguments.overwrite)

    from kinetix_ued.levels import save_level

    levels, report = sample(arguments.generator, arguments)
    if report is not None:
        print(report)
    for i, target in enumerate(targets):
        save_level(levels[i], target, arguments.to, overwrite=arguments.overwrite)
    print(f"{arguments.n} levels written to {printable(out)}")
    if arguments.sheet:
        from kinetix_ued.viewer import save_sheet

        shown = min(arguments.n, MAX_PICTURES)
        save_sheet(out / SHEET, levels[:shown], names[:shown], overwrite=arguments.overwrite)
        print(f"{'pictures of them' if shown == arguments.n else f'the first {shown} of them'} in {printable(out / SHEET)}")
    return 0
