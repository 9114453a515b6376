"""Learning curves: numbers of runs from update to update, over steps, decisions or hours."""

from __future__ import annotations

import dataclasses
import difflib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kinetix_ued.agents import names_an_agent
from kinetix_ued.training import Metrics, read_config, read_metrics
from kinetix_ued.training.callbacks.periodic_evaluation import PREFIX
from kinetix_ued.training.metrics import number_in
from kinetix_ued.training.run import METRICS

from .policies import is_baseline

AXES = ("steps", "decisions", "hours")
"""What curves are drawn over: environment steps that the agent learned from, its decisions among them, or the time that
updates took, in which evaluations are not counted."""

USUAL = ("solve_rate", "return")
"""Numbers that are drawn where no others are asked for."""


@dataclasses.dataclass(frozen=True)
class Curve:
    """A number of one run, at the updates that have it.

    Attributes:
        x: steps, decisions or hours (P)
        y: the number (P)
        points: evaluations of the same number while the run trained (Q, 2), see ``read_curves``
    """

    x: np.ndarray
    y: np.ndarray
    points: np.ndarray

    def smoothed(self, share: float) -> Curve:
        """With each number the mean of those around it, over this share of the curve, fewer at its ends."""
        return dataclasses.replace(self, y=moving_mean(self.y, share))


def moving_mean(values: np.ndarray, share: float) -> np.ndarray:
    """The mean of the values around each, over a window of this share of all (P). At the ends it holds what there is.

    Raises:
        ValueError: for a share below 0 or above 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"the share of a curve that is averaged is from 0 to 1; got {share:g}")
    half = round(share * len(values)) // 2
    # Differences of running sums would be faster, but one huge loss would spoil every number after it.
    return np.array([np.mean(values[max(i - half, 0) : i + half + 1]) for i in range(len(values))])


def mean_and_range(curves: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Places, mean, lowest and highest of several runs' curves where all of them have begun and none has ended.

    Between its updates a run's curve is a straight line.
    """
    begin, end = max(curve.x[0] for curve in curves), min(curve.x[-1] for curve in curves)
    x = np.unique(np.concatenate([curve.x for curve in curves]))
    x = x[(x >= begin) & (x <= end)]
    y = np.array([np.interp(x, curve.x, curve.y) for curve in curves])
    return x, y.mean(axis=0), y.min(axis=0), y.max(axis=0)


def read_curves(
    methods: Mapping[str, Sequence[str]], names: Sequence[str] = USUAL, axis: str = "steps"
) -> dict[str, dict[str, list[Curve]]]:
    """The curve of each run of each method, for each number.

    Where a run was evaluated while it trained, an evaluation's number of the same name comes along as its points.

    Args:
        methods: folders of runs by the name of their method.
        names: of numbers in the runs' ``metrics.jsonl``.
        axis: one of ``AXES``.

    Raises:
        ValueError: for a run without numbers, a number that none of the runs has, with those that they have, or another
            axis. A number that only some of them have is told in a warning.
    """
    if axis not in AXES:
        raise ValueError(f"unknown axis {axis!r}: use one of {', '.join(AXES)}")
    runs = {name: [(folder, _lines(folder)) for folder in folders] for name, folders in methods.items()}
    lines = {folder: found for members in runs.values() for folder, found in members}
    every = (line for found in lines.values() for line in found)
    known = sorted({key for line in every for key in line if number_in(line, key) is not None})
    places = {folder: _places(folder, found, axis) for folder, found in lines.items()}
    curves: dict[str, dict[str, list[Curve]]] = {}
    for number in dict.fromkeys(names):
        if number not in known:
            near = difflib.get_close_matches(number, known, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(f"no run has a number {number!r}{hint}: they have {', '.join(known)}")
        curves[number] = {}
        for name, members in runs.items():
            found = [_curve(found, places[folder], number) for folder, found in members]
            without = [folder for (folder, _), curve in zip(members, found) if not len(curve.x)]
            if without:
                warnings.warn(f"no number {number} in {', '.join(without)}: left out of its panel", stacklevel=2)
            curves[number][name] = [curve for curve in found if len(curve.x)]
    return curves


def _lines(folder: str) -> list[Metrics]:
    if is_baseline(folder) or names_an_agent(folder):
        raise ValueError(f"{folder} is no training run: name the folder of one")
    file = Path(folder) / METRICS
    if not file.is_file():
        raise ValueError(f"{folder} has no {METRICS}: name the folder of a run that has begun to train")
    found = read_metrics(file)
    if not found:
        raise ValueError(f"{file} has no numbers yet: wait for the first update, or name another run")
    return found


def _places(folder: str, lines: Sequence[Metrics], axis: str) -> np.ndarray:
    """Where each update stands on the axis, at its end (U)."""
    if axis == "hours":
        return np.cumsum([number_in(line, "seconds") or 0.0 for line in lines]) / 3600
    steps = np.array([number_in(line, "steps/learning") or 0 for line in lines], np.float64)
    return steps if axis == "steps" else steps / read_config(folder).hold


def _curve(lines: Sequence[Metrics], places: np.ndarray, name: str) -> Curve:
    def pairs(name: str) -> np.ndarray:
        values = [number_in(line, name) for line in lines]
        return np.array([(x, y) for x, y in zip(places, values) if y is not None], np.float64).reshape(-1, 2)

    x, y = pairs(name).T
    return Curve(x, y, pairs(PREFIX + name))
