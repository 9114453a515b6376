"""What several commands share."""

from __future__ import annotations

import argparse
import re
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


def add_playing(parser: argparse.ArgumentParser) -> None:
    """The options of every command that plays policies as an evaluation does."""
    add = parser.add_argument
    add("--skip-bad", action="store_true", help="leave out files that are not levels, and list them")
    add("--greedy", action="store_true", help="take the most likely action instead of a sampled one")
    add("--seed", type=seed, default=0, help="seed of the evaluation (%(default)s)")
    add(
        "--checkpoint",
        default="latest",
        metavar="WHICH",
        help="of runs: latest, best, or an update's number (%(default)s)",
    )
    add("--engine", choices=("auto", "warp", "jax"), help="physics engine (auto)")


def checkpoint_of(text: str) -> str | int:
    """Which checkpoint an argument means.

    Raises:
        ValueError: for something else than latest, best or the number of an update.
    """
    if text in ("latest", "best"):
        return text
    if re.fullmatch("[0-9]{1,9}", text) is None:  # the length of an update's number in a folder's name
        raise ValueError(f"unknown checkpoint {ascii(text)}: use 'latest', 'best' or the number of an update")
    return int(text)


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
