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
    after: Callable[[jax.Array, Level], Level] | None = None
    """``after(key, level)``, what becomes of each level of any part, at the mixture's size."""

    def __call__(self, key: jax.Array, size: str | Size) -> Level:
        """One level. Under ``jax.vmap`` every part computes every level; ``batch`` does not.

        Raises:
            ValueError: for a size that does not hold that of a part, or one too small for a part's generator.
        """
        size = size_of(size)
        self._check(size)
        if self.after is not None:
            key, key_after = jax.random.split(key)
            return self.after(key_after, dataclasses.replace(self, after=None)(key, size))
        key_part, *keys = jax.random.split(key, 1 + len(self.parts))  # all parts are computed, so each has its own
        weights = jnp.asarray(np.array([part.weight for part in self.parts], np.float32))
        branches = [functools.partial(_padded(part, size), key) for part, key in zip(self.parts, keys, strict=True)]
        return choose_branch(weighted(uniform(key_part), weights), branches)

    def batch(self, key: jax.Array, n: int, size: str | Size) -> Level:
        """``n`` levels with a leading axis, at the cost of each part's own: a part of weight 0.1 makes a tenth of them.

        Each level is of a part with that part's weight as its probability, in random order, but the numbers of levels
        are stratified: a part of weight w makes n w levels, rounded down or up at random.

        Raises:
            ValueError: as for one level.
        """
        size = size_of(size)
        self._check(size)
        if self.after is not None:
            key, key_after = jax.random.split(key)
            levels = dataclasses.replace(self, after=None).batch(key, n, size)
            return jax.vmap(self.after)(jax.random.split(key_after, n), levels)
        parts = [part for part in self.parts if part.weight > 0]
        key_start, key_order, *keys = jax.random.split(key, 2 + len(parts))
        # Systematic sampling: n points at equal distances from a random start, dealt to the parts by their weights.
        ends = jnp.asarray(np.cumsum([part.weight for part in parts]), jnp.float32)
        points = (jnp.arange(n, dtype=jnp.float32) + uniform(key_start)) / n * ends[-1]
        part = jnp.minimum(jnp.searchsorted(ends, points, side="right").astype(jnp.int32), len(parts) - 1)
        most = [min(int(n * p.weight) + 2, n) for p in parts]  # one more than rounding up, for the rounding of sums
        made = [batch_of(p.generator, k, m, p.size or size) for p, k, m in zip(parts, keys, most, strict=True)]
        levels = jax.tree.map(lambda *x: jnp.concatenate(x), *(resize_level(some, size) for some in made))
        first = jnp.asarray(np.cumsum([0, *most[:-1]]), jnp.int32)
        begins = jnp.searchsorted(part, part, side="left").astype(jnp.int32)  # parts are in order here
        rank = jnp.arange(n, dtype=jnp.int32) - begins
        places = jax.random.permutation(key_order, first[part] + rank)
        return jax.tree.map(lambda x: x[places], levels)

    def _check(self, size: Size) -> None:
        for part in self.parts:
            if part.size is not None and not size.holds(part.size):
                needed = [part.size for part in self.parts if part.size is not None]
                fits = [name for name, known in SIZES.items() if all(known.holds(own) for own in needed)]
                remedy = f"size {fits[0]!r}" if fits else "a larger size"
                raise ValueError(
                    f"a part of the mixture has size {part.size.name!r}, which size {size.name!r} does not hold: "
                    f"ask the mixture for {remedy}, or give the part a smaller one"
                )

    def __str__(self) -> str:
        return "mixture"


@dataclasses.dataclass(frozen=True)
class Form:
    """One of several forms that a kind of level takes, with the kind's parameters. Equal ones hash alike."""

    level: Callable[..., Level]
    """``level(key, size, parameters)``; refuses sizes too small for it."""
    parameters: Any

    def __call__(self, key: jax.Array, size: str | Size) -> Level:
        return self.level(key, size_of(size), self.parameters)

    def fits(self, size: Size) -> bool:
        """Whether there are levels of ``size`` in this form."""
        try:
            jax.eval_shape(lambda key: self(key, size), jax.random.key(0))
        except ValueError:
            return False
        return True


def mixture_of_forms(
    forms: Mapping[Callable[..., Level], float], size: Size, parameters: Any, after: Callable[[jax.Array, Level], Level]
) -> Mixture:
    """The forms that have levels of ``size``, by their shares among those; ``after`` is that of ``Mixture``.

    Raises:
        ValueError: where none has, with what the first says.
    """
    made = [(Form(level, parameters), share) for level, share in forms.items() if share > 0]
    fitting = [(form, share) for form, share in made if form.fits(size)]
    if not fitting:
        jax.eval_shape(lambda key: made[0][0](key, size), jax.random.key(0))
    total = sum(share for _, share in fitting)
    return dataclasses.replace(mixture([(form, share / total) for form, share in fitting]), after=after)


def batch_of(generator: Generator, key: jax.Array, n: int, size: Size) -> Level:
    """``n`` levels of a generator, with a leading axis, by its own ``batch`` where it has one."""
    own = getattr(generator, "batch", None)
    if own is not None:
        return own(key, n, size)
    return jax.vmap(lambda key: generator(key, size))(jax.random.split(key, n))


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
