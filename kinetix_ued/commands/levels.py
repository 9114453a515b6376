"""``kinetix-ued levels``: check, convert and sample level files."""

from __future__ import annotations

import argparse
from pathlib import Path

from .common import positive, refuse_existing, seed

FORMATS = ("native", "kinetix")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    check = actions.add_parser("check", help="say of each file whether it is a level; exit status 1 if one is not")
    check.add_argument("files", nargs="+", metavar="PATH", help="level files, and folders of them")
    check.set_defaults(act=check_files)

    convert = actions.add_parser("convert", help="write levels in another format")
    convert.add_argument("files", nargs="+", metavar="PATH", help="level files, and folders of them")
    convert.add_argument("--to", choices=FORMATS, default="native", help="format to write (%(default)s)")
    convert.add_argument(
        "--out", required=True, metavar="PATH", help="a .json file for one level, a folder for several"
    )
    convert.add_argument("--size", choices=("s", "m", "l"), help="pad the levels to this size")
    convert.add_argument("--overwrite", action="store_true", help="replace files")
    convert.set_defaults(act=convert_files)

    sample = actions.add_parser("sample", help="write random levels")
    sample.add_argument("--size", choices=("s", "m", "l"), default="s", help="size of the levels (%(default)s)")
    sample.add_argument("-n", type=positive, default=16, help="how many (%(default)s)")
    sample.add_argument("--seed", type=seed, default=0, help="seed of the levels (%(default)s)")
    sample.add_argument("--filter-noop", action="store_true", help="leave out levels that doing nothing solves")
    sample.add_argument("--to", choices=FORMATS, default="native", help="format to write (%(default)s)")
    sample.add_argument("--out", required=True, metavar="DIR", help="folder to write to")
    sample.add_argument("--overwrite", action="store_true", help="replace files")
    sample.set_defaults(act=sample_files)


def run(arguments: argparse.Namespace) -> int:
    return arguments.act(arguments)


def check_files(arguments: argparse.Namespace) -> int:
    """A line a file: ok with its contents, or what is wrong with it."""
    from kinetix_ued.levels import LevelError, load_level
    from kinetix_ued.world.constants import STATIC_POLYGONS

    bad = 0
    files = level_files(arguments.files)
    for path in files:
        try:
            level = load_level(path)
        except LevelError as problem:
            print(f"bad  {problem}")
            bad += 1
            continue
        shapes = int(level.active[STATIC_POLYGONS:].sum())
        joints, thrusters = int(level.joint_active.sum()), int(level.thruster_active.sum())
        print(f"ok   {path}: size {level.size.name}, {shapes} shapes, {joints} joints, {thrusters} thrusters")
    print(f"{len(files) - bad} of {len(files)} files are levels")
    return 1 if bad else 0


def convert_files(arguments: argparse.Namespace) -> int:
    """Read every level before the first is written, so that a bad one leaves nothing half done."""
    from kinetix_ued.levels import load_level, load_metadata, save_level

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


def sample_files(arguments: argparse.Namespace) -> int:
    """Random levels of the reference's distribution, as files."""
    out = Path(arguments.out)
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file: name a folder")
    digits = max(4, len(str(arguments.n - 1)))
    targets = [out / f"random-{arguments.size}-{arguments.seed}-{i:0{digits}d}.json" for i in range(arguments.n)]
    for target in targets:
        refuse_existing(target, arguments.overwrite)

    import jax

    from kinetix_ued.generators import filtered, sample_levels
    from kinetix_ued.levels import save_level

    def sample(key: jax.Array, n: int):
        return sample_levels(key, n, arguments.size)

    levels = (filtered(sample) if arguments.filter_noop else sample)(jax.random.key(arguments.seed), arguments.n)
    levels = jax.device_get(levels)
    for i, target in enumerate(targets):
        save_level(levels[i], target, arguments.to, overwrite=arguments.overwrite)
    print(f"{arguments.n} levels written to {out}")
    return 0


def level_files(paths: list[str]) -> list[Path]:
    """The files among ``paths``, and all .json files in the folders among them, each once.

    Raises:
        ValueError: for a folder without any.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        inside = sorted(p for p in path.rglob("*.json") if p.is_file()) if path.is_dir() else [path]
        if not inside:
            raise ValueError(f"{path} holds no level files: name a folder with .json files in it")
        for file in inside:
            found.setdefault(file.resolve(), file)
    return list(found.values())
