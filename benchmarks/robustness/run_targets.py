"""Damaged runs: evaluated and resumed.

One tiny run is trained; every case damages a copy of it. A run that is resumed and whose configuration is as it was
must end with the very arrays that it had: falling back to an older checkpoint costs time and nothing else.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from kinetix_ued.levels import load_level, stack_levels
from kinetix_ued.training import Run, preset, resume, train
from kinetix_ued.training.run import CHECKPOINTS, CONFIG

from ..evaluate import evaluate
from ..holdout import holdout_names, level_file
from ..methods import load_methods
from .cases import Damaged, Target
from .compare import arrays_of
from .run_damage import damage_run

UPDATES = 8
"""Updates of the run that is damaged."""

LIMIT = 30.0
"""Seconds for one damaged run: an edited configuration may have a network or a program of its own to compile."""


def run_targets(folder: Path) -> list[Target]:
    """Train the run into ``folder``; the targets that damage copies of it."""
    # The parts that compile fastest: what is opened is the same with any.
    parts = {"observation": "symbolic_flat", "network": "flat_mlp", "generator": "pushing", "epochs": 1}
    config = preset("tiny", out=str(folder / "run"), progress=False, eval_levels=0, solve_rate_window=2, **parts)
    config = preset("tiny", **config.to_dict() | {"steps": UPDATES * config.update_steps})
    source = train(config).path
    levels = stack_levels([load_level(level_file(holdout_names("s")[0]))])

    def intact(own: Path) -> Sequence[Path]:
        return [Path(shutil.copytree(source, own / "run"))]

    def damage(own: Path, rng: np.random.Generator) -> Damaged:
        copy = intact(own)[0]
        return Damaged(copy, damage_run(copy, rng) or "nothing")

    def open_for_evaluation(path: Path) -> None:
        for which in ("latest", "best", UPDATES):
            with _told() as told:
                try:
                    (method,) = load_methods([str(path)], which)
                except ValueError:
                    if which == "latest":
                        raise
                    continue  # a checkpoint that is not there is refused, and the others are looked at
            run = method.runs[0]
            if (
                which == "latest"
                and run.updates < UPDATES
                and _is_damaged(path / CHECKPOINTS / f"update_{UPDATES:09d}")
            ):
                assert told(), "an older checkpoint was taken without a word"
            method.about()
            evaluate(run, levels, key=jax.random.key(0), attempts=1)

    def open_for_resuming(path: Path) -> None:
        unchanged = (path / CONFIG).is_file() and (path / CONFIG).read_bytes() == (source / CONFIG).read_bytes()
        run = resume(str(path), callbacks=[] if unchanged else [_Stop()])
        if unchanged:
            differing = [name for name, array in arrays_of(source).items() if arrays_of(path).get(name) != array]
            assert not differing, f"resumed, and {', '.join(differing[:3])} are others than without damage"
        assert run.updates <= UPDATES or not unchanged, "resumed beyond its end"

    return [
        Target("eval", intact, damage, open_for_evaluation, LIMIT),
        Target("resume", intact, damage, open_for_resuming, LIMIT),
    ]


def _is_damaged(last: Path) -> bool:
    """Whether the last checkpoint is there and damaged, rather than gone, or another one under its name."""
    try:
        return last.is_dir() and json.loads((last / "manifest.json").read_bytes()).get("update") == UPDATES
    except (OSError, ValueError, AttributeError, RecursionError):
        return True


class _Stop:
    """Ends a run before its first update: one whose configuration was edited could ask for days."""

    def __call__(self, run: Run, metrics: Any) -> None:
        run.stop("opened")

    def begin(self, run: Run) -> None:
        run.stop("opened")


@contextlib.contextmanager
def _told() -> Iterator[Callable[[], bool]]:
    """Whether anything was said in the meantime, as a warning or on the terminal."""
    said = io.StringIO()
    with (
        warnings.catch_warnings(record=True) as warned,
        contextlib.redirect_stderr(said),
        contextlib.redirect_stdout(said),
    ):
        warnings.simplefilter("always")
        yield lambda: bool(warned) or bool(said.getvalue().strip())
