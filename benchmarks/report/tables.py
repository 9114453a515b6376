"""The tables of a results document, each as a title, a head and rows of text: for the terminal, Markdown and HTML."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kinetix_ued.terminal import printable

Document = Mapping[str, Any]
"""What ``results`` returns, or a part of it; docs/evaluation.md describes the fields."""


class Table(NamedTuple):
    """Rows of cells under a head; the first column is text, the others are numbers."""

    title: str
    head: list[str]
    rows: list[list[str]]


def summary_table(suite: Document) -> Table:
    """A policy a row: interquartile mean and mean with intervals, the worst shares where they were measured.

    Where a policy has several runs, the interquartile mean has a second interval: that over its runs, on these levels.
    """
    shares = [entry["share"] for entry in suite["policies"][0].get("worst", {}).get("shares", ())]
    several = any("interquartile_mean_over_seeds" in policy for policy in suite["policies"])
    over_seeds = ["over runs alone"] if several else []
    head = ["policy", "runs", "interquartile mean", *over_seeds, "mean", *(f"worst {share:.0%}" for share in shares)]
    rows = []
    for policy in suite["policies"]:
        whole, mean = policy["interquartile_mean"], policy["mean"]
        worst = [entry["estimate"] for entry in policy["worst"]["shares"]] if shares else []
        seeds = policy.get("interquartile_mean_over_seeds")
        ends = f"[{seeds['low']:.1%}, {seeds['high']:.1%}]".replace("%", "") if seeds else ""
        rows.append(
            [
                policy["name"],
                str(len(policy["runs"])),
                with_interval(whole["estimate"], (whole["low"], whole["high"])),
                *([ends] if several else []),
                with_interval(mean["solve_rate"], mean["interval"]),
                *(f"{rate:.1%}" for rate in worst),
            ]
        )
    return Table("Solve rates", head, rows)


def means_of_policies(suite: Document) -> Table:
    """A policy a row: mean solve rate with its interval, mean return, mean length [environment steps]."""
    rows = []
    for policy in suite["policies"]:
        mean = policy["mean"]
        value = mean["mean_return"]
        solved = with_interval(mean["solve_rate"], mean["interval"])
        rows.append([policy["name"], solved, "-" if value is None else f"{value:.3f}", f"{mean['mean_length']:.1f}"])
    return Table("Means", ["policy", "solved", "return", "length"], rows)


def improvement_table(suite: Document) -> Table | None:
    """How likely the policy of a row scores higher than that of a column; None for a single policy."""
    if not suite["improvement"]:
        return None
    names = [policy["name"] for policy in suite["policies"]]
    found = {(entry["policy"], entry["over"]): entry for entry in suite["improvement"]}

    def cell(ours: str, theirs: str) -> str:
        entry = found.get((ours, theirs))
        return "" if entry is None else with_interval(entry["estimate"], (entry["low"], entry["high"]), digits=0)

    rows = [[ours, *(cell(ours, theirs) for theirs in names)] for ours in names]
    return Table("Probability of improvement", ["", *(f"over {name}" for name in names)], rows)


def means_table(suite: Document, by: str) -> Table | None:
    """Mean solve rates of each family or size, a column for each policy; None where there is but one.

    Args:
        suite: of the document.
        by: ``family`` or ``size``.
    """
    plural = {"family": "families", "size": "sizes"}[by]
    first = suite["policies"][0][plural]
    if len(first) < 2:
        return None
    rows = [
        [
            str(entry[by]),
            str(entry["levels"]),
            *(with_interval(p[plural][i]["solve_rate"], p[plural][i]["interval"]) for p in suite["policies"]),
        ]
        for i, entry in enumerate(first)
    ]
    return Table(f"Mean solve rate by {by}", [by, "levels", *(p["name"] for p in suite["policies"])], rows)


def levels_table(suite: Document) -> Table:
    """A level a row: solved attempts, and the solve rate with its Wilson interval, of each policy."""
    rows = []
    for i, level in enumerate(suite["levels"]):
        scores = [policy["levels"][i] for policy in suite["policies"]]
        cells = [f"{with_interval(s['solve_rate'], s['interval'], 0)}, {s['mean_length']:.0f} steps" for s in scores]
        rows.append([level_title(level), level["family"], level["size"], *cells])
    return Table("Levels", ["level", "family", "size", *(p["name"] for p in suite["policies"])], rows)


def level_title(level: Document) -> str:
    """Folder and name of a level."""
    return f"{level['folder']}/{level['level']}"


def with_interval(rate: float, ends: Sequence[float], digits: int = 1) -> str:
    """A rate and its interval, in percent.

    >>> with_interval(0.5, (0.299, 0.701))
    '50.0% [29.9, 70.1]'
    """
    return f"{rate:.{digits}%} [{100 * ends[0]:.{digits}f}, {100 * ends[1]:.{digits}f}]"


def suite_tables(suite: Document, *, levels: bool = True) -> list[Table]:
    """All tables of a suite; ``levels=False`` leaves the single levels out."""
    found = [summary_table(suite), improvement_table(suite), means_table(suite, "family"), means_table(suite, "size")]
    return [table for table in found if table is not None] + ([levels_table(suite)] if levels else [])


def aligned(table: Table) -> str:
    """A table for the terminal, with every name printable."""
    lines = [[printable(cell) for cell in line] for line in (table.head, *table.rows)]
    widths = [max(len(line[c]) for line in lines) for c in range(len(table.head))]
    fill = lambda line: [cell.ljust(w) if c == 0 else cell.rjust(w) for c, (cell, w) in enumerate(zip(line, widths))]
    return "\n".join([f"{printable(table.title)}:", *("  ".join(fill(line)).rstrip() for line in lines)])


def as_markdown(table: Table) -> str:
    """A table in Markdown."""
    cells = lambda line: "| " + " | ".join(map(escape_markdown, line)) + " |"
    rule = "|---" + "|---:" * (len(table.head) - 1) + "|"
    return "\n".join([cells(table.head), rule, *map(cells, table.rows)])


_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escape_markdown(text: str) -> str:
    r"""``text`` as one line of Markdown that shows exactly its characters: in a cell, a heading or a paragraph.

    HTML, emphasis, code, links and the ends of cells are taken from it; white space and control characters become a
    space, so that nothing in it begins another line.

    >>> print(escape_markdown("<b>a|b</b> *c* one_legged_hopper [d](e) 50.0% [1, 2]"))
    &lt;b&gt;a\|b&lt;/b&gt; \*c\* one_legged_hopper [d]\(e) 50.0% [1, 2]
    """
    text = "".join(c if c.isprintable() else " " for c in text)
    text = re.sub(r"[\\|`*~]", r"\\\g<0>", " ".join(text.split()))
    text = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)  # inside a word it has no meaning
    text = re.sub(r"\]([(\[:])", r"]\\\1", text)  # a link needs both brackets beside each other
    text = re.sub(r"^([#+=-]|\d+[.)])(?= |$)", lambda m: m[1][:-1] + "\\" + m[1][-1], text)  # a heading or a list
    return re.sub("[&<>]", lambda m: _ENTITIES[m[0]], text)
