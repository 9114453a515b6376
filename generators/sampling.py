"""From a generator, which makes one level, to batches of levels."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from kinetix_ued.user_code import check_call, refuse
from kinetix_ued.world import Level, Size, empty_level, size_of, typed_level, varying_like

from .checks import positive_count
from .generator import Generator
from .registry import make_generator

Sampler = Callable[[jax.Array, int], Level]
"""``sample(key, n)``: n levels with a leading axis."""


def sample_levels(
    key: jax.Array, n: int, size: str | Size = "s", parameters: Any = None, *, generator: str | Generator = "random"
) -> Level:
    """``n`` levels of a generator, with a leading axis n: independent, or stratified where it is a mixture.

    Compiled once for each combination of n, size, generator and parameters.

    Args:
        key: of the random numbers.
        n: levels.
        size: ``s``, ``m``, ``l``, counts such as ``8p2c4j2t``, or a ``Size``.
        parameters: of the generator's own kind; its defaults where None.
        generator: a name in ``GENERATORS``, ``file.py:function``, or a function ``(key, size) -> Level``.

    Raises:
        ValueError: for n < 1, an unknown size or generator, parameters of another kind, or a size too small for it.
    """
    positive_count(n, "n", "levels to sample")
    return _sample_levels(key, n, size_of(size), make_generator(generator, parameters))


def sampler(generator: str | Generator = "random", size: str | Size = "s", parameters: Any = None) -> Sampler:
    """``sample(key, n)`` for curricula: n levels of a generator and a size. Arguments as for ``sample_levels``.

    Raises:
        ValueError: for an unknown size or generator, parameters of another kind, or a size too small for it.
    """
    size, generator = size_of(size), make_generator(generator, parameters)
    check_generator(generator, size)

    def sample(key: jax.Array, n: int) -> Level:
        return sample_levels(key, n, size, generator=generator)

    return sample


def check_generator(generator: Generator, size: Size) -> None:
    """Trace a generator once, without compiling.

    Raises:
        ValueError: where it cannot be called with (key, size) or returns no level of ``size``, and whatever it raises
            itself, such as for a size too small.
    """
    jax.eval_shape(lambda key: _level(generator, key, size), jax.random.key(0))


def _level(generator: Generator, key: jax.Array, size: Size) -> Level:
    """The generator's level, if it is one of ``size``."""
    check_call(generator, "a generator", "key", "size")
    level = generator(key, size)
    if not isinstance(level, Level):
        refuse(generator, f"a generator returns one Level; {_name(generator)} returned {_kind(level)}")
    batch = jnp.shape(level.gravity)[:-1]
    if batch or level.size != size:
        found = f"a batch {batch}" if batch else f"size {level.size.name!r}"
        refuse(
            generator,
            f"{_name(generator)} was asked for one level of size {size.name!r} and returned {found}: "
            "start from empty_level(size)",
        )
    for field, wanted in _forms(size).items():
        if (found := _form(getattr(level, field))) != wanted:
            refuse(generator, f"{_name(generator)} returned a level whose {field} is {found}: it must be {wanted}")
    return typed_level(level)


@functools.cache
def _forms(size: Size) -> dict[str, str]:
    """Type and shape of every field of a level of ``size``."""
    with jax.ensure_compile_time_eval():
        level = empty_level(size)
    return {
        field.name: _form(getattr(level, field.name)) for field in dataclasses.fields(Level) if field.name != "size"
    }


def _form(value: Any) -> str:
    """Type and shape; of numbers with 64 bits, which ``typed_level`` halves, those with 32."""
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError):
        return _kind(value)
    return f"{str(array.dtype).replace('64', '32')}{list(array.shape)}"


def _kind(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__


def _name(generator: Generator) -> str:
    return getattr(generator, "__name__", str(generator))


@functools.partial(jax.jit, static_argnames=("n", "size", "generator"))
def _sample_levels(key: jax.Array, n: int, size: Size, generator: Generator) -> Level:
    if hasattr(generator, "batch"):
        return varying_like(typed_level(generator.batch(key, n, size)), key)

    def sample(key: jax.Array) -> Level:
        return varying_like(_level(generator, key, size), key)

    return jax.vmap(sample)(jax.random.split(key, n))
