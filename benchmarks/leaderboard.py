"""The leaderboard: rows made from results documents, a table for each suite, in a part of a Markdown file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kinetix_ued.whole import whole_file

from .report.account import budget_of, code_of, holdout_of, machine_of, seeds_of, steps_of
from .report.results import SCHEMA, SCHEMA_VERSION
from .report.tables import Table, as_markdown, with_interval

BEGIN, END = "<!-- leaderboard: begin -->", "<!-- leaderboard: end -->"
"""Lines of a Markdown file between which everything is written anew."""

HEAD = ["method", "interquartile mean", "mean", "attempts", "budget", "environment steps", "seeds", "commit", "machine"]


class Row(NamedTuple):
    """A method on a suite.

    Attributes:
        suite: name and number of levels
        content: hash of the levels: only rows on the same levels stand in one table
        rates: interquartile mean and mean of the solve rate, by which rows are sorted
        cells: as ``HEAD`` has them
    """

    suite: str
    content: str
    rates: tuple[float, float]
    cells: tuple[str, ...]


def read_results(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The document that ``kinetix-ued eval --json`` has written.

    Raises:
        ValueError: for a file that cannot be read or is something else; names it.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise ValueError(f"{path} cannot be read: {problem}") from problem
    remedy = "name files that kinetix-ued eval --json has written"
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        kind = document.get("schema") if isinstance(document, dict) else None
        raise ValueError(f"{path} is no evaluation{f', it is {kind}' if kind else ''}: {remedy}")
    if document.get("schema_version") != SCHEMA_VERSION:
        found = document.get("schema_version")
        raise ValueError(f"{path} has version {found} of its schema and {SCHEMA_VERSION} is needed: evaluate again")
    missing = [name for name in ("policies", "suites", "machine", "versions", "commit") if name not in document]
    if missing:
        raise ValueError(f"{path} is no whole evaluation, {', '.join(missing)} missing: {remedy}")
    return document


def leaderboard_rows(document: Mapping[str, Any]) -> list[Row]:
    """A row for each suite and method of a results document."""
    rows = []
    for suite in document["suites"]:
        count = len(suite["levels"])
        name = f"{suite['suite']}, {count} {'level' if count == 1 else 'levels'}"
        for scores, policy in zip(suite["policies"], document["policies"], strict=True):
            whole, mean = scores["interquartile_mean"], scores["mean"]
            remark = holdout_of(policy)
            cells = (
                policy["name"] + (f" ({remark})" if remark else ""),
                with_interval(whole["estimate"], (whole["low"], whole["high"])),
                with_interval(mean["solve_rate"], mean["interval"]),
                f"{document['attempts']} {'greedy' if document['greedy'] else 'sampled'}",
                budget_of(policy),
                steps_of(policy),
                seeds_of(policy),
                code_of(document),
                machine_of(document),
            )
            rows.append(Row(name, suite["hash"], (whole["estimate"], mean["solve_rate"]), cells))
    return rows


def format_leaderboard(documents: Sequence[Mapping[str, Any]]) -> str:
    """The tables in Markdown, suites by name, the best method first; a row that is there twice counts once.

    Raises:
        ValueError: for no document.
    """
    if not documents:
        raise ValueError("a leaderboard needs results: name files that kinetix-ued eval --json has written")
    rows = dict.fromkeys(row for document in documents for row in leaderboard_rows(document))
    parts = [
        "Solve rates with 95 % intervals over seeds and levels; budget and steps are those of one run, and evaluation "
        "is no part of them."
    ]
    for suite, content in sorted({(row.suite, row.content) for row in rows}):
        found = [row for row in rows if (row.suite, row.content) == (suite, content)]
        cells = [list(row.cells) for row in sorted(found, key=lambda row: (*(-rate for rate in row.rates), row.cells))]
        parts += [f"### {suite}", f"Content {content}.", as_markdown(Table(suite, HEAD, cells))]
    return "\n\n".join(parts)


def replace_leaderboard(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` between the two marks of a file; all else stays as it is.

    Raises:
        ValueError: for a file that is not there, or that does not have each mark once, in this order.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path} is no file: create it with the lines {BEGIN} and {END}")
    with open(path, encoding="utf-8", newline="") as file:  # its ends of lines stay as they are
        old = file.read()
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or old.count(BEGIN) > 1 or old.count(END) > 1:
        raise ValueError(f"{path} has no place for the leaderboard: put the lines {BEGIN} and {END} in it, once each")
    with whole_file(path) as partial, open(partial, "w", encoding="utf-8", newline="") as file:
        file.write(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
