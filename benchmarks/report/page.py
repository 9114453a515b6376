"""A results document as one HTML page that needs nothing else: plots, tables and a picture of every level inside."""

from __future__ import annotations

import base64
import importlib.resources
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from kinetix_ued.viewer import pictures
from kinetix_ued.world import Level

from .account import protocol_of, suite_of
from .charts import Mark, rates_plot, worst_plot
from .markdown import origin, policies_table
from .tables import Table, improvement_table, level_title, summary_table

PIXELS = 192
"""Width and height of a level's picture; the page shows it smaller, until the pointer is on it."""

COLOURS = 8
"""Different ones that the style sheet has."""

FITTING = 3
"""Policies whose columns fit into the page beside each other; more can be scrolled."""

DIFFICULTIES = {"easy": 1, "medium": 2, "hard": 3}
"""Order of difficulties in a sorted table."""


def thumbnails(levels: Level, pixels: int = PIXELS) -> list[str]:
    """A picture of each of a batch of levels, as a PNG in a data URI."""
    return [_data_uri(image) for image in pictures(levels, pixels=pixels)]


def format_html(document: Mapping[str, Any], images: Sequence[Sequence[str]] = ()) -> str:
    """The page.

    Args:
        document: what ``results`` returns.
        images: for each suite, a data URI for each level, see ``thumbnails``; without them, there are no pictures.
    """
    policies = document["policies"]
    several = len(document["suites"]) > 1
    suites = [
        _suite(suite, list(images[i]) if images else [], f"suite-{i}") for i, suite in enumerate(document["suites"])
    ]
    links = [f'<a href="#suite-{i}">{escape(suite["suite"])}</a>' for i, suite in enumerate(document["suites"])]
    allowed = [policy["name"] for policy in policies if policy["allow_holdout"]]
    remark = f"Training was allowed to use holdout levels: {', '.join(allowed)}."
    parts = [
        "<h1>Evaluation</h1>",
        f'<p class="faint">{escape(protocol_of(document))}</p>',
        f'<p class="warning">{escape(remark)}</p>' if allowed else "",
        f"<nav>{' · '.join(links)}</nav>" if several else "",
        *suites,
        "<h2>Policies</h2>",
        _table(policies_table(document)),
        *(f'<p class="faint">{escape(paragraph)}</p>' for paragraph in origin(document)),
    ]
    title = ", ".join(suite["suite"] for suite in document["suites"])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Evaluation: {escape(title)}</title>\n<style>\n{_part('page.css')}</style>\n</head>\n<body>\n"
        + "\n".join(filter(None, parts))
        + f"\n<script>\n{_part('page.js')}</script>\n</body>\n</html>\n"
    )


def _part(name: str) -> str:
    return (importlib.resources.files(__package__) / name).read_text(encoding="utf-8")


def _suite(suite: Mapping[str, Any], images: list[str], anchor: str) -> str:
    skipped = suite["skipped"]
    bad = "".join(f"<li>{escape(entry['problem'])}</li>" for entry in skipped)
    improvement = improvement_table(suite)
    parts = [
        f'<h2 id="{anchor}">{escape(suite["suite"])}</h2>',
        f'<p class="faint">{escape(suite_of(suite))}</p>',
        f'<div class="warning">Left out, {len(skipped)} that are no levels:<ul>{bad}</ul></div>' if skipped else "",
        _table(summary_table(suite)),
        _legend([policy["name"] for policy in suite["policies"]]),
        f'<div class="plots">{"".join(_plots(suite))}</div>',
        f"<h3>{improvement.title}</h3>{_table(improvement)}" if improvement else "",
        _levels(suite, images),
    ]
    return "\n".join(filter(None, parts))


def _plots(suite: Mapping[str, Any]) -> list[str]:
    policies = list(enumerate(suite["policies"]))

    def whole(i: int, policy: Mapping[str, Any]) -> Mark:
        found = policy["interquartile_mean"]
        return Mark(policy["name"], i % COLOURS, found["estimate"], found["low"], found["high"])

    plots = [
        ("Interquartile mean", rates_plot([(p["name"], [whole(i, p)]) for i, p in policies], "interquartile means"))
    ]
    plots += _means_plot(suite, "size", "sizes")
    if "worst" in suite["policies"][0]:
        curves = [
            (p["name"], i % COLOURS, [(s["share"], s["estimate"], s["low"], s["high"]) for s in p["worst"]["shares"]])
            for i, p in policies
        ]
        plots.append(("Mean on the worst levels", worst_plot(curves, "solve rate on the worst share of the levels")))
    plots += _means_plot(suite, "family", "families")
    return [f"<figure><figcaption>{title}</figcaption>{plot}</figure>" for title, plot in plots]


