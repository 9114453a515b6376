"""What is kept of a run while it goes on: its numbers, its checkpoints, and word to its callbacks."""

from __future__ import annotations

import contextlib
import math
import sys
from typing import Any

import jax

from . import checkpoint
from .config import decisive
from .health import REMEDY, LossWatch, all_finite, not_finite
from .metrics import Callback, JsonLines, Metrics, Rating, RunningSolveRate
from .run import CHECKPOINTS, METRICS, PENDING, STEP_KINDS, Run

RUNNING_SOLVE_RATE = "running_solve_rate"
"""Name of the rating of a checkpoint that no evaluation rates."""


class Recorder:
    """Follows a run from update to update.

    An update is taken in two halves: ``take`` counts it, ``finish`` calls the callbacks and writes its numbers. Where
    one of them fails in between, the state is saved with the numbers, and a resumed run does the second half first.

    Args:
        run: as it was found, or begun.
        state: its training state.
        callbacks: called after each update.
        pending: numbers of the run's last update, if it was saved before its second half was done.
    """

    def __init__(self, run: Run, state: Any, callbacks: list[Callback], pending: Metrics | None = None):
        self.run, self.state = run, state
        self._callbacks = callbacks
        self._pending, self._counts = pending, dict(run.counts)
        self._failure = ""
        self._lines = JsonLines(run.path / METRICS, run.updates - (pending is not None))
        lines = run.metrics
        self._running = RunningSolveRate(run.config.solve_rate_window, lines)
        self._watch = LossWatch(run.config.value_coefficient, lines)
        run.solve_rate = self._running.value
        self._best = checkpoint.best_rating(run.path / CHECKPOINTS)
        self._saved_at = run.updates if pending is None else None

    def begin(self) -> None:
        """Tell the callbacks; one of them may find that there is nothing left to do."""
        self._call("begin", self.run)
        if self._pending is not None:
            self.run.state = self.state
            self.finish()

    @property
    def unfinished(self) -> bool:
        """Whether the run needs more updates."""
        return self.run.counts["learning"] < self.run.config.steps and not self.run.stopped

    def take(self, state: Any, numbers: dict[str, Any], seconds: float) -> None:
        """Count one more update."""
        run = self.run
        self._pending = self._account(jax.device_get(numbers), seconds)
        self._counts = dict(run.counts)
        self.state = run.state = state
        run.policy.params = state.agent.params

    def finish(self) -> None:
        """Give the update's numbers to callbacks and file, and save the state where it is due.

        Raises:
            FloatingPointError: when a loss is no longer finite, or a parameter that is to be saved.
        """
        run, config = self.run, self.run.config
        if self._failure:
            raise FloatingPointError(self._failure)
        metrics = dict(self._pending or {})
        self._watch.note(metrics, run.path.name if config.seeds > 1 else "")
        self._running.note(metrics)
        run.solve_rate, run.rating = self._running.value, None
        for callback in self._callbacks:
            callback(run, metrics)
        self._lines.write(metrics)
        self._pending = None
        if run.rating is not None and not math.isfinite(run.rating.value):
            run.rating = None
        # A callback's rating is worth a checkpoint of its own where it is the highest; that of training alone is not.
        surpassed = run.rating is not None and (self._best is None or run.rating.rank > self._best.rank)
        if run.rating is None and run.solve_rate is not None:
            run.rating = Rating(RUNNING_SOLVE_RATE, run.solve_rate)
        if surpassed or run.updates % config.checkpoint_every == 0:
            self.save()

    def save(self) -> None:
        """Write a checkpoint, unless the last update has one.

        Raises:
            FloatingPointError: where a parameter is not finite.
        """
        run, done = self.run, self._pending is None
        if run.updates == self._saved_at:
            return
        if not all_finite((self.state.agent, getattr(self.state.antagonist, "agent", ()))):
            self._failure = self._failure or self._why_not_finite("a parameter after")
            raise FloatingPointError(self._failure)
        self._lines.sync()  # a checkpoint never knows more updates than the numbers before it
        checkpoint.save(
            run.path / CHECKPOINTS,
            self.state,
            update=run.updates,
            config=decisive(run.config),
            host={"counts": run.counts} if done else {"counts": self._counts, PENDING: self._pending},
            keep=run.config.keep_checkpoints,
            rating=run.rating if done else None,
        )
        if done:
            self._saved_at = run.updates
            self._best = max(filter(None, (self._best, run.rating)), key=lambda r: r.rank, default=None)

    def rescue(self) -> None:
        """Save what the last checkpoint does not have, as far as possible, since training ends with an error."""
        run = self.run
        if self._failure or run.updates == self._saved_at:
            return
        try:
            self.save()
        except Exception as problem:  # the error that ended training is the one to raise
            reason = " ".join(str(problem).split())
            print(f"{run.path}: update {run.updates} could not be saved: {reason}", file=sys.stderr)
        else:
            print(f"{run.path}: saved after update {run.updates}, because of an error", file=sys.stderr)

    def close(self) -> None:
        """Let go of the state and close every file, however training ended."""
        self.run.state = None
        with contextlib.ExitStack() as closing:  # all of them, whichever fails
            for callback in reversed(self._callbacks):
                if function := getattr(callback, "close", None):
                    closing.callback(function)
            closing.callback(self._lines.close)
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
        taken = {kind: int(numbers.pop(f"steps/{kind}")) for kind in STEP_KINDS if f"steps/{kind}" in numbers}
        values = {name: number.item() for name, number in numbers.items()}
        run.updates += 1
        for kind, count in taken.items():
            run.counts[kind] += count
        metrics: Metrics = {"update": run.updates}
        metrics |= {f"steps/{kind}": count for kind, count in run.counts.items()}
        metrics |= values
        metrics["seconds"] = seconds
        metrics["steps_per_second"] = (taken["learning"] + taken["scoring"]) / seconds
        if taken["learning"] and (name := not_finite(metrics)):
            self._failure = self._why_not_finite(f"{name} of")
        return metrics

    def _why_not_finite(self, what: str) -> str:
        folder = self.run.path / CHECKPOINTS
        saved = checkpoint.saved_updates(folder)
        there = f"the checkpoints in {folder} are from before" if saved else "nothing was saved yet"
        return f"{what} update {self.run.updates} is not finite: {REMEDY}, in a new run; {there}"
