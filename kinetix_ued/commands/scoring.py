"""What ``eval`` and ``compare`` share: playing suites, showing the tables, writing the results."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from kinetix_ued.terminal import printable

from .common import play, tell_skipped

FORMS = ("json", "markdown", "html", "plot")
"""In which results can be written."""


def suites_of(names: Sequence[str], skip_bad: bool = False) -> dict[str, Any]:
    """The suites by what they are called; all paths together are one.

    Raises:
        ValueError: for an unknown name, or levels that are not there or cannot be used.
    """
    from kinetix_ued.benchmarks.suite import is_suite_name, named_suite, suite_title

    paths = [name for name in names if not is_suite_name(name)]
    asked = dict((", ".join(paths), paths) if name in paths else (suite_title(name), name) for name in names)
    return {title: named_suite(what, skip_bad=skip_bad) for title, what in asked.items()}


def score(
    methods: Sequence[Any], suites: Mapping[str, Any], base: Any, *, seed: int, worst: bool = True, **options: Any
) -> tuple[dict[str, Any], list[Any]]:
    """Play every suite and show its tables; the results document, and what was played.

    Args:
        methods: who plays, see ``load_methods``.
        suites: by name.
        base: the environment whose rules hold.
        seed: of all randomness.
        worst: play random levels twice, for the worst of them.
        options: attempts, greedy and batch, as for ``evaluate``.

    Raises:
        ValueError: for a policy that does not fit, before anything is played.
    """
    from kinetix_ued.benchmarks.methods import parts_of, play_methods
    from kinetix_ued.benchmarks.report import aligned, commit, format_table, results, suite_tables
    from kinetix_ued.benchmarks.suite import is_random_suite
    from kinetix_ued.randomness import stream

    commit()  # asked for now: by the end of a long evaluation the checkout may have moved on
    parts = {name: parts_of(suite, methods, base) for name, suite in suites.items()}
    played = []
    for name, suite in suites.items():
        drawn, key = is_random_suite(name), stream(seed, "EVAL")
        print("\n" * bool(played) + f"{printable(name)}: {len(suite.names)} levels", flush=True)
        tell_skipped(suite.skipped)
        played.append(play_methods(suite, parts[name], key=key, name=name, worst=drawn and worst, play=play, **options))
        print(format_table(suite, played[-1].evaluations, rows=not drawn), flush=True)
    about = {method.name: method.about() for method in methods}
    document = results(played, env=base, seed=seed, greedy=bool(options.get("greedy")), sources=about)
    for found in document["suites"]:
        tables = [aligned(table) for table in suite_tables(found, levels=False)]
        print("\n" + "\n\n".join([found["suite"], *tables]))
    return document, played


def refuse_files(files: Mapping[str, str], overwrite: bool) -> None:
    """Raise ValueError for a file that cannot be written, before the work is done."""
    from kinetix_ued.benchmarks.report import refuse_overwriting

    for file in files.values():
        refuse_overwriting(file, overwrite)
    if len(set(files.values())) < len(files):
        options = ", ".join(f"--{form}" for form in files)
        raise ValueError(f"two of {options} name the same file: choose another name")


def write_files(files: Mapping[str, str], document: dict[str, Any], played: Sequence[Any], overwrite: bool) -> None:
    """Write the results in the forms that were asked for: for each of ``FORMS``, to which file."""
    from kinetix_ued.benchmarks import report

    for form, file in files.items():
        if form == "json":
            report.write_json(file, document, overwrite=overwrite)
        elif form == "markdown":
            report.write_text(file, report.format_markdown(document), overwrite=overwrite)
        elif form == "html":
            images = [report.thumbnails(part.suite.levels) for part in played]
            report.write_text(file, report.format_html(document, images), overwrite=overwrite)
        else:
            report.write_plot(file, document, overwrite=overwrite)
        print(f"written to {file}", file=sys.stderr)
