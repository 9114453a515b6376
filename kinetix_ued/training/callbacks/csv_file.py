"""A run's numbers as a table for spreadsheets and data frames."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinetix_ued.whole import whole_file

from ..metrics import Metrics, finite

if TYPE_CHECKING:
    from ..run import Run

FILE = "metrics.csv"
"""Name of the table in the run's folder."""


class CsvFile:
    """A callback: one row an update in ``metrics.csv``, with a header; what is not a number is left empty.

    The first line fixes the columns. A number that turns up only later, such as that of an evaluation now and then,
    adds a column at the end, and the file is written anew from the run's JSON lines. So is that of a resumed run: no
    update comes up twice.
    """

    def __init__(self) -> None:
        self._columns: list[str] = []
        self._file: Any = None

    def begin(self, run: Run) -> None:
        self._rewrite(run.path / FILE, run.metrics)

    def __call__(self, run: Run, metrics: Metrics) -> None:
        if set(metrics) <= set(self._columns):
            self._rows(self._file, [metrics])
            self._file.flush()
        else:
            self._rewrite(run.path / FILE, [*run.metrics, metrics])

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _rewrite(self, path: Path, lines: list[Metrics]) -> None:
        self.close()
        self._columns = list(dict.fromkeys(name for line in lines for name in line))
        with whole_file(path) as partial, open(partial, "w", encoding="utf-8", newline="") as file:
            if self._columns:
                csv.writer(file).writerow(self._columns)
            self._rows(file, lines)
        self._file = open(path, "a", encoding="utf-8", newline="")

    def _rows(self, file: Any, lines: Iterable[Metrics]) -> None:
        csv.DictWriter(file, self._columns).writerows(map(finite, lines))
