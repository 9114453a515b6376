"""``kinetix-ued solve``: search levels for actions that solve them, and record what is found."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kinetix_ued.terminal import printable
from kinetix_ued.writable import refuse_unwritable, refuse_unwritable_folder

from .common import positive, seed, tell_skipped
from .levels.common import names_of, sample

SCHEMA = "kinetix-ued/solve"
SCHEMA_VERSION = 1
GENERATED_ONLY: dict[str, Any] = {"n": None, "size": "s", "filters": []}
"""Options of generated levels, and their defaults."""

DEFAULT_COUNT = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("levels", nargs="*", metavar="LEVEL", help="level files, and folders of them")
    add("--generator", metavar="NAME", help="solve generated levels instead: a generator's name, or file.py:function")
    add("--skip-bad", action="store_true", help="leave out files that are no levels, and name them")
    add("--size", default=GENERATED_ONLY["size"], help="size of generated levels (%(default)s)")
    add("-n", "--count", type=positive, dest="n", metavar="N", help=f"how many levels to generate ({DEFAULT_COUNT})")
    add(
        "--filter", action="append", default=[], metavar="NAME", dest="filters", help="leave out levels that this marks"
    )
    add("--seconds", type=float, default=60.0, help="time budget a level (%(default)s)")
    add("--generations", type=positive, default=1000, help="generations a level at most (%(default)s)")
    add("--population", type=positive, default=512, help="sequences that a generation tries in a level (%(default)s)")
    add("--width", type=positive, default=4, help="levels side by side in one program (%(default)s)")
    add(
        "--robust", action=argparse.BooleanOptionalAction,
        help="search on until a solution holds from disturbed starts, too (yes for files, no for generated levels)",
    )  # fmt: skip
    add(
        "--polish", type=positive, metavar="STEPS", help="train PPO for so many steps on each level that stays unsolved"
    )
    add("--check", action="store_true", help="play what was found again on both engines, with 10 disturbed starts each")
    add("--seed", type=seed, default=0, help="seed of the levels and of the search (%(default)s)")
    add("--engine", choices=("auto", "warp", "jax"), default="auto", help="physics engine of the search (%(default)s)")
    add("--out", metavar="DIR", help="folder for the proofs, one file a level")
    add("--json", metavar="FILE", help="write the results here, too")
    add("--overwrite", action="store_true", help="replace files")


def run(arguments: argparse.Namespace) -> int:
    from kinetix_ued.benchmarks.report import refuse_overwriting, write_json

    if arguments.json:
        refuse_overwriting(arguments.json, arguments.overwrite)
    if arguments.out:
        refuse_unwritable_folder(arguments.out)
    settings = settings_of(arguments)
    names, levels = chosen_levels(arguments)
    targets = proof_files(arguments, names)
    found: dict[int, dict[str, Any]] = {}
    try:
        solve(names, levels, targets, arguments, settings, found)
    finally:  # what is known by then is told, also of a search that is interrupted
        results = [found[i] for i in sorted(found)]
        if results:
            print(summary(results, asked=len(names)))
        if results and arguments.json:
            document = report(results, arguments, settings, asked=len(names))
            write_json(arguments.json, document, overwrite=arguments.overwrite)
    return 0


def settings_of(arguments: argparse.Namespace) -> Any:
    """The search's settings.

    Raises:
        ValueError: for a number out of range.
    """
    from kinetix_ued.benchmarks.solver import SearchSettings

    robust = not arguments.generator if arguments.robust is None else arguments.robust
    names = ("seconds", "generations", "population", "width")
    return SearchSettings(robust=robust, **{name: getattr(arguments, name) for name in names})


def chosen_levels(arguments: argparse.Namespace) -> tuple[list[str], list[Any]]:
    """Names and levels, each of its own size, that the arguments ask for.

    Raises:
        ValueError: for neither files nor a generator, or both, or an option that does not belong to what is asked for.
    """
    if bool(arguments.levels) == bool(arguments.generator):
        raise ValueError("name level files or folders, or a --generator: one of the two")
    if arguments.generator:
        arguments.n = arguments.n or DEFAULT_COUNT
        names = names_of(arguments.generator, arguments)
        proof_files(arguments, names)  # refused before levels are generated
        batch, filtered = sample(arguments.generator, arguments)
        if filtered is not None:
            print(filtered)
        return names, [batch[i] for i in range(arguments.n)]
    for name, default in GENERATED_ONLY.items():
        if getattr(arguments, name) != default:
            option = {"n": "--count", "filters": "--filter"}.get(name, f"--{name}")
            raise ValueError(f"{option} belongs to generated levels: leave it out, or name a --generator")
    import jax

    from kinetix_ued.levels import level_files, read_levels

    files = level_files(arguments.levels)
    read = read_levels(dict(zip(unique_names(files), files)), arguments.skip_bad)
    tell_skipped(read.skipped)
    return list(read.levels), [jax.device_put(level) for level in read.levels.values()]


def unique_names(files: list[Path]) -> list[str]:
    """The files' stems, with as many folders before them as tell them apart."""
    for depth in range(1, max(len(file.parts) for file in files) + 1):
        names = ["/".join(file.with_suffix("").parts[-depth:]) for file in files]
        if len(set(names)) == len(names):
            return names
    return [file.with_suffix("").as_posix() for file in files]


