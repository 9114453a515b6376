"""Values under ``jax.shard_map``, whose check wants to know of every value whether devices may differ in it."""

from __future__ import annotations

from typing import Any, TypeVar

import jax

Values = TypeVar("Values")


def varying_like(values: Values, *inputs: Any) -> Values:
    """``values`` with the same numbers, marked as varying over every mesh axis over which any of ``inputs`` varies.

    For the first carry of a loop: a constant is the same on all devices, what the body makes of it is not, and
    ``jax.shard_map`` refuses a carry whose mark changes. Outside of ``jax.shard_map``, and under its
    ``check_vma=False``, nothing happens.

    Args:
        values: any pytree of arrays.
        inputs: pytrees of arrays that the loop's body reads.
    """
    axes = frozenset[str]().union(*map(_varying_axes, jax.tree.leaves(inputs)))

    def mark(x: Any) -> Any:
        missing = axes - _varying_axes(x)
        return jax.lax.pcast(x, tuple(sorted(missing)), to="varying") if missing else x

    return jax.tree.map(mark, values) if axes else values


def _varying_axes(x: Any) -> frozenset[str]:
    return jax.typeof(x).manual_axis_type.varying
