"""Making a sampler avoid levels: more are drawn than wanted, and those that filters mark are taken last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from kinetix_ued.world import Level

from .checks import positive_count
from .filters import Filter, noop_solves
from .sampling import Sampler

DRAW_RATIO = 2
"""Levels drawn for each level wanted."""

MARKED_WEIGHT = 0.001
"""Weight of a marked level beside 1 for the others: taken where there are too few others, and hardly elsewhere."""

Filters = Filter | Mapping[str, Filter]
"""One filter, or several by name: a level that any of them marks is avoided."""


class FilterReport(NamedTuple):
    """What became of the levels that were drawn.

    Attributes:
        drawn: levels drawn () int32
        marked: of them, how many each filter marked, by name; one level may be marked by several () int32 each
        avoided: how many some filter marked and which were not returned () int32
        returned: how many were returned although marked, because too few others were drawn () int32
    """

    drawn: jax.Array
    marked: dict[str, jax.Array]
    avoided: jax.Array
    returned: jax.Array

    def __str__(self) -> str:
        each = ", ".join(f"{name} {int(count)}" for name, count in self.marked.items())
        text = f"{int(self.drawn)} levels drawn, {int(self.avoided)} left out ({each})"
        return text + (f"; {int(self.returned)} marked ones had to be taken" if int(self.returned) else "")


def sample_filtered(
    key: jax.Array,
    n: int,
    sample: Sampler,
    marks: Filters = noop_solves,
    *,
    ratio: int = DRAW_RATIO,
    weight: float = MARKED_WEIGHT,
) -> tuple[Level, FilterReport]:
    """n levels from ``sample`` that avoid what ``marks`` marks, and what was avoided. Traceable, n static.

    ``ratio`` times n levels are drawn and n of them kept, without replacement, with ``weight`` for the marked ones and
    1 for the others. So n levels always come back, however many are marked.

    Args:
        key: of the random numbers.
        n: levels wanted.
        sample: ``sample(key, n)``, for instance ``sample_levels``.
        marks: a filter, or several by name.
        ratio: levels drawn for each level wanted.
        weight: of a marked level, above 0.

    Raises:
        ValueError: for n or a ratio below 1, no filter, or a weight that is not above 0 and at most 1.

    Source: Matthews et al. 2025, Kinetix (arXiv:2410.23208), for ``noop_solves`` and the defaults.
    """
    positive_count(n, "n", "levels to sample")
    filters = _checked(marks, ratio, weight)
    key_levels, key_choice = jax.random.split(key)
    levels = sample(key_levels, ratio * n)
    marked = {name: marks_one(levels) for name, marks_one in filters.items()}
    bad = jnp.stack(list(marked.values())).any(axis=0)
    weights = jnp.where(bad, weight, 1.0)
    kept = jax.random.choice(key_choice, ratio * n, (n,), replace=False, p=weights / weights.sum())
    returned = bad[kept].sum(dtype=jnp.int32)
    report = FilterReport(
        drawn=jnp.int32(ratio * n),
        marked={name: marks_one.sum(dtype=jnp.int32) for name, marks_one in marked.items()},
        avoided=bad.sum(dtype=jnp.int32) - returned,
        returned=returned,
    )
    return jax.tree.map(lambda x: x[kept], levels), report


def filtered(
    sample: Sampler, marks: Filters = noop_solves, *, ratio: int = DRAW_RATIO, weight: float = MARKED_WEIGHT
) -> Sampler:
    """A sampler like ``sample`` that avoids the levels that ``marks`` marks: ``sample_filtered`` without its report.

    Args and errors are those of ``sample_filtered``; what does not depend on n is refused here already.
    """
    filters = _checked(marks, ratio, weight)

    def sample_good(key: jax.Array, n: int) -> Level:
        return sample_filtered(key, n, sample, filters, ratio=ratio, weight=weight)[0]

    return sample_good


def _checked(marks: Filters, ratio: int, weight: float) -> dict[str, Filter]:
    positive_count(ratio, "ratio", "levels drawn for each level wanted")
    if not 0.0 < weight <= 1.0:
        raise ValueError(f"weight must be above 0 and at most 1, or there may be too few levels left; got {weight}")
    filters = dict(marks) if isinstance(marks, Mapping) else {_name(marks): marks}
    if not filters:
        raise ValueError("there is no filter to obey: pass one, or use the sampler as it is")
    return filters


def _name(marks: Filter) -> str:
    """What a report calls a filter that came without a name."""
    return getattr(getattr(marks, "func", marks), "__name__", "marked")  # functools.partial keeps its function there