def proof_files(arguments: argparse.Namespace, names: list[str]) -> list[Path | None]:
    """Where each level's proof goes; None without a folder.

    Raises:
        ValueError: for a proof that is there already and may not be replaced.
        OSError: for one that cannot be written.
    """
    if not arguments.out:
        return [None] * len(names)
    out = Path(arguments.out)
    targets = [out / f"{name.lstrip('/')}.json" for name in names]
    for target in targets:
        refuse_unwritable(target, arguments.overwrite)
    return list(targets)


def solve(
    names: list[str],
    levels: list[Any],
    targets: list[Path | None],
    arguments: argparse.Namespace,
    settings: Any,
    results: dict[int, dict[str, Any]],
) -> None:
    """Search all levels, those of one size together; each result is told, and goes into ``results``, as soon as known."""
    import jax
    import numpy as np

    from kinetix_ued.benchmarks.solver import polish, solve_levels
    from kinetix_ued.environment import make
    from kinetix_ued.randomness import stream

    sizes = list(dict.fromkeys(level.size for level in levels))
    with search_bar(len(levels)) as (tell, advance):

        def end(index: int, solution: Any, env: Any) -> None:
            if not solution.solved and arguments.polish:
                spent = solution
                solution = polish(
                    levels[index], env=env, seed=arguments.seed, steps=arguments.polish, settings=settings
                )
                solution.seconds += spent.seconds
                solution.generations = spent.generations
                solution.nearest = min(solution.nearest, spent.nearest)
            checks = record(levels[index], solution, targets[index], arguments)
            results[index] = result = {"level": names[index], "size": levels[index].size.name} | outcome(
                solution, checks
            )
            result["proof"] = str(targets[index]) if targets[index] and solution.solved else None
            tell(line(result))

        for size in sizes:
            members = [i for i, level in enumerate(levels) if level.size == size]
            batch = jax.tree.map(lambda *leaves: np.stack(leaves), *(levels[i] for i in members))
            env = make(size, observation="blind", actions="multi_discrete", engine=arguments.engine)

            def progress(index: int, solution: Any, over: bool, members=members, env=env) -> None:
                advance(over)
                if over:
                    end(members[index], solution, env)

            solve_levels(batch, env=env, key=stream(arguments.seed, "SOLV"), settings=settings, progress=progress)


@contextmanager
def search_bar(total: int) -> Iterator[tuple[Callable[[str], None], Callable[[bool], None]]]:
    """A progress bar on a terminal: a function that prints a line above it, and one that counts a generation."""
    from kinetix_ued.progress import progress_bar

    with progress_bar(desc="solving", total=total, unit="level", disable=None, leave=False) as bar:
        generations = 0

        def advance(over: bool) -> None:
            nonlocal generations
            generations += 1
            bar.set_postfix_str(f"{generations} generations")
            bar.update(int(over))

        yield bar.write, advance


