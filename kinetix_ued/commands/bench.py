"""``kinetix-ued bench``: steps a second on this machine."""

from __future__ import annotations

import argparse
import json
import sys

from .common import positive, seed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--engine", choices=("auto", "warp", "jax"), default="auto", help="physics engine (%(default)s)")
    add("--size", choices=("s", "m", "l"), default="s", help="size of the levels (%(default)s)")
    add("--batch", type=positive, default=512, help="scenes side by side (%(default)s)")
    add("--steps", type=positive, default=128, help="steps of a call (%(default)s)")
    add("--frame-skip", type=positive, default=2, help="frames in an environment step (%(default)s)")
    add("--repeats", type=positive, default=5, help="rounds (%(default)s)")
    add("--min-seconds", type=float, default=0.5, help="least length of a round (%(default)s)")
    add("--seed", type=seed, default=0, help="seed of levels and actions (%(default)s)")
    add("--reference", action="store_true", help="measure an installed kinetix-env too, in turns, and print the ratio")
    add("--json", action="store_true", help="print JSON instead of the table")


def run(arguments: argparse.Namespace) -> int:
    import dataclasses

    from kinetix_ued.benchmarks import Settings, format_measurement, measure

    settings = Settings(**{field.name: getattr(arguments, field.name) for field in dataclasses.fields(Settings)})
    measured = measure(settings, reference=arguments.reference, say=lambda line: print(line, file=sys.stderr))
    print(json.dumps(measured, indent=1) if arguments.json else format_measurement(measured))
    return 0
