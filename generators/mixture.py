"""Mixtures: levels of several generators, each with its own probability and at its own size."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.levels.resize import resize_level
from kinetix_ued.world import SIZES, Level, Size, size_of, typed_level

from .checks import check_shares
from .draws import choose_branch, uniform, weighted
from .generator import Generator
from .random import random_level


@dataclasses.dataclass(frozen=True)
class Part:
    """One generator of a mixture."""

    generator: Generator
    """``(key, size) -> Level``."""
    weight: float
    """Its probability."""
    size: Size | None
    """The size that it is asked for; its levels are padded to the mixture's. None: the mixture's own."""


@dataclasses.dataclass(frozen=True)
class Mixture:
    """A generator that draws one of several for each level; ``mixture`` makes it. Equal ones are compiled once."""

    parts: tuple[Part, ...]

    def __call__(self, key: jax.Array, size: str | Size) -> Level:
        """One level. Under ``jax.vmap`` every part computes every level.

        Raises:
            ValueError: for a size that does not hold that of a part, or one too small for a part's generator.
        """
        size = size_of(size)
        for part in self.parts:
            if part.size is not None and not size.holds(part.size):
                needed = [part.size for part in self.parts if part.size is not None]
                fits = [name for name, known in SIZES.items() if all(known.holds(own) for own in needed)]
                remedy = f"size {fits[0]!r}" if fits else "a larger size"
                raise ValueError(
                    f"a part of the mixture has size {part.size.name!r}, which size {size.name!r} does not hold: "
                    f"ask the mixture for {remedy}, or give the part a smaller one"
                )
        key_part, *keys = jax.random.split(key, 1 + len(self.parts))  # all parts are computed, so each has its own
        weights = jnp.asarray(np.array([part.weight for part in self.parts], np.float32))
        branches = [functools.partial(_padded(part, size), key) for part, key in zip(self.parts, keys, strict=True)]
        return choose_branch(weighted(uniform(key_part), weights), branches)

    def __str__(self) -> str:
        return "mixture"


def _padded(part: Part, size: Size) -> Callable[[jax.Array], Level]:
    return lambda key: typed_level(resize_level(part.generator(key, part.size or size), size))


def mixture(parts: Mapping[Generator, float] | Sequence[tuple[Any, ...]]) -> Mixture:
    """A generator that takes each level from one of several, as drawn by their probabilities.

    Args:
        parts: ``{generator: weight}``, or a sequence of ``(generator, weight)`` or ``(generator, weight, size)``.
            Weights are probabilities. A generator with a size makes levels of that size, padded with empty slots to the
            size that the mixture is asked for; one without makes levels of that size itself.

    Raises:
        ValueError: for no parts, something that is no function, an unknown size, or weights that are negative, not
            finite, or do not sum to 1. When called: for a size that does not hold that of a part.
    """
    entries = list(parts.items()) if isinstance(parts, Mapping) else [tuple(part) for part in parts]
    if not entries:
        raise ValueError("a mixture needs at least one part: pass (generator, weight)")
    for entry in entries:
        if not (2 <= len(entry) <= 3 and callable(entry[0])):
            raise ValueError(
                f"a part of a mixture is (generator, weight) or (generator, weight, size), with a function first; "
                f"got {entry!r}; make_generator turns a name into a function"
            )
    check_shares(tuple(float(entry[1]) for entry in entries), "the weights of a mixture", len(entries))
    own = lambda entry: size_of(entry[2]) if len(entry) == 3 and entry[2] is not None else None
    return Mixture(tuple(Part(entry[0], float(entry[1]), own(entry)) for entry in entries))


def mixed_sizes(sizes: Sequence[str | Size] = tuple(SIZES), generator: Generator = random_level) -> Mixture:
    """A mixture of one generator's levels at several sizes, all equally likely, as the reference's ``random_all``.

    Raises:
        ValueError: for no sizes, or an unknown one.
    """
    return mixture([(generator, 1.0 / max(len(sizes), 1), size) for size in sizes])
