"""``kinetix-ued compare``: train curricula under one protocol, and say what the difference is worth."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .common import positive, refuse_existing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    methods = ("dr", "robust-plr", "accel", "sfl")
    add("--methods", nargs="+", default=methods, metavar="NAME", help=f"methods, or file.py:function ({' '.join(methods)})")
    add("--seeds", type=positive, default=3, help="runs of each method (%(default)s)")
    add("--preset", default="quick", help="configuration that all runs start from (%(default)s)")
    add("--set", action="append", default=[], metavar="FIELD=VALUE", dest="changes", help="change a field for all runs")
    add("--suite", nargs="+", default=[], metavar="NAME", help="suites by name, level files and folders to evaluate on, each "
        "apart (held-out random levels, and the handmade ones, of the runs' size)")
    add("--attempts", type=positive, default=10, help="attempts at each level (%(default)s)")
    add("--out", required=True, metavar="DIR", help="folder of the comparison; what is done there is not done again")


def run(arguments: argparse.Namespace) -> int:
    from kinetix_ued.benchmarks import ComparisonSettings, compare, format_comparison, plot_comparison, write_json
    from kinetix_ued.whole import whole_file

    settings = ComparisonSettings(
        out=arguments.out,
        methods=tuple(arguments.methods),
        seeds=arguments.seeds,
        preset=arguments.preset,
        changes=changes_of(arguments.changes),
        suites=tuple(arguments.suite),
        attempts=arguments.attempts,
    )
    out = Path(arguments.out)
    if out.is_file():
        refuse_existing(out, overwrite=False)
    measured = compare(settings, say=lambda line: print(line, file=sys.stderr))
    text = format_comparison(measured)
    print(text)
    write_json(out / "comparison.json", measured, overwrite=True)
    with whole_file(out / "comparison.md") as partial:
        partial.write_text(text + "\n", encoding="utf-8")
    plot_comparison(measured, out / "comparison.png")
    print(f"written to {out}", file=sys.stderr)
    return 0


def changes_of(entries: list[str]) -> dict:
    """Fields of the configuration with their new values, in the types that they have.

    Raises:
        ValueError: for something that is not field=value, an unknown field, or a value of another type.
    """
    import typing

    from kinetix_ued.training import TrainConfig

    kinds, found = typing.get_type_hints(TrainConfig), {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in kinds:
            raise ValueError(f"--set {entry}: write FIELD=VALUE with a field of the configuration (see train --help)")
        kind = kinds[name]
        truths = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        try:
            found[name] = truths[value.lower()] if kind is bool else kind(value)
        except (KeyError, ValueError):
            raise ValueError(f"--set {entry}: {name} is of type {kind.__name__}") from None
    return found
