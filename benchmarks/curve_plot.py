"""Learning curves as one picture: a panel for each number, a colour for each method."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from kinetix_ued.whole import whole_file

from .curves import Curve, mean_and_range
from .report import refuse_overwriting
from .report.plot import COLUMNS

SMOOTHING = 0.05
"""Share of a curve over which it is averaged, if no other is asked for."""

AXIS_NAMES = {
    "steps": "environment steps learned from",
    "decisions": "decisions learned from",
    "hours": "hours of training",
}

FEW = 30
"""Numbers of a curve that are so few that each is marked."""

EVALUATIONS = "_evaluations"
"""What matplotlib knows the dots of a panel by; the underscore keeps them out of the methods in the legend."""

COLOURS = 10
"""Colours of matplotlib; from the next method on they come again, with dashed lines."""


def write_curves(
    path: str | os.PathLike[str],
    curves: Mapping[str, Mapping[str, Sequence[Curve]]],
    axis: str,
    *,
    smoothing: float = SMOOTHING,
    each: bool = False,
    overwrite: bool = False,
) -> None:
    """Draw what ``read_curves`` returns into a PNG file, whole or not at all.

    A line is the mean of a method's runs and the area around it their range; dots are evaluations while they trained.

    Args:
        path: of the file.
        curves: of each run, by number and method.
        axis: that they were read for.
        smoothing: share of a curve over which it is averaged, before the mean of several is taken.
        each: draw each run by a thin line of its own instead.
        overwrite: replace a file that is there.

    Raises:
        ValueError: where ``path`` exists already, unless ``overwrite``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    refuse_overwriting(path, overwrite)
    columns = len(curves) if len(curves) <= COLUMNS else min(COLUMNS, math.ceil(math.sqrt(len(curves))))
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(0.6 + 4.2 * columns, 0.6 + 2.7 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, (number, methods) in zip(panels, curves.items()):
        _panel(panel, number, methods, smoothing, each)
    for panel in panels[len(curves) :]:
        panel.remove()
    _x_axis(panels[: len(curves)], axis, columns)
    _legend(figure, panels[: len(curves)])
    with whole_file(path) as partial:
        figure.savefig(partial, format="png", dpi=150)


def _panel(panel: Any, number: str, methods: Mapping[str, Sequence[Curve]], smoothing: float, each: bool) -> None:
    from matplotlib.ticker import FuncFormatter

    for place, (name, members) in enumerate(methods.items()):
        style = {"color": f"C{place % COLOURS}", "linestyle": "--" if place >= COLOURS else "-"}
        smooth = [curve.smoothed(smoothing) for curve in members]
        together = mean_and_range(smooth) if len(smooth) > 1 and not each else None
        if together is not None and len(together[0]):
            x, mean, low, high = together
            panel.fill_between(x, low, high, color=style["color"], alpha=0.2, linewidth=0)
            panel.plot(x, mean, label=name, marker=_marker(x), markersize=3, **style)
        else:
            style |= {"linewidth": 0.8 if len(smooth) > 1 else 1.5, "markersize": 3}
            for i, curve in enumerate(smooth):
                panel.plot(curve.x, curve.y, label="" if i else name, marker=_marker(curve.x), **style)
        for curve in members:
            if len(curve.points):
                edge = {"edgecolor": "black", "linewidth": 0.5, "zorder": 3}
                panel.scatter(*curve.points.T, s=18, color=style["color"], label=EVALUATIONS, **edge)
    if number.endswith("rate"):
        panel.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{100 * rate:g} %"))
    panel.set_title(number, parse_math=False)
    panel.grid(alpha=0.3)
    panel.margins(x=0.01)


def _marker(x: Sequence[float]) -> str:
    return "o" if len(x) <= FEW else ""


def _x_axis(panels: Sequence[Any], axis: str, columns: int) -> None:
    """One scale for all panels; its name below the lowest of each column."""
    from matplotlib.ticker import EngFormatter, FuncFormatter, MultipleLocator

    end = max(panel.get_xlim()[1] for panel in panels)
    minutes = axis == "hours" and end < 1
    for i, panel in enumerate(panels):
        panel.set_xlim(0, end)
        if axis != "hours":
            panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        elif minutes:
            panel.xaxis.set_major_locator(MultipleLocator(_minutes_apart(60 * end) / 60))
            panel.xaxis.set_major_formatter(FuncFormatter(lambda hours, _: f"{60 * hours:g}"))
        if i + columns >= len(panels):
            panel.set_xlabel("minutes of training" if minutes else AXIS_NAMES[axis])


def _minutes_apart(most: float) -> float:
    return next((step for step in (0.1, 0.2, 0.5, 1, 2, 5) if most / step <= 8), 10)


def _legend(figure: Any, panels: Sequence[Any]) -> None:
    """One for all panels; names are text, of which matplotlib would read what stands between two dollar signs."""
    from matplotlib.lines import Line2D

    entries = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels()):
            entries.setdefault(label, handle)
    if any(collection.get_label() == EVALUATIONS for panel in panels for collection in panel.collections):
        entries["evaluation"] = Line2D([], [], marker="o", linestyle="", color="grey", markeredgecolor="black")
    legend = figure.legend(
        entries.values(), entries.keys(), loc="outside upper center", ncols=min(len(entries), 5), frameon=False
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
