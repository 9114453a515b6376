"""What the solver is asked for, and what it answers."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from .disturbance import DISTURBANCE


@dataclasses.dataclass(frozen=True)
class SearchSettings:
    """How hard to search.

    Raises:
        ValueError: for a number out of range.
    """

    seconds: float = 60.0
    """Wall-clock time a level; a generation of several levels counts in equal parts, one that compiles a program
    does not. Checked between generations."""
    generations: int = 1000
    """Generations a level."""
    population: int = 512
    """Sequences that a generation of the cross-entropy method tries in a level."""
    width: int = 4
    """Levels side by side in one program."""
    patience: int = 7
    """Generations without progress after which a search begins anew in another way."""
    robust: bool = True
    """Go on until the solution holds under disturbed starts, too."""
    draws: int = 8
    """Starts, all but one of them disturbed, in which a sequence is judged once the level is solved."""
    refinements: int = 16
    """Generations of that at most, for each solution."""
    mendings: int = 60
    """Generations of small edits that follow at most, for a solution that is not robust enough by then."""
    trials: int = 32
    """Starts, all but one of them disturbed, in which the best sequence of such a generation is tested."""
    wanted_share: float = 0.97
    """Share of those it must solve to end the search at once."""
    needed_share: float = 0.9
    """Share of those it must solve to be called robust."""
    distance: float = DISTURBANCE
    """Longest disturbance of a start [m]."""

    def __post_init__(self):
        for name in ("generations", "population", "width", "patience", "draws", "refinements", "mendings"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        if self.trials < 2:
            raise ValueError(f"trials must be at least 2, one of them is undisturbed; got {self.trials}")
        for name in ("seconds", "distance"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} must be a finite number above 0; got {getattr(self, name)}")
        if self.population < 8 * self.draws:
            raise ValueError(
                f"{self.draws} draws need a population of at least {8 * self.draws}; got {self.population}"
            )


@dataclasses.dataclass
class Solution:
    """What the search of one level came to.

    Attributes:
        solved: some sequence solves the level.
        steps: environment steps that it takes; 0 without one.
        actions: (T, 6) multi-discrete actions; they go on a little after the goal for starts that need longer. (0, 6)
            without a solution.
        robust_share: share of disturbed starts that it solves, on the search's engine.
        robust: whether that is enough by the settings.
        nearest: smallest sum of green-blue distances that was reached [m].
        generations: that were searched.
        seconds: its part of the wall clock.
        method: what found it, ``cross-entropy``, ``exploration`` or ``ppo``; empty without a solution.
    """

    solved: bool = False
    steps: int = 0
    actions: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 6), np.int32))
    robust_share: float = 0.0
    robust: bool = False
    nearest: float = math.inf
    generations: int = 0
    seconds: float = 0.0
    method: str = ""
