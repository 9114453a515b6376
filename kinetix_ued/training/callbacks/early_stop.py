"""Ending a run that has learned enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..metrics import Metrics

if TYPE_CHECKING:
    from ..run import Run


class EarlyStop:
    """A callback that ends the run once its running solve rate, ``run.solve_rate``, reaches ``target``.

    The run is saved and counts as finished. To go on with it, resume it with a higher target, or 0 for none.
    """

    def __init__(self, target: float):
        self.target = target

    def begin(self, run: Run) -> None:
        if run.solve_rate is not None and run.solve_rate >= self.target:
            run.stop(f"solve rate {run.solve_rate:.3f} has reached the target {self.target:g}")

    def __call__(self, run: Run, metrics: Metrics) -> None:
        self.begin(run)
