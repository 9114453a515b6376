"""A run's numbers: what they are, and the JSON lines that hold them."""

from __future__ import annotations

import json
import math
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kinetix_ued.whole import whole_file

if TYPE_CHECKING:
    from .run import Run

Metrics = dict[str, float | int | None]
"""Numbers of one update by name. None stands for a mean over nothing, such as the solve rate where no episode ended."""

Callback = Callable[["Run", Metrics], None]
"""Called after every update with the run and its numbers; what it adds to them is written with them.

Where it has a method ``begin``, that is called with the run before the first update; where it has a method ``close``,
that is called once when training ends, in whatever way.
"""


class Rating(NamedTuple):
    """How good a policy is, by one number; the checkpoint of the best one is kept.

    Attributes:
        name: of the number; those of evaluations begin with ``evaluation/``
        value: the higher the better
    """

    name: str
    value: float

    @property
    def rank(self) -> tuple[bool, float]:
        """What ratings are compared by: any number of an evaluation says more than any number of training."""
        return self.name.startswith("evaluation/"), self.value


class RunningSolveRate:
    """Mean solve rate over the last updates that the agent learned from and in which an episode ended.

    Args:
        window: how many updates.
        lines: numbers of the updates so far, oldest first.
    """

    def __init__(self, window: int, lines: list[Metrics]):
        self._rates: deque[float] = deque(maxlen=window)
        self._learned = 0
        for line in lines:
            self.note(line)

    def note(self, metrics: Metrics) -> None:
        """Take in the numbers of the next update."""
        rate, learned = metrics["solve_rate"], int(metrics["steps/learning"] or 0)
        if learned > self._learned and rate is not None and math.isfinite(rate):
            self._rates.append(rate)
        self._learned = learned

    @property
    def value(self) -> float | None:
        """The mean; None until there are as many updates as it is to be taken over."""
        full = len(self._rates) == self._rates.maxlen
        return math.fsum(self._rates) / len(self._rates) if full else None


class JsonLines:
    """One JSON object a line, one line an update.

    Opening drops every line after ``update`` and a line that was cut off, so that a resumed run writes them again.
    """

    def __init__(self, path: Path, update: int = 0):
        kept = [line for line in read_metrics(path) if line["update"] <= update]
        with whole_file(path) as partial, open(partial, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in kept)
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
