"""How far a run is, for the eye."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

from kinetix_ued.progress import progress_bar

from ..metrics import Metrics

if TYPE_CHECKING:
    from ..run import Run


class ProgressBar:
    """A callback: steps learned from so far, the solve rate and the speed, on one line of standard error."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._name = ""

    def begin(self, run: Run) -> None:
        self._name = "training" if run.config.seeds == 1 else run.path.name
        rarely = 0.2 if sys.stderr.isatty() else 30.0  # a log file needs no animation
        self._bar = progress_bar(
            desc="compiling",
            total=run.config.steps,
            initial=run.counts["learning"],
            unit="step",
            unit_scale=True,
            mininterval=rarely,
        )

    def __call__(self, run: Run, metrics: Metrics) -> None:
        solved, alike = (metrics.get(name) for name in ("solve_rate", "loss/agreement"))
        known = lambda share: share is not None and not math.isnan(share)
        parts = [f"solved {f'{solved:.1%}' if known(solved) else '-'}", f"{metrics['steps_per_second']:.0f} steps/s"]
        if known(alike):
            parts.insert(0, f"agrees with the teacher {alike:.1%}")
        self._bar.set_description(self._name, refresh=False)
        self._bar.set_postfix_str(", ".join(parts), refresh=False)
        self._bar.update(min(metrics["steps/learning"], self._bar.total) - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
