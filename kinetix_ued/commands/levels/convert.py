"""``kinetix-ued levels convert``."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from kinetix_ued.terminal import printable
from kinetix_ued.writable import refuse_unwritable

from .common import FORMATS, add_skipping_argument, read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="PATH", help="level files, and folders of them")
    add_skipping_argument(parser)
    parser.add_argument("--to", choices=FORMATS, default="native", help="format to write (%(default)s)")
    parser.add_argument("--out", required=True, metavar="PATH", help="a .json file for one level, a folder for several")
    parser.add_argument("--size", choices=("s", "m", "l"), help="pad the levels to this size")
    parser.add_argument("--overwrite", action="store_true", help="replace files")


def run(arguments: argparse.Namespace) -> int:
    """Read every level before the first is written, so that a bad one leaves nothing half done."""
    from kinetix_ued.levels import resize_level, save_level

    files, found = read(arguments.files, arguments.skip_bad)
    out = Path(arguments.out)
    if len(files) == 1 and out.suffix == ".json" and not out.is_dir():
        targets = [out]
    elif out.suffix == ".json":
        raise ValueError(f"{out} is one file and there are {len(files)} levels: name a folder")
    else:
        targets = [out / path.name for path in files.values()]
    counts = Counter(targets)
    for path, target in zip(files.values(), targets):
        if counts[target] > 1:
            raise ValueError(f"two levels would be written to {target}: convert their folders one at a time")
        if target.exists() and target.samefile(path):
            raise ValueError(f"{path} would be written over itself: choose another folder")
        refuse_unwritable(target, arguments.overwrite)
    sources = map(str, files.values())
    levels = [resize_level(level, arguments.size or level.size, s) for level, s in zip(found.levels.values(), sources)]
    for level, target, metadata in zip(levels, targets, found.metadata.values()):
        # Kinetix' format has no place for a title: it is kept only where it can be.
        about = metadata if arguments.to == "native" else None
        save_level(level, target, arguments.to, overwrite=arguments.overwrite, metadata=about)
    print(f"{len(files)} levels written to {printable(out)}")
    return 0
