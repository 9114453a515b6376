"""What several commands share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import Any

from kinetix_ued.terminal import printable


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


def tell_skipped(errors: Iterable[Exception]) -> None:
    """Name each file that was left out, and what is wrong with it, on standard error."""
    for error in errors:
        print(f"left out: {printable(error)}", file=sys.stderr)


def play(name: str, policy: Any, suite: Any, env: Any, **options: Any) -> Any:
    """``evaluate`` under a progress bar."""
    from kinetix_ued.benchmarks import evaluate
    from kinetix_ued.benchmarks.episode_bar import episode_bar

    with episode_bar(f"evaluating {name}") as progress:
        return evaluate(policy, suite.levels, env=env, progress=progress, **options)
