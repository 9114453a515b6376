"""A run's numbers: what they are, and the JSON lines that hold them."""

from __future__ import annotations

import json
import math
import os
import warnings
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
        rate, learned = number_in(metrics, "solve_rate"), int(number_in(metrics, "steps/learning") or 0)
        if learned > self._learned and rate is not None:
            self._rates.append(rate)
        self._learned = learned

    @property
    def value(self) -> float | None:
        """The mean; None until there are as many updates as it is to be taken over."""
        full = len(self._rates) == self._rates.maxlen
        return math.fsum(self._rates) / len(self._rates) if full else None


class JsonLines:
    """One JSON object a line, one line an update.

    Opening drops every line after ``update``, so that a resumed run writes them again, and nothing else: lines that
    cannot be read are moved to the end of ``metrics.bad`` beside the file, and a warning says which they are.
    """

    def __init__(self, path: Path, update: int = 0):
        good, bad = _parsed(path)
        if bad:
            with open(path.with_name(BAD_LINES), "ab") as file:
                file.writelines(raw + b"\n" for _, raw in bad)
                file.flush()
                os.fsync(file.fileno())
            warnings.warn(f"{_unreadable(path, bad)} moved to {path.with_name(BAD_LINES)}", stacklevel=2)
        kept = b"".join(raw + b"\n" for raw, line in good if line["update"] <= update)
        if not path.exists() or path.read_bytes() != kept:
            with whole_file(path, durable=True) as partial:
                partial.write_bytes(kept)
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


BAD_LINES = "metrics.bad"
"""Name of the file, in the run's folder, to which unreadable lines are moved when the run is resumed."""


def read_metrics(path: Path) -> list[Metrics]:
    """Lines of a metrics file, oldest first. Lines that cannot be read are left out, and a warning says which."""
    good, bad = _parsed(path)
    if bad:
        warnings.warn(f"{_unreadable(path, bad)} left out", stacklevel=2)
    return [line for _, line in good]


def _parsed(path: Path) -> tuple[list[tuple[bytes, Metrics]], list[tuple[int, bytes]]]:
    """The good lines of a file as they stand there and as they are read, and the bad ones with their numbers."""
    good: list[tuple[bytes, Metrics]] = []
    bad: list[tuple[int, bytes]] = []
    for number, raw in enumerate(path.read_bytes().split(b"\n") if path.exists() else [], start=1):
        if not raw.strip():
            continue
        try:
            line = json.loads(raw.decode("utf-8"))
        except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
            line = None
        if isinstance(line, dict) and type(line.get("update")) is int:
            good.append((raw, line))
        else:
            bad.append((number, raw))
    return good, bad


def _unreadable(path: Path, bad: list[tuple[int, bytes]]) -> str:
    """The beginning of a sentence about bad lines."""
    numbers = ", ".join(str(number) for number, _ in bad[:8]) + f" and {len(bad) - 8} more" * (len(bad) > 8)
    return f"{path}: {'line' if len(bad) == 1 else 'lines'} {numbers} cannot be read as numbers of an update:"


def number_in(metrics: Metrics, name: str) -> float | None:
    """A number by its name; None where it is missing, not finite or no number: a file may hold anything."""
    value = metrics.get(name)
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < math.inf
    return value if usable else None


def finite(metrics: Metrics) -> Metrics:
    """The same numbers with None for those that JSON cannot hold."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in metrics.items()}
