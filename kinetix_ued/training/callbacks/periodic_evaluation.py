"""Evaluation while training goes on."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax

from kinetix_ued.randomness import stream

from ..config import TrainConfig
from ..metrics import Metrics, Rating

if TYPE_CHECKING:
    from ..run import Run

PREFIX = "evaluation/"
"""What the names of an evaluation's numbers begin with."""


class PeriodicEvaluation:
    """A callback that evaluates the policy every so many updates and adds its results to the update's numbers.

    One number rates the run: the checkpoint of the highest one is kept, see ``Run.load``.

    Args:
        evaluate: ``evaluate(run) -> numbers by name``; they are written as ``evaluation/NAME``. The policy to play is
            ``run.policy``. It adds the environment steps that it takes to ``run.counts["evaluation"]``, and derives its
            random numbers from nothing but the run and its updates, so that a resumed run repeats it.
        every: updates between two evaluations.
        best_by: name of the number that rates the run, the higher the better; empty: none.

    Raises:
        ValueError: for ``every`` below 1; while training, where ``evaluate`` gives no number called ``best_by``.
    """

    def __init__(self, evaluate: Callable[[Run], dict[str, float]], every: int, best_by: str = "solve_rate"):
        if every < 1:
            raise ValueError(f"evaluations are at least 1 update apart; got every={every}")
        self.evaluate, self.every, self.best_by = evaluate, every, best_by

    def __call__(self, run: Run, metrics: Metrics) -> None:
        if run.updates % self.every:
            return
        started = time.perf_counter()
        numbers = {name: float(number) for name, number in self.evaluate(run).items()}
        if self.best_by and self.best_by not in numbers:
            raise ValueError(
                f"the evaluation gives no number {self.best_by!r}: set best_by to one of "
                f"{', '.join(numbers) or 'none'}, or to '' to keep no best checkpoint by it"
            )
        metrics |= {PREFIX + name: number for name, number in numbers.items()}
        metrics[PREFIX + "seconds"] = time.perf_counter() - started
        metrics["steps/evaluation"] = run.counts["evaluation"]
        if self.best_by:
            run.rating = Rating(PREFIX + self.best_by, numbers[self.best_by])


def selecting(config: TrainConfig) -> PeriodicEvaluation:
    """The evaluation that ``config.eval_every`` asks for, which chooses the best checkpoint.

    It plays the held-out levels of ``selection_seed``, which neither training nor any report plays: a score by which
    something was chosen is too high for it.
    """

    def evaluation(run: Run) -> dict[str, float]:
        from kinetix_ued.benchmarks import evaluate

        levels = _selection_levels(config.size, config.selection_levels, config.selection_seed)
        key = jax.random.fold_in(stream(config.selection_seed, "PICK"), run.updates)
        found = evaluate(run.policy, levels, env=run.env, key=key, attempts=config.eval_attempts)
        run.counts["evaluation"] += found.environment_steps
        return {"solve_rate": found.solve_rate.mean(), "return": found.mean_return.mean()}

    return PeriodicEvaluation(evaluation, config.eval_every)


@functools.lru_cache(maxsize=2)  # runs of several seeds, and methods that are compared, share them
def _selection_levels(size: str, count: int, seed: int) -> Any:
    from kinetix_ued.benchmarks import heldout_random

    return heldout_random(size, count, seed=seed)
