"""The evaluation of a finished run: beside the agent it began as and the baselines, on held-out levels, in a file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinetix_ued.randomness import stream

from .config import TrainConfig
from .metrics import number_in

if TYPE_CHECKING:
    from .run import Run

# kinetix_ued.benchmarks is imported where it is needed: a configuration, or help, should not wait for it.

REPORT = "evaluation.json"
"""Name of the final evaluation in the run's folder; docs/evaluation.md describes its fields."""

TRAINED, UNTRAINED = "trained", "untrained"
"""What reports call the agent as it is, and the agent before its first update."""


class _Interrupted(Exception):
    """Someone asked the evaluation to stop."""


def evaluate_finished(run: Run, interrupted: Callable[[], bool] = lambda: False) -> bool:
    """Write the final evaluation that ``run.config`` asks for, unless it is there already.

    The levels are those of ``eval_seed``, which neither training nor the choice of the best checkpoint has seen. The
    file is written whole or not at all, and not written again by a run that is resumed after its end. Its steps are no
    part of ``run.counts``: the document has them.

    Args:
        run: saved, and at its end.
        interrupted: asked now and then whether to stop.

    Returns:
        Whether nothing is left to do; False where it was interrupted.
    """
    from kinetix_ued.benchmarks import as_json, baseline, baseline_names, evaluate, random_suite, write_json

    config, env = run.config, run.env
    if not config.eval_levels or is_evaluated(run.path, config, run.updates):
        return True
    if interrupted():
        return False
    suite = random_suite(config.size, config.eval_levels, config.eval_seed)
    policies = {TRAINED: run.policy, UNTRAINED: run.initial_policy()}
    policies |= {name: baseline(name, env) for name in baseline_names(env.frame_skip)}
    key, scores = stream(config.eval_seed, "EVAL"), {}
    try:
        for name, policy in policies.items():
            with _progress(name, config.progress, interrupted) as progress:
                scores[name] = evaluate(
                    policy, suite, env=env, key=key, attempts=config.eval_attempts, progress=progress
                )
    except _Interrupted:
        return False
    about = {TRAINED: account_of(run, str(run.path))}
    report = as_json(suite, scores, env=env, seed=config.eval_seed, greedy=False, sources=about)
    write_json(run.path / REPORT, report, overwrite=True)
    return True


def account_of(run: Run, source: str) -> dict[str, Any]:
    """What a report says of a run: where it is from, how far it is, what it cost and what it was asked to do.

    Folders in its configuration go by their last names: paths of one machine mean nothing on another.
    """
    folders = {name: Path(getattr(run.config, name)).name for name in ("out", "init_from")}
    return {
        "source": source,
        "updates": run.updates,
        "steps": run.counts,
        "seconds": round(sum(number_in(line, "seconds") or 0 for line in run.metrics[: run.updates]), 3),
        "config": run.config.to_dict() | folders,
    }


def read_report(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The final evaluation in the run's folder ``path``; None where there is none.

    Raises:
        ValueError: for a damaged file, naming the field.
    """
    from kinetix_ued.benchmarks import read_results

    file = Path(path) / REPORT
    return read_results(file) if file.exists() else None


def is_evaluated(path: str | os.PathLike[str], config: TrainConfig, updates: int) -> bool:
    """Whether the folder ``path`` has the final evaluation of the run after ``updates``, as ``config`` asks for it."""
    from kinetix_ued.benchmarks import baseline_names

    try:
        found = read_report(path)
    except ValueError:  # damaged: it is written again
        return False
    if found is None:
        return False
    names = [policy["name"] for policy in found["policies"]]
    asked = (config.eval_seed, config.eval_attempts, config.eval_levels, updates)
    suites, runs = found["suites"], found["policies"][0]["runs"]
    after = runs[0].get("updates") if runs else None
    done = (found["seed"], found["attempts"], len(suites[0]["levels"]), after)
    return done == asked and names == [TRAINED, UNTRAINED, *baseline_names(config.frame_skip)]


@contextlib.contextmanager
def _progress(name: str, shown: bool, interrupted: Callable[[], bool]) -> Iterator[Callable[[int, int], None]]:
    """What ``evaluate`` reports to: a bar where it is wanted, and an end where one was asked for."""
    from kinetix_ued.benchmarks.episode_bar import episode_bar

    with episode_bar(f"evaluating {name}") if shown else contextlib.nullcontext() as bar:

        def progress(ended: int, total: int) -> None:
            if interrupted():
                raise _Interrupted
            if bar is not None:
                bar(ended, total)

        yield progress
