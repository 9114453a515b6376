"""``kinetix-ued compare``: train curricula under one protocol, and say what the difference is worth."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from kinetix_ued.writable import refuse_unwritable, refuse_unwritable_folder

from .common import positive
from .scoring import FORMS, score, suites_of, write_files

FILES = dict(zip(FORMS, ("evaluation.json", "evaluation.md", "evaluation.html", "evaluation.png"), strict=True))
"""What is written into the comparison's folder."""

METHODS = ("dr", "robust-plr", "accel", "sfl")
"""What is compared where nothing is named."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--methods",
        nargs="+",
        metavar="NAME",
        help=f"methods, or file.py:function ({' '.join(METHODS)}, or none where there are arms)",
    )
    add(
        "--arm",
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME", "FIELD=VALUE"),
        dest="arms",
        help="a further method by a name of your own, which differs in these fields of the configuration; its curriculum "
        "is named as in --methods (dr)",
    )
    add(
        "--sizes",
        nargs="+",
        default=[],
        metavar="SIZE",
        help="train an agent in each of them: a level is then played by that of the smallest size that holds it "
        "(the preset's size)",
    )
    add("--seeds", type=positive, default=3, help="runs of each method and size (%(default)s)")
    add("--preset", default="quick", help="configuration that all runs start from (%(default)s)")
    add("--set", action="append", default=[], metavar="FIELD=VALUE", dest="changes", help="change a field for all runs")
    add(
        "--baselines",
        nargs="*",
        metavar="NAME",
        help="what to show beside them: noop, random, random:FRAMES (noop random random:8 random:32)",
    )
    add(
        "--suite",
        nargs="+",
        default=[],
        metavar="NAME",
        help="suites by name, level files and folders to evaluate on (held-out random levels, and the handmade ones, of "
        "the runs' sizes)",
    )
    add("--attempts", type=positive, default=20, help="attempts at each level (%(default)s)")
    add("--out", required=True, metavar="DIR", help="folder of the comparison; what is done there is not done again")


def run(arguments: argparse.Namespace) -> int:
    from kinetix_ued.benchmarks import ComparisonSettings, refuse_unplayable, trained_methods
    from kinetix_ued.benchmarks.methods import shared_environment

    settings = ComparisonSettings(
        out=arguments.out,
        methods=tuple(arguments.methods if arguments.methods is not None else () if arguments.arms else METHODS),
        arms=arms_of(arguments.arms),
        sizes=tuple(arguments.sizes),
        seeds=arguments.seeds,
        preset=arguments.preset,
        changes=changes_of(arguments.changes),
    )
    out = Path(arguments.out)
    refuse_unwritable_folder(out)
    for name in FILES.values():
        refuse_unwritable(out / name, overwrite=True)
    every = [f"{kind}-{size}" for size in settings.sizes for kind in ("random", "holdout")]
    suites = suites_of(arguments.suite or every)
    refuse_unplayable(settings, suites)
    baselines = settings.baselines(arguments.baselines)
    methods = trained_methods(settings, say=lambda line: print(line, file=sys.stderr))
    methods += baselines
    document, played = score(methods, suites, shared_environment(methods), seed=0, attempts=arguments.attempts)
    write_files({form: str(out / name) for form, name in FILES.items()}, document, played, overwrite=True)
    return 0


def arms_of(entries: list[list[str]]) -> dict[str, dict]:
    """The arms of a command line, with their changes.

    Raises:
        ValueError: for a name that comes twice, and as ``changes_of``.
    """
    found: dict[str, dict] = {}
    for name, *changes in entries:
        if name in found:
            raise ValueError(f"--arm {name} comes twice: give each arm a name of its own")
        found[name] = changes_of(changes, option=f"--arm {name}")
    return found


def changes_of(entries: list[str], option: str = "--set") -> dict:
    """Fields of the configuration with their new values, in the types that they have.

    Raises:
        ValueError: for something that is not field=value, an unknown field, or a value of another type.
    """
    import typing

    from kinetix_ued.training import TrainConfig
    from kinetix_ued.training.config import NOTED_FIELDS

    kinds, found = typing.get_type_hints(TrainConfig), {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in kinds or name in NOTED_FIELDS:
            raise ValueError(
                f"{option} {entry}: write FIELD=VALUE with a field of the configuration (see train --help)"
            )
        kind = kinds[name]
        truths = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        try:
            found[name] = truths[value.lower()] if kind is bool else kind(value)
        except (KeyError, ValueError):
            raise ValueError(f"{option} {entry}: {name} is of type {kind.__name__}") from None
    return found
