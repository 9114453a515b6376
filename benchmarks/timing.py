"""Timing that a noisy machine cannot fool much: medians over rounds in which the sides take turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import jax

Program = Callable[[], Any]
"""Compiled work on fixed inputs; returns arrays."""


def warm(call: Program) -> tuple[float, Any]:
    """Seconds that the first call takes beyond the second, which is tracing and compiling, and what it returned."""
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        outcome = jax.block_until_ready(call())
        seconds.append(time.perf_counter() - began)
    return round(max(seconds[0] - seconds[1], 0.0), 3), outcome


def rate(call: Program, units: int, min_seconds: float) -> float:
    """Units a second, over as many calls of ``units`` each as fill ``min_seconds``."""
    began, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - began < min_seconds:
        jax.block_until_ready(call())
        calls += 1
    return calls * units / (time.perf_counter() - began)


def summary(numbers: list[float]) -> dict[str, Any]:
    """Median, least and most, to five digits, and all rounds."""
    digits = lambda x: float(f"{x:.5g}")
    found = {"median": statistics.median(numbers), "min": min(numbers), "max": max(numbers)}
    return {name: digits(x) for name, x in found.items()} | {"rounds": [digits(x) for x in numbers]}


def check_settings(settings: Any, *counts: str) -> None:
    """Refuse settings of a benchmark whose fields ``counts`` are below 1, or whose ``min_seconds`` no time can last.

    Raises:
        ValueError: naming the field.
    """
    for name in counts:
        if getattr(settings, name) < 1:
            raise ValueError(f"{name} must be at least 1; got {getattr(settings, name)}")
    if not 0 <= settings.min_seconds < float("inf"):
        raise ValueError(f"min_seconds must be 0 or more; got {settings.min_seconds}")


def in_turns(
    sides: dict[str, Program],
    units: int,
    *,
    repeats: int,
    min_seconds: float,
    say: Callable[[str], None],
    what: str,
    compare: Callable[[dict[str, Any]], Any] | None = None,
) -> dict[str, Any]:
    """Rates of several sides' programs for the same work, measured in turns.

    Args:
        sides: what to run, by the side's name; the first is this package.
        units: what one call of any of them does.
        repeats: rounds.
        min_seconds: least length of a side's turn.
        say: is told what goes on.
        what: the work's name.
        compare: what the sides' programs returned, by side, to something for JSON.

    Returns:
        For JSON: ``what``, the ``sides`` with ``name``, ``compile_seconds`` and a summary of their rates, with two sides
        the ``ratio`` of the first to the second, by round, and with ``compare`` its ``outcome``.
    """
    compiling: dict[str, float] = {}
    outcomes: dict[str, Any] = {}
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for name, call in sides.items():
        say(f"{what}: compiling {name}")
        compiling[name], outcome = warm(call)
        if compare is not None:
            outcomes[name] = outcome
    for turn in range(repeats):
        say(f"{what}: round {turn + 1} of {repeats}")
        for name, call in sides.items():
            rates[name].append(rate(call, units, min_seconds))
    result: dict[str, Any] = {
        "what": what,
        "sides": [{"name": name, "compile_seconds": compiling[name], **summary(rates[name])} for name in sides],
    }
    if len(sides) == 2:
        own, other = rates.values()
        result["ratio"] = summary([a / b for a, b in zip(own, other)])
    if compare is not None:
        result["outcome"] = compare(outcomes)
    return result


def table(results: list[dict[str, Any]], unit: str) -> str:
    """Results of ``in_turns`` as text."""
    width = max(len(result["what"]) for result in results)
    lines = [f"{'':{width}}  {'':12}  {unit:>12}  {'least':>12}  {'most':>12}  {'compiling':>10}"]
    for result in results:
        for side in result["sides"]:
            rates = "  ".join(f"{side[name]:12,.0f}" for name in ("median", "min", "max"))
            lines.append(f"{result['what']:{width}}  {side['name']:12}  {rates}  {side['compile_seconds']:8.1f} s")
        if ratio := result.get("ratio"):
            rates = "  ".join(f"{ratio[name]:11.1f}x" for name in ("median", "min", "max"))
            lines.append(f"{result['what']:{width}}  {'ratio':12}  {rates}")
    return "\n".join(lines)
