"""Generators by name, and how a name, a file or a function becomes one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from kinetix_ued.user_code import load_function, names_a_file
from kinetix_ued.world import Level, Size, size_of

from .parameters import RandomLevels
from .random import random_level
from .sparse import SparseLevels, sparse_level

Generator = Callable[[jax.Array, Size], Level]
"""``generate(key, size)``: one level. Pure and traceable, with ``size`` static."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """A generator of this package.

    Attributes:
        level: ``level(key, size, parameters)``
        parameters: the class of its parameters; its defaults are the generator's
        summary: what its levels are, in a line
    """

    level: Callable[..., Level]
    parameters: type
    summary: str


GENERATORS: dict[str, Kind] = {
    "random": Kind(random_level, RandomLevels, "the reference's distribution of random levels"),
    "sparse": Kind(sparse_level, SparseLevels, "green, blue and a motor or thruster, and nothing else: ACCEL's start"),
}
"""Generators by name."""


@dataclasses.dataclass(frozen=True)
class Configured:
    """A generator of this package with its parameters. Equal ones hash alike and are compiled once."""

    name: str
    parameters: Any

    def __call__(self, key: jax.Array, size: str | Size) -> Level:
        return GENERATORS[self.name].level(key, size_of(size), self.parameters)

    def __str__(self) -> str:
        return self.name


def make_generator(generator: str | Generator, parameters: Any = None) -> Generator:
    """A generator from a name in ``GENERATORS``, from ``file.py:function``, or the function itself.

    Args:
        generator: see above.
        parameters: of the kind that the named generator takes; its defaults where None.

    Raises:
        ValueError: for an unknown name (the message lists the known ones), a file or function that is not there, or
            parameters of another kind.
    """
    if isinstance(generator, str) and generator in GENERATORS:
        kind = GENERATORS[generator].parameters
        parameters = kind() if parameters is None else parameters
        if not isinstance(parameters, kind):
            raise ValueError(f"generator {generator!r} takes {kind.__name__}, got {type(parameters).__name__}")
        return Configured(generator, parameters)
    if parameters is not None:
        raise ValueError("parameters belong to a generator of GENERATORS: give your own function its own")
    if callable(generator):
        return generator
    if isinstance(generator, str) and names_a_file(generator):
        return load_function(generator)
    known = ", ".join(GENERATORS)
    raise ValueError(f"unknown generator {generator!r}: use one of {known}, or file.py:function for one of your own")