def record(level: Any, solution: Any, target: Path | None, arguments: argparse.Namespace) -> dict[str, Any]:
    """Write the proof, if there is one and a file for it; what it comes to on both engines, if that is asked for."""
    from kinetix_ued.benchmarks.proof_checks import check_proof
    from kinetix_ued.benchmarks.proofs import Proof, save_proof
    from kinetix_ued.levels import hash_text

    if not solution.solved or not (target or arguments.check):
        return {}
    proof = Proof(hash_text(level), solution.steps, solution.actions)
    if target:
        save_proof(proof, target, overwrite=arguments.overwrite)
    return {engine: check_proof(level, proof, engine=engine) for engine in ("warp", "jax")} if arguments.check else {}


def outcome(solution: Any, checks: dict[str, Any]) -> dict[str, Any]:
    """A solution's numbers, ready for JSON."""
    import math

    return {
        "solved": solution.solved,
        "steps": solution.steps if solution.solved else None,
        "method": solution.method or None,
        "robust_share": solution.robust_share if solution.solved else None,
        "robust": solution.robust,
        "nearest": round(solution.nearest, 4) if math.isfinite(solution.nearest) else None,
        "generations": solution.generations,
        "seconds": round(solution.seconds, 3),
        "checks": {
            engine: {"solved": check.solved, "steps": check.steps, "robust": check.robust, "draws": check.draws}
            for engine, check in checks.items()
        },
    }


def line(result: dict[str, Any]) -> str:
    """A level's result in a line."""
    name, spent = printable(result["level"]), f"{result['generations']} generations, {result['seconds']:.1f} s"
    if not result["solved"]:
        near = "" if result["nearest"] is None else f", nearest {result['nearest']:.2f} m"
        return f"{name}: not solved within the budget ({spent}{near})"
    held = f"holds from {result['robust_share']:.0%} of disturbed starts"
    text = f"{name}: solved in {result['steps']} steps by {result['method']}, {held} ({spent})"
    for engine, check in result["checks"].items():
        verdict = "solved" if check["solved"] else "not solved"
        text += f"; {engine}: {verdict}, {check['robust']} of {check['draws']} disturbed"
    return text


def solved_share(results: list[dict[str, Any]], asked: int) -> Any:
    """The share of the levels that was solved, with its Wilson interval.

    None of a search that ended before all ``asked`` levels had their turn: easy levels are over first.
    """
    from kinetix_ued.benchmarks.statistics import wilson

    return wilson(sum(result["solved"] for result in results), asked) if len(results) == asked else None


def summary(results: list[dict[str, Any]], asked: int) -> str:
    """How many levels were solved, their share where there is one, and how many of them robustly."""
    solved, robust = (sum(result[key] for result in results) for key in ("solved", "robust"))
    share = solved_share(results, asked)
    if share is None:
        return f"interrupted: {solved} of the {len(results)} levels searched to the end were solved, {robust} robustly"
    return (
        f"{solved} of {len(results)} levels solved: {share.estimate:.1%} "
        f"(95 % interval {share.low:.1%} to {share.high:.1%}), {robust} robustly"
    )


def report(results: list[dict[str, Any]], arguments: argparse.Namespace, settings: Any, asked: int) -> dict[str, Any]:
    """All that is known, ready for JSON."""
    import dataclasses

    from kinetix_ued.benchmarks.report import machine, versions

    share = solved_share(results, asked)
    source = {"generator": arguments.generator, "size": arguments.size} if arguments.generator else {}
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "versions": versions(),
        "machine": machine(),
        **source,
        "filters": arguments.filters,
        "seed": arguments.seed,
        "engine": arguments.engine,
        "polish_steps": arguments.polish or 0,
        "settings": dataclasses.asdict(settings),
        "levels_solved": sum(result["solved"] for result in results),
        "levels_total": len(results),
        "levels_asked": asked,
        "share": share._asdict() if share else None,
        "levels": results,
    }
