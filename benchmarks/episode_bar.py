"""How far an evaluation is, for the eye."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kinetix_ued.progress import progress_bar
from kinetix_ued.terminal import printable


@contextmanager
def episode_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar for ``evaluate``, on a terminal only, gone when it is done."""
    with progress_bar(desc=printable(title), unit="episode", disable=None, leave=False) as bar:

        def update(ended: int, total: int) -> None:
            bar.total = total
            bar.update(ended - bar.n)

        yield update
