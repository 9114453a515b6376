"""Plots as SVG text. Colours are left to the page's style sheet, so that one picture serves light and dark.

Solve rates run from 0 to 1 along one axis; lengths are in pixels of the picture's own coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, MARGIN, ROW, GAP = 480, 12, 13, 10
"""Width of a plot, space at its right, height of a mark's line, space between rows."""

LETTER = 6.6
"""Width of a letter of a label, about."""


class Mark(NamedTuple):
    """One policy's rate in a row of a plot."""

    policy: str
    colour: int
    rate: float
    low: float
    high: float


def rates_plot(rows: Sequence[tuple[str, Sequence[Mark]]], label: str) -> str:
    """Rates with their intervals: one label a row, a line for each of its marks.

    Args:
        rows: label and marks of each.
        label: what the picture shows, for those who cannot see it.
    """
    left = MARGIN + LETTER * max(len(name) for name, _ in rows) + 8
    place = lambda rate: left + rate * (WIDTH - MARGIN * 2 - left)
    drawn, top = [], 20.0
    for name, marks in rows:
        height = ROW * len(marks)
        drawn.append(_text(left - 8, top + height / 2, name, "end"))
        for i, mark in enumerate(marks):
            drawn.append(_mark(mark, place, top + ROW * (i + 0.5)))
        top += height + GAP
    bottom = top - GAP / 2
    grid = [
        f'<line class="grid" x1="{place(tick):.1f}" x2="{place(tick):.1f}" y1="14" y2="{bottom:.1f}"/>'
        + _text(place(tick), bottom + 12, f"{tick:.0%}", "middle", "tick")
        for tick in (0, 0.25, 0.5, 0.75, 1)
    ]
    return _picture(bottom + 24, label, grid + drawn)


def worst_plot(curves: Sequence[tuple[str, int, Sequence[tuple[float, float, float, float]]]], label: str) -> str:
    """Solve rate on the worst share of the levels against that share, which has a logarithmic scale.

    Args:
        curves: policy, number of its colour, and share, rate, low, high of each point.
        label: what the picture shows, for those who cannot see it.
    """
    left, right, top, bottom = 48, WIDTH - MARGIN * 2, 16, 240
    shares = [share for share, *_ in curves[0][2]]
    span = -math.log(min(shares)) or 1.0
    x = lambda share: left + (1 + math.log(share) / span) * (right - left)
    y = lambda rate: bottom - rate * (bottom - top)
    drawn = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        drawn.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        drawn.append(_text(left - 6, y(tick), f"{tick:.0%}", "end", "tick"))
    for share in shares:
        drawn.append(_text(x(share), bottom + 14, f"{share:.0%}", "middle", "tick"))
    drawn.append(_text((left + right) / 2, bottom + 32, "worst share of the levels", "middle", "tick"))
    for policy, colour, points in curves:
        line = " ".join(f"{x(share):.1f},{y(rate):.1f}" for share, rate, _, _ in points)
        upper = [f"{x(share):.1f},{y(high):.1f}" for share, _, _, high in points]
        lower = [f"{x(share):.1f},{y(low):.1f}" for share, _, low, _ in reversed(points)]
        drawn.append(f'<polygon class="band c{colour}" points="{" ".join(upper + lower)}"/>')
        drawn.append(f'<polyline class="curve c{colour}" points="{line}"/>')
        for share, rate, low, high in points:
            title = _title(f"{policy}, worst {share:.0%}", rate, low, high)
            drawn.append(f'<circle class="dot c{colour}" cx="{x(share):.1f}" cy="{y(rate):.1f}" r="4">{title}</circle>')
    return _picture(bottom + 44, label, drawn)


def _mark(mark: Mark, place, y: float) -> str:
    low, rate, high = (place(value) for value in (mark.low, mark.rate, mark.high))
    return (
        f'<g class="c{mark.colour}">{_title(mark.policy, mark.rate, mark.low, mark.high)}'
        f'<line class="interval" x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<circle class="dot" cx="{rate:.1f}" cy="{y:.1f}" r="4"/></g>'
    )


def _title(name: str, rate: float, low: float, high: float) -> str:
    return f"<title>{escape(name)}: {rate:.1%} ({low:.1%} to {high:.1%})</title>"


def _text(x: float, y: float, text: str, anchor: str, kind: str = "label") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" dy="0.35em" text-anchor="{anchor}">{escape(text)}</text>'


def _picture(height: float, label: str, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
