"""``kinetix-ued eval``: score runs, and the policies that need no run, on the same levels."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from typing import Any

from .common import play, positive, seed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "policies",
        nargs="+",
        metavar="RUN",
        help="folder of a run, or of runs of several seeds; name=RUN,RUN for several runs of one method; noop; random",
    )
    add(
        "--suite",
        "--levels",
        nargs="+",
        action="extend",
        metavar="SUITE",
        help="holdout, holdout-s, kinetix, kinetix-l, random-m:512 and the like, or level files and folders of them; "
        "each suite has its own tables (held-out random levels of the runs' size)",
    )
    add("--skip-bad", action="store_true", help="leave out files that are no levels, and list them")
    add("--attempts", type=positive, default=20, help="episodes a level (%(default)s)")
    add("--greedy", action="store_true", help="take the most likely action instead of a sampled one")
    add("--seed", type=seed, default=0, help="seed of the evaluation (%(default)s)")
    add(
        "--checkpoint",
        default="latest",
        metavar="WHICH",
        help="of runs: latest, best, or an update's number (%(default)s)",
    )
    add("--batch", type=positive, help="environments side by side (256)")
    add("--engine", choices=("auto", "warp", "jax"), help="physics engine (auto)")
    add("--no-worst", action="store_true", help="random levels are not played again for the worst of them")
    for kind in ("json", "markdown", "html"):
        title = kind.title() if kind == "markdown" else kind.upper()
        add(f"--{kind}", metavar="FILE", help=f"write the results here, too, as {title}")
    add("--overwrite", action="store_true", help="replace these files")


def run(arguments: argparse.Namespace) -> int:
    import jax

    from kinetix_ued.benchmarks.methods import load_methods, play_methods, playing_size, shared_environment
    from kinetix_ued.benchmarks.report import aligned, format_table, results, suite_tables

    refuse_files(arguments)
    methods = load_methods(arguments.policies, checkpoint_of(arguments.checkpoint))
    base = shared_environment(methods, arguments.engine)
    suites = suites_of(arguments.suite or [f"random-{base.size.name}"], arguments.skip_bad)
    environments = {
        name: dataclasses.replace(base, size=playing_size(suite, methods)) for name, suite in suites.items()
    }
    for name, env in environments.items():  # whatever does not fit is refused before anything is played
        for method in methods:
            method.policies(env, suites[name].levels.size)
    options = {"attempts": arguments.attempts, "greedy": arguments.greedy, "batch": arguments.batch, "play": play}
    played = []
    for name, suite in suites.items():
        drawn = is_random(name)
        options["key"] = jax.random.key(arguments.seed)
        options["worst"] = drawn and not arguments.no_worst
        played.append(play_methods(methods, suite, environments[name], name=name, **options))
        print("\n" * (len(played) > 1) + f"{name}: {len(suite.names)} levels")
        for error in suite.skipped:
            print(f"left out: {error}", file=sys.stderr)
        print(format_table(played[-1].suite, played[-1].evaluations, rows=not drawn))
    about = {method.name: method.about() for method in methods}
    document = results(played, env=base, seed=arguments.seed, greedy=arguments.greedy, sources=about)
    for suite in document["suites"]:
        tables = [aligned(table) for table in suite_tables(suite, levels=False)]
        print("\n" + "\n\n".join([suite["suite"], *tables]))
    write_files(arguments, document, played)
    return 0


def checkpoint_of(text: str) -> str | int:
    """Which checkpoint an argument means."""
    return int(text) if text.isdigit() else text


def suites_of(names: list[str], skip_bad: bool) -> dict[str, Any]:
    """The suites by what they are called; all paths together are one.

    Raises:
        ValueError: for an unknown name, or levels that are not there or cannot be used.
    """
    from kinetix_ued.benchmarks.suite import SUITES, named_suite

    paths = [name for name in names if name not in SUITES and not is_random(name)]
    called = {name: ", ".join(paths) if name in paths else name for name in names}
    return {
        title: named_suite(paths if name in paths else name, skip_bad=skip_bad)
        for title, name in {title: name for name, title in called.items()}.items()
    }


def is_random(name: str) -> bool:
    """Whether a suite of this name is of random levels, of which only the distribution has a meaning."""
    import re

    from kinetix_ued.benchmarks.suite import RANDOM

    return re.fullmatch(RANDOM, name) is not None


def refuse_files(arguments: argparse.Namespace) -> None:
    """Raise ValueError for a file that cannot be written, before the work is done."""
    from kinetix_ued.benchmarks.report import refuse_overwriting

    files = [file for file in (arguments.json, arguments.markdown, arguments.html) if file]
    for file in files:
        refuse_overwriting(file, arguments.overwrite)
    if len(set(files)) < len(files):
        raise ValueError("two of --json, --markdown and --html name the same file: choose another name")


def write_files(arguments: argparse.Namespace, document: dict[str, Any], played: list[Any]) -> None:
    """Write the results in the forms that were asked for."""
    from kinetix_ued.benchmarks.report import format_html, format_markdown, thumbnails, write_json, write_text

    if arguments.json:
        write_json(arguments.json, document, overwrite=arguments.overwrite)
    if arguments.markdown:
        write_text(arguments.markdown, format_markdown(document), overwrite=arguments.overwrite)
    if arguments.html:
        images = [thumbnails(part.suite.levels) for part in played]
        write_text(arguments.html, format_html(document, images), overwrite=arguments.overwrite)
    for file in filter(None, (arguments.json, arguments.markdown, arguments.html)):
        print(f"written to {file}", file=sys.stderr)
