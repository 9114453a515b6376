"""A results document as one picture: interquartile means with their intervals, a panel for each suite.

Where a policy has several runs the interval over them alone is drawn darker inside the one over runs and levels.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from kinetix_ued.whole import whole_file

from .files import refuse_overwriting

COLUMNS = 3
"""Panels beside each other."""

SPAN = 0.1
"""Solve rate from end to end of a panel, at least: less would make much of nothing."""


def write_plot(path: str | os.PathLike[str], document: Mapping[str, Any], *, overwrite: bool = False) -> None:
    """Draw what ``results`` returns into a PNG file, whole or not at all.

    Raises:
        ValueError: where ``path`` exists already, unless ``overwrite``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    refuse_overwriting(path, overwrite)
    suites, names = document["suites"], [policy["name"] for policy in document["policies"]]
    columns = min(COLUMNS, len(suites))
    rows = -(-len(suites) // columns)
    figure = Figure(figsize=(1.5 + 3.6 * columns, rows * (1.2 + 0.35 * len(names))), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for panel, suite in zip(panels, suites):
        _panel(panel, suite, names)
    for panel in panels[len(suites) :]:
        panel.remove()
    panels[0].invert_yaxis()
    with whole_file(path) as partial:
        figure.savefig(partial, format="png", dpi=150)


def _panel(panel: Any, suite: Mapping[str, Any], names: list[str]) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    found = [policy["interquartile_mean"] for policy in suite["policies"]]
    inner = [policy.get("interquartile_mean_over_seeds") for policy in suite["policies"]]
    for place, (interval, over_runs) in enumerate(zip(found, inner)):
        for ends, alpha in ((interval, 0.4), (over_runs, 0.6)):
            if ends is not None:
                width = ends["high"] - ends["low"]
                panel.barh(place, width, left=ends["low"], height=0.5, color=f"C{place}", alpha=alpha, linewidth=0)
        panel.plot([interval["estimate"]] * 2, [place - 0.25, place + 0.25], color="black")
    low, high = min(interval["low"] for interval in found), max(interval["high"] for interval in found)
    margin = 0.1 * max(high - low, SPAN)
    low, high = max(low - margin, -0.005), min(high + margin, 1.005)
    panel.set_xlim(low, min(max(high, low + SPAN), 1.005))
    panel.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    panel.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    # Names are text: matplotlib would read what stands between two dollar signs as a formula.
    panel.set_yticks(range(len(names)), names, parse_math=False)
    panel.set_title(f"{suite['suite']}, {len(suite['levels'])} levels", parse_math=False)
    panel.set_xlabel("solve rate, interquartile mean")
    panel.grid(axis="x", alpha=0.3)
