"""``kinetix-ued bench robustness``: damaged files and killed runs, and their outcomes, counted."""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .common import positive, seed
from .replay import read_actions

COUNTS = {"levels": 10_000, "documents": 2_000, "runs": 200, "kills": 50}
"""What can be measured, and how many of each."""

SHOW = "show"
"""Prints what was measured before."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    counts = ", ".join(f"{count:,} {kind}" for kind, count in COUNTS.items())
    add(
        "kind",
        nargs="?",
        choices=(*COUNTS, "all", SHOW),
        default="all",
        help=f"what is damaged; {SHOW} prints files of --json (all)",
    )
    add("files", nargs="*", metavar="FILE", help=f"with {SHOW}: what --json has written")
    add("-n", type=positive, help=f"cases of each kind ({counts})")
    add("--seed", type=seed, default=0, help="seed of the damage and of the moments (%(default)s)")
    add("--case", type=int, help="only the case of this number, with all that is known of it")
    add("--keep", metavar="DIR", help="with --case: leave what was damaged in this folder")
    add("--jobs", type=positive, default=2, help="curricula whose runs are killed at a time (%(default)s)")
    add("--json", metavar="FILE", help="write the counts here, too")
    add("--overwrite", action="store_true", help="replace this file")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the tables; 1 if anything was raw or slow, or a run did not end as it should."""
    from kinetix_ued.benchmarks.report import refuse_overwriting, write_json
    from kinetix_ued.benchmarks.robustness import document, format_robustness, is_clean, read_robustness

    _refuse_misfits(arguments)
    if arguments.kind == SHOW:
        print("\n\n".join(format_robustness(read_robustness(file)) for file in arguments.files))
        return 0
    if arguments.case is not None:
        return _one_case(arguments)
    if arguments.json:
        refuse_overwriting(arguments.json, arguments.overwrite)
    kinds = list(COUNTS) if arguments.kind == "all" else [arguments.kind]
    parts = [_measured(kind, arguments.n or COUNTS[kind], arguments) for kind in kinds]
    options = f" -n {arguments.n}" if arguments.n else ""
    found = document(parts, f"kinetix-ued bench robustness {arguments.kind}{options} --seed {arguments.seed}")
    print(format_robustness(found))
    if arguments.json:
        write_json(arguments.json, found, overwrite=arguments.overwrite)
        print(f"written to {arguments.json}", file=sys.stderr)
    return 0 if is_clean(found) else 1


def _refuse_misfits(arguments: argparse.Namespace) -> None:
    """Raise ValueError for options that do not go together."""
    if bool(arguments.files) != (arguments.kind == SHOW):
        raise ValueError(f"{SHOW} prints files of --json: name them after it, and none after another kind")
    if arguments.case is not None and (arguments.case < 0 or arguments.kind not in ("levels", "documents", "runs")):
        raise ValueError("--case is a number from 0 on, of one of levels, documents and runs: a kill happens but once")
    if arguments.keep and arguments.case is None:
        raise ValueError("--keep belongs to --case: say which case is to be kept")


def _targets(kind: str, folder: Path) -> Any:
    """The targets of a kind, warmed up."""
    from kinetix_ued.benchmarks.robustness import check_intact, document_targets, level_targets, run_targets

    documents = functools.partial(document_targets, read_actions=read_actions)
    make: dict[str, Callable[[Path], Any]] = {"levels": level_targets, "documents": documents, "runs": run_targets}
    targets = make[kind](folder)
    check_intact(targets, folder)
    return targets


def _measured(kind: str, n: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """One kind's part of the document, under a progress bar."""
    from kinetix_ued.progress import progress_bar

    from kinetix_ued.benchmarks.robustness import KillSettings, cases_part, kills_part, measure_kills, run_cases

    with progress_bar(desc=kind, total=n, unit="case", disable=None, leave=False) as bar:
        if kind == "kills":
            settings = KillSettings(kills=n, jobs=arguments.jobs, seed=arguments.seed)
            return kills_part(measure_kills(settings, say=bar.write, progress=bar.update))
        with tempfile.TemporaryDirectory(prefix="robustness-", ignore_cleanup_errors=True) as folder:
            targets = _targets(kind, Path(folder))
            began = time.perf_counter()
            results = run_cases(kind, targets, range(n), arguments.seed, progress=lambda result: bar.update())
            return cases_part(kind, results, arguments.seed, time.perf_counter() - began)


def _one_case(arguments: argparse.Namespace) -> int:
    """Repeat one case and tell everything about it."""
    from kinetix_ued.benchmarks.robustness import RAW, SLOW, run_cases

    with tempfile.TemporaryDirectory(prefix="robustness-", ignore_cleanup_errors=True) as folder:
        targets = _targets(arguments.kind, Path(folder))
        (found,) = run_cases(arguments.kind, targets, [arguments.case], arguments.seed, keep=arguments.keep)
    print(f"{arguments.kind} {found.case}, {ascii(found.target)[1:-1]}, {ascii(found.how)[1:-1]}")
    print(f"{found.outcome} after {found.seconds:.2f} s" + (f": {ascii(found.error)[1:-1]}" if found.error else ""))
    if found.trace:
        print(found.trace, file=sys.stderr)
    return int(found.outcome in (RAW, SLOW))
