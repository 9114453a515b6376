"""What may happen after every update, one class a file. All are optional, and any of them go together.

A callback is called as ``callback(run, metrics)`` after each update, and may add numbers to ``metrics``, rate the run
(``run.rating``) or end it (``run.stop``). Where it has them, ``begin(run)`` is called before the first update, of a
resumed run too, and ``close()`` when training ends, in whatever way.
"""

from __future__ import annotations

from typing import Any

from ..config import TrainConfig
from ..metrics import Callback
from .csv_file import CsvFile
from .early_stop import EarlyStop
from .periodic_evaluation import PeriodicEvaluation, selecting
from .progress_bar import ProgressBar
from .snapshots import Snapshots
from .tensorboard import TensorBoard
from .weights_and_biases import WeightsAndBiases

__all__ = [
    "CsvFile",
    "EarlyStop",
    "PeriodicEvaluation",
    "ProgressBar",
    "Snapshots",
    "TensorBoard",
    "WeightsAndBiases",
    "configured",
]


def configured(config: TrainConfig, curriculum_state: Any) -> list[Callback]:
    """The callbacks that ``config`` asks for, in the order in which they are to be called.

    Args:
        curriculum_state: arrays or their shapes.

    Raises:
        ValueError: where a package is not installed, or the curriculum has no buffer of which to take snapshots.
    """
    callbacks: list[Callback] = []
    if config.eval_every:  # first, so that the others have its numbers
        callbacks.append(selecting(config))
    if config.stop_at_solve_rate:
        callbacks.append(EarlyStop(config.stop_at_solve_rate))
    if config.tensorboard:
        callbacks.append(TensorBoard())
    if config.wandb:
        callbacks.append(WeightsAndBiases(config.wandb))
    if config.csv:
        callbacks.append(CsvFile())
    if config.snapshot_every:
        callbacks.append(Snapshots(config.snapshot_every, curriculum_state))
    if config.progress:
        callbacks.append(ProgressBar())
    return callbacks
