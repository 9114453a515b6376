"""What an evaluation looks like: a table for the terminal, JSON for everything else."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np

import kinetix_ued
from kinetix_ued.environment import KinetixEnv
from kinetix_ued.whole import whole_file

from .evaluate import Evaluation
from .suite import Suite

SCHEMA = "kinetix-ued/evaluation"
SCHEMA_VERSION = 1
"""Raised when a reader of the older JSON would misread the newer one; new fields do not raise it."""

_COLUMNS = (
    ("solved", "solve_rate", "{:.1%}"),
    ("return", "mean_return", "{:.3f}"),
    ("length", "mean_length", "{:.1f}"),
)


def format_table(suite: Suite, evaluations: Mapping[str, Evaluation], *, rows: bool = True) -> str:
    """Solve rate, mean return and mean length: a level a row, then a mean for each folder and one over all levels.

    Args:
        suite: what was played.
        evaluations: by name of the policy; several stand side by side.
        rows: False leaves the single levels out.
    """
    lines = [["level"] + [title for _ in evaluations for title, _, _ in _COLUMNS]]
    indent = "  " if rows else ""
    for folder, members in _groups(suite).items():
        if rows:
            lines.append([folder])
            for i in members:
                lines.append([indent + suite.names[i], *_cells(evaluations, np.array([i]))])
        label = f"mean of {len(members)}" if rows else folder
        lines.append([indent + label, *_cells(evaluations, members)])
    if len(_groups(suite)) > 1:
        lines.append([f"all {len(suite.names)} levels", *_cells(evaluations, np.arange(len(suite.names)))])
    widths = [max(len(line[c]) for line in lines if c < len(line)) for c in range(len(lines[0]))]
    per_policy = len(_COLUMNS)
    if len(evaluations) > 1:  # a policy's name stands over its columns, which are widened to it
        for p, name in enumerate(evaluations):
            first = 1 + p * per_policy
            missing = len(name) - (sum(widths[first : first + per_policy]) + 2 * (per_policy - 1))
            widths[first] += max(missing, 0)
    rendered = [_line(line, widths) for line in lines]
    if len(evaluations) > 1:
        spans = [sum(widths[1 + p * per_policy :][:per_policy]) + 2 * (per_policy - 1) for p in range(len(evaluations))]
        names = "  ".join(name.rjust(span) for name, span in zip(evaluations, spans))
        rendered.insert(0, " " * (widths[0] + 2) + names)
    broken = {name: int(e.nonfinite.sum()) for name, e in evaluations.items() if e.nonfinite.any()}
    rendered += [
        f"{name}: {n} of {evaluations[name].solved.size} episodes went non-finite" for name, n in broken.items()
    ]
    return "\n".join(rendered)


def as_json(
    suite: Suite,
    evaluations: Mapping[str, Evaluation],
    *,
    env: KinetixEnv,
    seed: int,
    greedy: bool,
    sources: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """The same numbers and all that is needed to repeat them, ready for JSON.

    Args:
        suite, evaluations: as for ``format_table``.
        env: what it was played in.
        seed: of the evaluation's key.
        greedy: whether policies were asked for their most likely action.
        sources: for each policy by name, what it is: the run's path and whatever else tells it from others.
    """
    attempts = {e.attempts for e in evaluations.values()}
    if len(attempts) != 1:
        raise ValueError(f"evaluations in one report must share their number of attempts; got {sorted(attempts)}")
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "versions": versions(),
        "machine": machine(),
        "levels": suite.source,
        "size": env.size.name,
        "seed": seed,
        "attempts": attempts.pop(),
        "greedy": greedy,
        "engine": env.engine,
        "physics": env.physics,
        "environment": {
            "frame_skip": env.frame_skip,
            "dense_reward_scale": env.dense_reward_scale,
            "max_steps": env.max_steps,
        },
        "policies": [_policy(suite, name, e, dict((sources or {}).get(name, {}))) for name, e in evaluations.items()],
    }


def refuse_overwriting(path: str | os.PathLike[str], overwrite: bool) -> None:
    """Raise ValueError where ``write_json`` could not write ``path``; to be called before the work is done."""
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder: name a file")
    if path.exists() and not overwrite:
        raise ValueError(f"{path} exists already: choose another name, or pass --overwrite")
    if not path.parent.is_dir():
        raise ValueError(f"{path.parent} is no folder: create it first, or choose another path")


def write_json(path: str | os.PathLike[str], data: Any, *, overwrite: bool = False) -> None:
    """Write ``data`` to ``path``, whole or not at all.

    Raises:
        ValueError: where ``path`` exists already, unless ``overwrite``.
    """
    refuse_overwriting(path, overwrite)
    with whole_file(path) as partial:
        partial.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def versions() -> dict[str, str | None]:
    """Versions of what decides a number; None for what is not installed."""

    def installed(name: str) -> str | None:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return None

    packages = ("jax", "jaxlib", "flax", "numpy", "warp-lang")
    return {
        "kinetix-ued": kinetix_ued.__version__,
        "python": platform.python_version(),
        **{name: installed(name) for name in packages},
    }


def machine() -> dict[str, Any]:
    """What the numbers were computed on."""
    device = jax.devices()[0]
    return {
        "backend": jax.default_backend(),
        "device": device.device_kind,
        "devices": jax.device_count(),
        "cpu_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "platform": platform.platform(),
    }


def _policy(suite: Suite, name: str, evaluation: Evaluation, source: dict[str, Any]) -> dict[str, Any]:
    everything = np.arange(len(suite.names))
    return {
        "name": name,
        **source,
        "environment_steps": evaluation.environment_steps,
        "idle_steps": evaluation.idle_steps,
        "seconds": round(evaluation.seconds, 3),
        "mean": _means(evaluation, everything),
        "folders": [
            {"folder": folder, "levels": len(members), **_means(evaluation, members)}
            for folder, members in _groups(suite).items()
        ],
        "levels": [
            {
                "level": suite.names[i],
                "folder": suite.folders[i],
                "solved_attempts": int(evaluation.solved[i].sum()),
                **_means(evaluation, np.array([i])),
            }
            for i in everything
        ],
    }


def _means(evaluation: Evaluation, members: np.ndarray) -> dict[str, Any]:
    """Means over some levels. A return that is not finite can only come from a fault, and stays visible as None."""
    number = lambda x: float(x) if np.isfinite(x) else None
    return {
        "solve_rate": float(evaluation.solve_rate[members].mean()),
        "mean_return": number(evaluation.mean_return[members].mean()),
        "mean_length": float(evaluation.mean_length[members].mean()),
        "nonfinite_episodes": int(evaluation.nonfinite_episodes[members].sum()),
    }


def _groups(suite: Suite) -> dict[str, np.ndarray]:
    """Indices of the levels in each folder, folders in the order in which they first appear."""
    return {folder: np.flatnonzero(np.array(suite.folders) == folder) for folder in dict.fromkeys(suite.folders)}


def _cells(evaluations: Mapping[str, Evaluation], members: np.ndarray) -> list[str]:
    return [
        form.format(getattr(evaluation, attribute)[members].mean())
        for evaluation in evaluations.values()
        for _, attribute, form in _COLUMNS
    ]


def _line(cells: list[str], widths: list[int]) -> str:
    first, *rest = (
        cell.ljust(width) if c == 0 else cell.rjust(width) for c, (cell, width) in enumerate(zip(cells, widths))
    )
    return "  ".join([first, *rest]).rstrip()
