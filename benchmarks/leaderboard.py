"""The leaderboard: rows made from results documents, in a part of a Markdown file.

Only rows that can be compared stand in one table: the same levels, played by the same rules.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kinetix_ued.whole import whole_file

from .report.account import budget_of, code_of, holdout_of, machine_of, seeds_of, steps_of
from .report.tables import Table, as_markdown, escape_markdown, with_interval

BEGIN, END = "<!-- leaderboard: begin -->", "<!-- leaderboard: end -->"
"""Lines of a Markdown file between which everything is written anew."""

HEAD = ["method", "interquartile mean", "mean", "attempts", "budget", "environment steps", "seeds", "commit", "machine"]


class Row(NamedTuple):
    """A method on a suite.

    Attributes:
        suite: name and number of levels
        content: hash of the levels: only rows on the same levels stand in one table
        rules: how they were played, see ``rules_of``: only rows of the same rules stand in one table
        rates: interquartile mean and mean of the solve rate, by which rows are sorted
        cells: as ``HEAD`` has them
    """

    suite: str
    content: str
    rules: str
    rates: tuple[float, float]
    cells: tuple[str, ...]


def rules_of(document: Mapping[str, Any]) -> str:
    """The rules that solve rates depend on, whoever plays.

    How often and how long an agent may act (frame skip, step limit) and what the world answers (physics, and the
    engine, since two of them round differently). The number of attempts, too: an interquartile mean is over the rates
    of single levels, and from one attempt each of those is 0 or 1. Not the reward, which solve rates know nothing of,
    nor what an agent brings along: observation, kind of action, the size that it plays in, sampled or greedy actions.
    """
    skip, limit = document["environment"]["frame_skip"], document["environment"]["max_steps"]
    attempts = document["attempts"]
    return (
        f"{attempts} {'attempt' if attempts == 1 else 'attempts'} a level, frame skip {skip}, at most {limit} steps, "
        f"engine {document['engine']}, physics {document['physics']}"
    )


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
            rows.append(Row(name, suite["hash"], rules_of(document), (whole["estimate"], mean["solve_rate"]), cells))
    return rows


def format_leaderboard(documents: Sequence[Mapping[str, Any]]) -> str:
    """The tables in Markdown, suites by name, the best method first; a row that is there twice counts once.

    Rows stand in one table only where levels and rules are the same. Where one suite has several tables, because it was
    played by several rules, each heading says which.

    Raises:
        ValueError: for no document, or intervals of different confidence.
    """
    if not documents:
        raise ValueError("a leaderboard needs results: name files that kinetix-ued eval --json has written")
    confidences = {document["statistics"]["confidence"] for document in documents}
    if len(confidences) > 1:
        found = " and ".join(f"{confidence:.3%}" for confidence in sorted(confidences))
        raise ValueError(f"intervals of {found} cannot stand side by side: evaluate again with the same version")
    rows = dict.fromkeys(row for document in documents for row in leaderboard_rows(document))
    parts = [
        f"Solve rates with {100 * confidences.pop():g} % intervals over seeds and levels; budget and steps are those "
        "of one run, and evaluation is no part of them."
    ]
    tables = sorted({(row.suite, row.content, row.rules) for row in rows})
    for suite, content, rules in tables:
        found = [row for row in rows if (row.suite, row.content, row.rules) == (suite, content, rules)]
        cells = [list(row.cells) for row in sorted(found, key=lambda row: (*(-rate for rate in row.rates), row.cells))]
        several = len({own for name, _, own in tables if name == suite}) > 1
        heading = escape_markdown(f"{suite}: {rules}" if several else suite)
        about = escape_markdown(f"Content {content}; {rules}.")
        parts += [f"### {heading}", about, as_markdown(Table(suite, HEAD, cells))]
    return "\n\n".join(parts)


def replace_leaderboard(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` between the two marks of a file; all else stays as it is.

    Raises:
        ValueError: for a file that is not there, or that does not have each mark once, in this order.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path} is no file: create it with the lines {BEGIN} and {END}")
    try:
        old = path.read_bytes().decode("utf-8")  # its ends of lines stay as they are
    except UnicodeDecodeError as problem:
        raise ValueError(f"{path} is not a text in UTF-8: {problem}") from None
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or old.count(BEGIN) > 1 or old.count(END) > 1:  # ``text`` has neither: it is escaped
        raise ValueError(f"{path} has no place for the leaderboard: put the lines {BEGIN} and {END} in it, once each")
    with whole_file(path) as partial, open(partial, "w", encoding="utf-8", newline="") as file:
        file.write(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
