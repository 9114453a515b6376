"""What several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1; got {number}")
    return number


def seed(text: str) -> int:
    """A seed, for argparse."""
    number = int(text)
    if not 0 <= number < 2**32:
        raise argparse.ArgumentTypeError(f"must be from 0 to 2**32 - 1; got {number}")
    return number


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raise ValueError for a file that is there already, unless it may be overwritten."""
    if path.exists() and not overwrite:
        raise ValueError(f"{path} exists already: choose another name, or pass --overwrite")


@contextmanager
def episode_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar for ``evaluate``, on a terminal only, gone when it is done."""
    from kinetix_ued.progress import progress_bar

    with progress_bar(desc=title, unit="episode", disable=None, leave=False) as bar:

        def update(ended: int, total: int) -> None:
            bar.total = total
            bar.update(ended - bar.n)

        yield update


def play(name: str, policy: Any, suite: Any, env: Any, **options: Any) -> Any:
    """``evaluate`` under a progress bar."""
    from kinetix_ued.benchmarks import evaluate

    with episode_bar(f"evaluating {name}") as progress:
        return evaluate(policy, suite.levels, env=env, progress=progress, **options)
