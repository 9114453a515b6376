"""``kinetix-ued levels show``."""

from __future__ import annotations

import argparse
from pathlib import Path

from kinetix_ued.terminal import printable
from kinetix_ued.writable import refuse_unwritable

from ..common import positive
from .common import add_sampling_arguments, add_skipping_argument, names_of, read, sample


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", nargs="+", metavar="WHAT", help="level files and folders of them; or one generator: its name, or file.py:function"
    )
    add_skipping_argument(parser)
    add_sampling_arguments(parser)
    parser.add_argument("--pixels", type=positive, default=250, help="width and height of each level (%(default)s)")
    parser.add_argument("--columns", type=positive, help="levels in a row (about a square)")
    parser.add_argument("--out", required=True, metavar="PNG", help="picture to write")
    parser.add_argument("--overwrite", action="store_true", help="replace it")


def run(arguments: argparse.Namespace) -> int:
    """One picture of all the levels."""
    out = Path(arguments.out)
    if out.suffix.lower() != ".png":
        raise ValueError(f"{out} is no PNG file: name one that ends in .png")
    refuse_unwritable(out, arguments.overwrite)

    from kinetix_ued.generators import GENERATORS
    from kinetix_ued.levels import stack_levels
    from kinetix_ued.user_code import names_a_file
    from kinetix_ued.viewer import save_sheet

    what = arguments.what
    if len(what) == 1 and not Path(what[0]).exists() and (what[0] in GENERATORS or names_a_file(what[0])):
        levels, report = sample(what[0], arguments)
        names = names_of(what[0], arguments)
        if report is not None:
            print(report)
    else:
        missing = [path for path in what if not Path(path).exists()]
        if missing:
            known = ", ".join(GENERATORS)
            raise ValueError(f"{missing[0]} is neither a file nor a folder nor a generator: the generators are {known}")
        names, found = read(what, arguments.skip_bad)
        levels = stack_levels(list(found.levels.values()))
    titles = list(map(printable, names))
    save_sheet(out, levels, titles, pixels=arguments.pixels, columns=arguments.columns, overwrite=arguments.overwrite)
    print(f"{len(titles)} levels drawn in {printable(out)}")
    return 0
