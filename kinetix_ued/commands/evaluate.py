"""``kinetix-ued eval``: score runs, and the policies that need no run, on the same levels."""

from __future__ import annotations

import argparse

from .common import add_playing, checkpoint_of, positive
from .scoring import FORMS, refuse_files, score, suites_of, write_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "policies",
        nargs="+",
        metavar="RUN",
        help="folder of a run, or of runs of several seeds; name=RUN,RUN for several runs of one method; agent:NAME or "
        "FILE.safetensors for a saved agent; noop; "
        "random; random:FRAMES, which holds each action for that many frames of 1/60 s (random:8, random:32)",
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
    add("--attempts", type=positive, default=20, help="episodes a level (%(default)s)")
    add_playing(parser)
    add("--batch", type=positive, help="environments side by side (256)")
    add("--no-worst", action="store_true", help="random levels are not played again for the worst of them")
    forms = ("JSON", "Markdown", "one HTML page", "a PNG picture")
    for form, title in zip(FORMS, forms, strict=True):
        add(f"--{form}", metavar="FILE", help=f"write the results here, too, as {title}")
    add("--overwrite", action="store_true", help="replace these files")


def run(arguments: argparse.Namespace) -> int:
    from kinetix_ued.benchmarks.methods import load_methods, shared_environment

    files = {form: getattr(arguments, form) for form in FORMS if getattr(arguments, form)}
    refuse_files(files, arguments.overwrite)
    methods = load_methods(arguments.policies, checkpoint_of(arguments.checkpoint))
    base = shared_environment(methods, arguments.engine)
    suites = suites_of(arguments.suite or [f"random-{base.size.name}"], arguments.skip_bad)
    options = {"attempts": arguments.attempts, "greedy": arguments.greedy, "batch": arguments.batch}
    document, played = score(
        methods, suites, base, seed=arguments.seed, worst=not arguments.no_worst, **options
    )
    write_files(files, document, played, arguments.overwrite)
    return 0