def _means_plot(suite: Mapping[str, Any], by: str, plural: str) -> list[tuple[str, str]]:
    """Title and plot of the means by family or size; nothing where there is but one."""
    policies = suite["policies"]
    labels = [entry[by] for entry in policies[0][plural]]
    if len(labels) < 2:
        return []
    rows = [
        (label, [_mark(policy["name"], p, policy[plural][k]) for p, policy in enumerate(policies)])
        for k, label in enumerate(labels)
    ]
    return [(f"Mean by {by}", rates_plot(rows, f"mean solve rates by {by}"))]


def _mark(name: str, policy: int, entry: Mapping[str, Any]) -> Mark:
    return Mark(name, policy % COLOURS, entry["solve_rate"], *entry["interval"])


def _levels(suite: Mapping[str, Any], images: list[str]) -> str:
    """The table of levels, which can be sorted and searched."""
    rated = any("difficulty" in level for level in suite["levels"])
    head = lambda title, kind="": f"<th{kind}><button>{escape(title)}</button></th>"
    heads = ['<th class="text">level</th>'] if images else []
    heads += [head("name", ' class="text"'), head("family", ' class="text"'), head("size", ' class="text"')]
    heads += [head("difficulty", ' class="text"')] if rated else []
    heads += [head(policy["name"]) for policy in suite["policies"]]
    kind = "levels" if len(suite["policies"]) <= FITTING else "levels wide"
    rows = []
    for i, level in enumerate(suite["levels"]):
        cells = [f'<td class="picture"><img src="{images[i]}" alt=""></td>'] if images else []
        cells += [_name(level), *(f'<td class="text">{escape(level[key])}</td>' for key in ("family", "size"))]
        if rated:
            difficulty = level.get("difficulty", "")
            place = DIFFICULTIES.get(difficulty, 0)
            cells.append(f'<td class="text" data-value="{place}">{escape(difficulty)}</td>')
        cells += [_score(policy["levels"][i], p % COLOURS) for p, policy in enumerate(suite["policies"])]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<section class="{kind}"><h3>Levels</h3>'
        '<input type="search" placeholder="keep levels with these words" aria-label="keep levels with these words">'
        f"<table><thead><tr>{''.join(heads)}</tr></thead><tbody>\n" + "\n".join(rows) + "\n</tbody></table></section>"
    )


def _name(level: Mapping[str, Any]) -> str:
    name, title = level_title(level), level.get("title")
    task = f'<div class="task">{escape(level["description"])}</div>' if level.get("description") else ""
    solved_by = ", ".join(level.get("solved_by", ()))
    remark = f'<div class="task">solved by {escape(solved_by)}</div>' if solved_by else ""
    heading = f"{escape(title)} <span class='faint'>{escape(name)}</span>" if title else escape(name)
    return f'<td class="text name" data-value="{escape(name)}">{heading}{task}{remark}</td>'


def _score(score: Mapping[str, Any], colour: int) -> str:
    rate, (low, high) = score["solve_rate"], score["interval"]
    numbers = f"{rate:.0%} <span class='faint'>{low:.0%} to {high:.0%}</span>"
    hint = f"{score['solved_attempts']} of {score['attempts']} attempts, {score['mean_length']:.0f} steps on average"
    places = f"--rate:{rate:.4f};--low:{low:.4f};--high:{high:.4f}"
    bar = f'<span class="bar c{colour}" style="{places}"><i></i><b></b></span>'
    return f'<td class="score" data-value="{rate:.4f}" title="{hint}"><span class="numbers">{numbers}</span>{bar}</td>'


def _legend(names: Sequence[str]) -> str:
    entries = "".join(f'<li class="c{i % COLOURS}"><span>{escape(name)}</span></li>' for i, name in enumerate(names))
    return f'<ul class="legend">{entries}</ul>'


def _table(table: Table) -> str:
    cells = lambda tag, line: "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in line)
    rows = "".join(f"<tr>{cells('td', row)}</tr>" for row in table.rows)
    head = f"<thead><tr>{cells('th', table.head)}</tr></thead>"
    return f'<div class="scroll"><table>{head}<tbody>{rows}</tbody></table></div>'


def _data_uri(image: np.ndarray) -> str:
    """A picture (H, W, 3) uint8 as a PNG of few colours, which a drawing needs."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).quantize(64).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
