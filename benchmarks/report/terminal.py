"""An evaluation as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kinetix_ued.terminal import printable

from ..evaluate import Evaluation
from ..suite import Suite
from .results import Evaluations, groups, kinds, pooled

_INTERVAL = "95 %"
_COLUMNS = (
    ("solved", "solve_rate", "{:.1%}"),
    (_INTERVAL, "intervals", "[{:.0f}, {:.0f}]"),
    ("return", "mean_return", "{:.3f}"),
    ("length", "mean_length", "{:.1f}"),
)


def format_table(suite: Suite, evaluations: Evaluations, *, rows: bool = True) -> str:
    """Solve rate, mean return and mean length: a level a row, then a mean for each family and one over all levels.

    A level's solve rate has its Wilson interval beside it.

    Args:
        suite: what was played.
        evaluations: by name of the policy; several stand side by side, and several runs of one are taken together.
        rows: False leaves the single levels out.
    """
    scores = {printable(name): pooled(found) for name, found in evaluations.items()}
    families = groups(kinds(suite))
    columns = [column for column in _COLUMNS if rows or column[0] != _INTERVAL]
    lines = [["level"] + [title for _ in scores for title, _, _ in columns]]
    indent = "  " if rows else ""
    for family, members in families.items():
        if rows:
            lines.append([printable(family)])
            for i in members:
                lines.append([indent + printable(suite.names[i]), *_cells(scores, columns, np.array([i]))])
        label = f"mean of {len(members)}" if rows else printable(family)
        lines.append([indent + label, *_cells(scores, columns, members)])
    if len(families) > 1:
        lines.append([f"all {len(suite.names)} levels", *_cells(scores, columns, np.arange(len(suite.names)))])
    widths = [max(len(line[c]) for line in lines if c < len(line)) for c in range(len(lines[0]))]
    per_policy = len(columns)
    if len(scores) > 1:  # a policy's name stands over its columns, which are widened to it
        for p, name in enumerate(scores):
            first = 1 + p * per_policy
            missing = len(name) - (sum(widths[first : first + per_policy]) + 2 * (per_policy - 1))
            widths[first] += max(missing, 0)
    rendered = [_line(line, widths) for line in lines]
    if len(scores) > 1:
        spans = [sum(widths[1 + p * per_policy :][:per_policy]) + 2 * (per_policy - 1) for p in range(len(scores))]
        names = "  ".join(name.rjust(span) for name, span in zip(scores, spans))
        rendered.insert(0, " " * (widths[0] + 2) + names)
    broken = {name: int(e.nonfinite.sum()) for name, e in scores.items() if e.nonfinite.any()}
    rendered += [f"{name}: {n} of {scores[name].solved.size} episodes went non-finite" for name, n in broken.items()]
    return "\n".join(rendered)


def _cells(scores: Mapping[str, Evaluation], columns: Sequence[tuple[str, str, str]], members: np.ndarray) -> list[str]:
    def cell(evaluation: Evaluation, title: str, attribute: str, form: str) -> str:
        values = getattr(evaluation, attribute)[members]
        if title != _INTERVAL:
            return form.format(values.mean())
        return form.format(*100 * values[0]) if len(members) == 1 else ""

    return [cell(evaluation, *column) for evaluation in scores.values() for column in columns]


def _line(cells: list[str], widths: list[int]) -> str:
    first, *rest = (
        cell.ljust(width) if c == 0 else cell.rjust(width) for c, (cell, width) in enumerate(zip(cells, widths))
    )
    return "  ".join([first, *rest]).rstrip()
