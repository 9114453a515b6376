"""How far an evaluation is, for the eye."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def episode_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar for ``evaluate``, on a terminal only, gone when it is done."""
    from tqdm import tqdm

    with tqdm(desc=title, unit="episode", disable=None, leave=False, dynamic_ncols=True) as bar:

        def update(ended: int, total: int) -> None:
            bar.total = total
            bar.update(ended - bar.n)

        yield update
