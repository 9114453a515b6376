"""``kinetix-ued levels convert``."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..common import refuse_existing
from .common import FORMATS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="PATH", help="level files, and folders of them")
    parser.add_argument("--to", choices=FORMATS, default="native", help="format to write (%(default)s)")
    parser.add_argument("--out", required=True, metavar="PATH", help="a .json file for one level, a folder for several")
    parser.add_argument("--size", choices=("s", "m", "l"), help="pad the levels to this size")
    parser.add_argument("--overwrite", action="store_true", help="replace files")


def run(arguments: argparse.Namespace) -> int:
    """Read every level before the first is written, so that a bad one leaves nothing half done."""
    from kinetix_ued.levels import level_files, load_level, load_metadata, save_level

    files, out = level_files(arguments.files), Path(arguments.out)
    if len(files) == 1 and out.suffix == ".json" and not out.is_dir():
        targets = [out]
    elif out.suffix == ".json":
        raise ValueError(f"{out} is one file and there are {len(files)} levels: name a folder")
    else:
        targets = [out / path.name for path in files]
    for path, target in zip(files, targets):
        if targets.count(target) > 1:
            raise ValueError(f"two levels would be written to {target}: convert their folders one at a time")
        if target.exists() and target.samefile(path):
            raise ValueError(f"{path} would be written over itself: choose another folder")
        refuse_existing(target, arguments.overwrite)
    levels = [load_level(path, arguments.size) for path in files]
    # Kinetix' format has no place for a title: it is kept only where it can be.
    about = [load_metadata(path) if arguments.to == "native" else None for path in files]
    for level, target, metadata in zip(levels, targets, about):
        save_level(level, target, arguments.to, overwrite=arguments.overwrite, metadata=metadata)
    print(f"{len(files)} levels written to {out}")
    return 0
