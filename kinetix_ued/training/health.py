"""Whether what is learned still makes sense: numbers that are not finite, and losses far beyond what is normal."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .metrics import Metrics, number_in

LOUD = 1000.0
"""A loss this many times as large as the returns explain means that training diverges; usual ones are below once."""

QUIET_UPDATES = 100
"""Updates between two warnings of the same run."""

REMEDY = "use a smaller learning_rate or max_grad_norm"


class LossWatch:
    """Warns while the loss is far beyond what is normal, at most once in ``QUIET_UPDATES`` updates.

    What is normal follows from the rewards: the value loss is about the square of the returns, and the other parts of
    PPO's loss are about one. So a loss is normal up to ``max(1, value_coefficient) max(1, r)^2``, where r is the
    largest mean return of an update so far.

    Args:
        value_coefficient: weight of the value loss.
        lines: numbers of the updates so far, oldest first.
    """

    def __init__(self, value_coefficient: float, lines: list[Metrics]):
        self._weight = max(1.0, value_coefficient)
        self._largest_return = 1.0
        self._quiet_until = 0
        for line in lines:
            self._note_return(line)

    def note(self, metrics: Metrics, name: str = "") -> None:
        """Take in the numbers of the next update; warn where they are beyond what is normal.

        Args:
            metrics: numbers by name.
            name: of the run, to begin the warning with.
        """
        self._note_return(metrics)
        if metrics["update"] < self._quiet_until:
            return
        limit = LOUD * self._weight * self._largest_return**2
        where = f"{name}{': ' if name else ''}update {metrics['update']}"
        for loss in (loss for loss in metrics if loss.endswith("loss/total")):
            value, norm = number_in(metrics, loss), loss.replace("total", "grad_norm")
            if value is not None and abs(value) > limit:
                returns = f"returns up to {self._largest_return:.3g}"
                why = f"{loss} is {value:.3g}, and {returns} explain less than {limit:.3g}"
            elif value is not None and norm in metrics and number_in(metrics, norm) is None:
                why = f"{norm} is not finite"
            else:
                continue
            warnings.warn(f"{where}: {why}: training diverges; {REMEDY}", RuntimeWarning, stacklevel=2)
            self._quiet_until = metrics["update"] + QUIET_UPDATES
            return

    def _note_return(self, metrics: Metrics) -> None:
        self._largest_return = max(self._largest_return, abs(number_in(metrics, "return") or 0.0))


def not_finite(metrics: Metrics) -> str | None:
    """The name of a loss that is not finite in the numbers of an update that learned, or None."""
    losses = (name for name in metrics if name.endswith("loss/total"))
    return next((name for name in losses if number_in(metrics, name) is None), None)


def all_finite(agent: Any) -> bool:
    """Whether every floating-point number of a pytree is finite."""
    floats = (x for x in jax.tree.leaves(agent) if jnp.issubdtype(x.dtype, jnp.floating))
    return all(np.isfinite(np.asarray(x)).all() for x in floats)
