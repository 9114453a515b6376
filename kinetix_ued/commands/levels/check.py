"""``kinetix-ued levels check``."""

from __future__ import annotations

import argparse

from kinetix_ued.terminal import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="PATH", help="level files, and folders of them")
    parser.add_argument("--strict", action="store_true", help="a level that can be played but is not sound counts as bad")


def run(arguments: argparse.Namespace) -> int:
    """A line a file: ok with its contents, what is unusual about it, or what is wrong with it."""
    from kinetix_ued.levels import LevelError, faults_of, level_files, load_level
    from kinetix_ued.world.constants import STATIC_POLYGONS

    bad = 0
    files = level_files(arguments.files)
    for path in files:
        try:
            level = load_level(path)
        except LevelError as problem:
            print(f"bad  {printable(problem)}")
            bad += 1
            continue
        faults = faults_of(level)
        shapes = int(level.active[STATIC_POLYGONS:].sum())
        joints, thrusters = int(level.joint_active.sum()), int(level.thruster_active.sum())
        verdict = "ok  " if not faults else "bad " if arguments.strict else "odd "
        print(f"{verdict} {printable(path)}: size {level.size.name}, {shapes} shapes, {joints} joints, {thrusters} thrusters")
        for fault in faults:
            print(f"     {fault}")
        bad += bool(faults) and arguments.strict
    print(f"{len(files) - bad} of {len(files)} files are levels")
    return 1 if bad else 0
