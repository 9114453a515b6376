"""What is kept of a run while it goes on: its numbers, its checkpoints, and word to its callbacks."""

from __future__ import annotations

import math
import sys
from typing import Any

import jax

from . import checkpoint
from .config import decisive
from .metrics import Callback, JsonLines, Metrics, Rating, RunningSolveRate
from .run import CHECKPOINTS, METRICS, STEP_KINDS, Run

RUNNING_SOLVE_RATE = "running_solve_rate"
"""Name of the rating of a checkpoint that no evaluation rates."""


class Recorder:
    """Follows a run from update to update.

    Args:
        run: as it was found, or begun.
        state: its training state.
        callbacks: called after each update.
    """

    def __init__(self, run: Run, state: Any, callbacks: list[Callback]):
        self.run, self.state = run, state
        self._callbacks = callbacks
        self._lines = JsonLines(run.path / METRICS, run.updates)
        self._running = RunningSolveRate(run.config.solve_rate_window, run.metrics)
        run.solve_rate = self._running.value
        self._best = checkpoint.best_rating(run.path / CHECKPOINTS)
        self._saved_at = run.updates

    def begin(self) -> None:
        """Tell the callbacks; one of them may find that there is nothing left to do."""
        self._call("begin", self.run)

    @property
    def unfinished(self) -> bool:
        """Whether the run needs more updates."""
        return self.run.counts["learning"] < self.run.config.steps and not self.run.stopped

    def note(self, state: Any, numbers: dict[str, Any], seconds: float) -> None:
        """Take in one more update: its numbers go to file and callbacks, and the state is saved where it is due.

        Raises:
            FloatingPointError: when the loss is no longer finite.
        """
        run, config = self.run, self.run.config
        self.state = run.state = state
        run.policy.params = state.agent.params
        metrics = self._account(jax.device_get(numbers), seconds)
        self._running.note(metrics)
        run.solve_rate, run.rating = self._running.value, None
        for callback in self._callbacks:
            callback(run, metrics)
        self._lines.write(metrics)
        if run.rating is not None and not math.isfinite(run.rating.value):
            run.rating = None
        # A callback's rating is worth a checkpoint of its own where it is the highest; that of training alone is not.
        surpassed = run.rating is not None and (self._best is None or run.rating.rank > self._best.rank)
        if run.rating is None and run.solve_rate is not None:
            run.rating = Rating(RUNNING_SOLVE_RATE, run.solve_rate)
        if surpassed or run.updates % config.checkpoint_every == 0:
            self.save()

    def save(self) -> None:
        """Write a checkpoint, unless the last update has one."""
        run = self.run
        if run.updates == self._saved_at:
            return
        self._lines.sync()  # a checkpoint never knows more updates than the numbers before it
        checkpoint.save(
            run.path / CHECKPOINTS,
            self.state,
            update=run.updates,
            config=decisive(run.config),
            host={"counts": run.counts},
            keep=run.config.keep_checkpoints,
            rating=run.rating,
        )
        self._saved_at = run.updates
        self._best = max(filter(None, (self._best, run.rating)), key=lambda r: r.rank, default=None)

    def close(self) -> None:
        """Let go of the state and close every file, however training ended."""
        self.run.state = None
        self._lines.close()
        self._call("close")
        if self.run.stopped:
            print(f"finished after {self.run.updates} updates: {self.run.stopped}", file=sys.stderr)

    def _call(self, method: str, *arguments: Any) -> None:
        """Call a method of every callback that has it."""
        for callback in self._callbacks:
            if function := getattr(callback, method, None):
                function(*arguments)

    def _account(self, numbers: dict[str, Any], seconds: float) -> Metrics:
        """Add an update's steps to the run's counts; its numbers as they are reported.

        Steps are counted per update on the device and summed here, where integers do not overflow.
        """
        run = self.run
        run.updates += 1
        taken = {kind: int(numbers.pop(f"steps/{kind}")) for kind in STEP_KINDS if f"steps/{kind}" in numbers}
        for kind, count in taken.items():
            run.counts[kind] += count
        metrics: Metrics = {"update": run.updates}
        metrics |= {f"steps/{kind}": count for kind, count in run.counts.items()}
        metrics |= {name: number.item() for name, number in numbers.items()}
        metrics["seconds"] = seconds
        metrics["steps_per_second"] = (taken["learning"] + taken["scoring"]) / seconds
        if taken["learning"] and not math.isfinite(metrics["loss/total"]):
            raise FloatingPointError(
                f"the loss of update {run.updates} is not finite: use a smaller learning_rate or max_grad_norm; "
                f"the checkpoints in {run.path / CHECKPOINTS} are from before"
            )
        return metrics
