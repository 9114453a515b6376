"""Where a run's numbers go: JSON lines, the progress bar, TensorBoard."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

if TYPE_CHECKING:
    from .run import Run

Metrics = dict[str, float | int | None]
"""Numbers of one update by name. None stands for a mean over nothing, such as the solve rate where no episode ended."""

Callback = Callable[["Run", Metrics], None]
"""Called after every update with the run and its numbers; what it adds to them is written with them.

Where it has a method ``close``, that is called once when training ends, in whatever way.
"""


class JsonLines:
    """One JSON object a line, one line an update.

    Opening drops every line after ``update`` and a line that was cut off, so that a resumed run writes them again.
    """

    def __init__(self, path: Path, update: int = 0):
        kept = [line for line in read_metrics(path) if line["update"] <= update]
        partial = path.with_name(path.name + ".partial")
        with open(partial, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in kept)
        os.replace(partial, path)
        self._file = open(path, "a", encoding="utf-8")

    def write(self, metrics: Metrics) -> None:
        """Append a line, and hand it to the operating system at once."""
        self._file.write(json.dumps(finite(metrics)) + "\n")
        self._file.flush()

    def sync(self) -> None:
        """Return when every line is on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def read_metrics(path: Path) -> list[Metrics]:
    """Lines of a metrics file, oldest first; it ends where a line was cut off."""
    lines: list[Metrics] = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(line))
            except json.JSONDecodeError:
                break
    return lines


def finite(metrics: Metrics) -> Metrics:
    """The same numbers with None for those that JSON cannot hold."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in metrics.items()}


class ProgressBar:
    """A callback: steps learned from so far, the solve rate and the speed, on one line of standard error."""

    def __init__(self, total: int, done: int = 0):
        rarely = 0.2 if sys.stderr.isatty() else 30.0  # a log file needs no animation
        self._bar = tqdm(
            desc="compiling",
            total=total,
            initial=done,
            unit="step",
            unit_scale=True,
            mininterval=rarely,
            file=sys.stderr,
        )

    def __call__(self, run: Run, metrics: Metrics) -> None:
        solved = metrics["solve_rate"]
        self._bar.set_description("training", refresh=False)
        self._bar.set_postfix_str(
            f"solved {'-' if solved is None else f'{solved:.1%}'}, {metrics['steps_per_second']:.0f} steps/s",
            refresh=False,
        )
        self._bar.update(min(metrics["steps/learning"], self._bar.total) - self._bar.n)

    def close(self) -> None:
        self._bar.close()


class TensorBoard:
    """A callback that writes TensorBoard files into the run's folder.

    Raises:
        ValueError: where neither tensorboardX nor torch is installed.
    """

    def __init__(self):
        self._writer_class = _summary_writer()
        self._writer: Any = None

    def __call__(self, run: Run, metrics: Metrics) -> None:
        if self._writer is None:
            self._writer = self._writer_class(str(run.path / "tensorboard"), purge_step=metrics["update"])
        for name, value in metrics.items():
            if value is not None:
                self._writer.add_scalar(name, value, metrics["update"])

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _summary_writer() -> Callable[..., Any]:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ValueError("TensorBoard files need tensorboardX: pip install kinetix-ued[tensorboard]") from None
    return SummaryWriter
