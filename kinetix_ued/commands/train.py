"""``kinetix-ued train``: train, then show what was learned beside what was there before."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import typing
from pathlib import Path
from typing import Any

PATHS = ("levels",)
"""Fields that hold paths: on the command line with spaces between them, as a shell writes out ``*.json``."""


class _Joined(argparse.Action):
    """Several words of the command line as one value, with commas between them."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> None:
        if strange := next((value for value in values if "," in value and Path(value).exists()), None):
            parser.error(f"{option}: {strange} has a comma in its name: name it in a list, a .txt file of paths")
        setattr(namespace, self.dest, ",".join(values))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """An option for each field of ``TrainConfig``, with the field's documentation as its help."""
    from kinetix_ued.training import PRESETS, TrainConfig, field_docs
    from kinetix_ued.training.config import NOTED_FIELDS
    from kinetix_ued.training.presets import FORMER

    parser.add_argument("--preset", choices=[*PRESETS, *FORMER], help="configuration to start from (quick)")
    parser.add_argument("--resume", metavar="RUN", help="go on with the run in this folder, until its end")
    kinds, docs = typing.get_type_hints(TrainConfig), field_docs(TrainConfig)
    for field in dataclasses.fields(TrainConfig):
        if field.name == "preset" or field.name in NOTED_FIELDS:
            continue
        option, default = "--" + field.name.replace("_", "-"), field.default
        help = docs[field.name].rstrip(".").replace("%", "%%") + (f" ({default})" if default != "" else "")
        kind: dict[str, Any] = {"type": kinds[field.name], "metavar": kinds[field.name].__name__.upper()}
        if kinds[field.name] is bool:
            kind = {"action": argparse.BooleanOptionalAction}
        if field.name in PATHS:
            kind = {"nargs": "+", "action": _Joined, "metavar": "PATH"}
        parser.add_argument(option, default=argparse.SUPPRESS, help=help, **kind)


def run(arguments: argparse.Namespace) -> int:
    from kinetix_ued.training import (
        TrainConfig,
        preset,
        read_config,
        resume,
        resume_seeds,
        seed_folders,
        train,
        train_seeds,
        validate,
    )

    given = vars(arguments)
    changes = {f.name: given[f.name] for f in dataclasses.fields(TrainConfig) if f.name in given and f.name != "preset"}
    if arguments.resume:
        for name in ("preset", "out"):
            if given.get(name):
                raise ValueError(f"--resume goes on with a run as it was started: leave --{name} out")
        several = seed_folders(arguments.resume)
        _tell_code(dataclasses.replace(read_config(several[0] if several else arguments.resume), **changes))
        results = (resume_seeds if several else resume)(arguments.resume, **changes)
    else:
        config = preset(arguments.preset or "quick", **changes)
        validate(config)
        _tell_code(config)
        results = (train_seeds if config.seeds > 1 else train)(config)
    results = results if isinstance(results, list) else [results]
    if any(result.interrupted for result in results):
        folder = results[0].path if len(results) == 1 else results[0].path.parent
        print(f"stopped after {results[0].updates} updates; go on with: kinetix-ued train --resume {folder}")
        return 130
    for result in results:
        steps = ", ".join(f"{count:,} {kind}" for kind, count in result.counts.items() if count)
        print(f"run in {result.path}: {result.updates} updates; environment steps: {steps}")
        show(result)
    return 0


def _tell_code(config: Any) -> None:
    """Say which files of the user's are about to run: a run that is resumed names them itself."""
    from kinetix_ued.training.own_code import own_files

    for field, file in own_files(config).items():
        print(f"running {file} ({field})", file=sys.stderr)


def show(result: Any) -> None:
    """Print the final evaluation of a run, if it has one."""
    from kinetix_ued.benchmarks.report import aligned, means_of_policies
    from kinetix_ued.training.evaluation import REPORT

    document = result.evaluation
    if document is None or not result.config.eval_levels:
        return
    (suite,) = document["suites"]
    print(f"\n{suite['source']} levels, {document['attempts']} attempts each, with 95 % intervals over levels")
    print(aligned(means_of_policies(suite)))
    print(f"written to {result.path / REPORT}", file=sys.stderr)
