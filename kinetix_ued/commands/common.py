"""What several commands share."""

from __future__ import annotations

import argparse
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


def play(name: str, policy: Any, suite: Any, env: Any, **options: Any) -> Any:
    """``evaluate`` under a progress bar."""
    from kinetix_ued.benchmarks import evaluate
    from kinetix_ued.benchmarks.episode_bar import episode_bar

    with episode_bar(f"evaluating {name}") as progress:
        return evaluate(policy, suite.levels, env=env, progress=progress, **options)
