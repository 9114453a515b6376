"""Generators by name, and how a name, a file or a function becomes one."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax

from kinetix_ued.user_code import load_function, names_a_file
from kinetix_ued.world import SIZES, Level, Size, size_of

from .arms import ArmLevels, arm_level
from .balance import BalanceLevels, balance_forms, balance_level
from .contraptions import ContraptionLevels, contraption_forms, contraption_level
from .flight import FlightLevels, flight_level
from .generator import Generator
from .locomotion import LocomotionLevels, locomotion_level
from .mixture import Mixture, mixed_sizes, mixture
from .parameters import RandomLevels
from .physics import PhysicsRanges, randomise_physics
from .platforms import PlatformLevels, platform_level
from .pushing import PushingLevels, pushing_level
from .random import random_level
from .sparse import SparseLevels, sparse_level
from .triangles import TriangleLevels, triangle_level
from .vehicles import VehicleLevels, vehicle_level


@dataclasses.dataclass(frozen=True)
class Kind:
    """A generator of this package.

    Attributes:
        level: ``level(key, size, parameters)``
        parameters: the class of its parameters; its defaults are the generator's
        summary: what its levels are, in a line
        composed: ``composed(size, parameters)``, the mixture that it is, where it is one
    """

    level: Callable[..., Level]
    parameters: type
    summary: str
    composed: Callable[..., Mixture] | None = None


def physics_level(key: jax.Array, size: str | Size, parameters: PhysicsRanges = PhysicsRanges()) -> Level:
    """One random level in random physics; see ``randomise_physics``."""
    return randomise_physics(random_level, parameters)(key, size_of(size))


def mixture_of_sizes(size: Size, parameters: RandomLevels = RandomLevels()) -> Mixture:
    """Random levels of the standard sizes that ``size`` holds, all equally likely."""
    fitting = [name for name, known in SIZES.items() if size.holds(known)] or [size]
    return mixed_sizes(fitting, Configured("random", parameters))


def mixed_sizes_level(key: jax.Array, size: str | Size, parameters: RandomLevels = RandomLevels()) -> Level:
    """One random level of one of the standard sizes that ``size`` holds, as the reference's ``random_all``."""
    size = size_of(size)
    return mixture_of_sizes(size, parameters)(key, size)


@dataclasses.dataclass(frozen=True)
class MixtureLevels:
    """Parameters of the mixture of this package's kinds of levels.

    Raises:
        ValueError: for no kind at all, or a share outside [0, 1].
    """

    random_share: float = 0.5
    """Probability of a random level."""
    others: tuple[str, ...] = ("triangles", "locomotion", "vehicles", "pushing", "physics")
    """Kinds by name that share the rest equally, as far as they have levels of the size."""

    def __post_init__(self):
        if not 0.0 <= self.random_share <= 1.0:
            raise ValueError(f"random_share is a probability, between 0 and 1; got {self.random_share}")
        if not self.others:
            raise ValueError("a mixture needs other kinds beside random levels: name some of GENERATORS")


def mixture_of_kinds(size: Size, parameters: MixtureLevels = MixtureLevels()) -> Mixture:
    """The kinds of ``parameters`` that have levels of ``size``, by their shares.

    Raises:
        ValueError: for an unknown kind.
    """
    others = [generator for name in parameters.others if has_levels(generator := make_generator(name), size)]
    share = (1.0 - parameters.random_share) / max(len(others), 1)
    parts = [(make_generator("random"), 1.0 - share * len(others)), *((other, share) for other in others)]
    return mixture(parts)


def mixture_level(key: jax.Array, size: str | Size, parameters: MixtureLevels = MixtureLevels()) -> Level:
    """One level of a kind drawn by the shares of ``parameters``; see ``mixture`` for one of your own.

    Raises:
        ValueError: for an unknown kind.
    """
    size = size_of(size)
    return mixture_of_kinds(size, parameters)(key, size)


@dataclasses.dataclass(frozen=True)
class GenreLevels:
    """Parameters of the mixture of genres.

    Raises:
        ValueError: for no genre, one that comes twice, or weights that are not positive.
    """

    weights: tuple[tuple[str, float], ...] = (
        ("random", 0.25),
        ("flight", 0.2),
        ("balance", 0.15),
        ("vehicles", 0.1),
        ("arms", 0.1),
        ("contraptions", 0.1),
        ("platforms", 0.05),
        ("locomotion", 0.03),
        ("pushing", 0.02),
    )
    """Kinds by name with their weights; those that have no levels of a size leave their share to the others."""

    def __post_init__(self):
        names = [name for name, _ in self.weights]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"a mixture of genres needs each genre once, and one at least; got {names}")
        if not all(weight > 0 for _, weight in self.weights):
            raise ValueError(f"weights of genres must be positive; got {dict(self.weights)}")


@functools.cache
def mixture_of_genres(size: Size, parameters: GenreLevels = GenreLevels()) -> Mixture:
    """The genres of ``parameters`` that have levels of ``size``, by their weights.

    Raises:
        ValueError: for an unknown kind, or where none has levels of the size.
    """
    there = [
        (generator, weight)
        for name, weight in parameters.weights
        if has_levels(generator := make_generator(name), size)
    ]
    total = sum(weight for _, weight in there)
    return mixture([(generator, weight / total) for generator, weight in there])


def genre_level(key: jax.Array, size: str | Size, parameters: GenreLevels = GenreLevels()) -> Level:
    """One level of a genre drawn by the weights of ``parameters``.

    Raises:
        ValueError: as ``mixture_of_genres``.
    """
    size = size_of(size)
    return mixture_of_genres(size, parameters)(key, size)


GENERATORS: dict[str, Kind] = {
    "random": Kind(random_level, RandomLevels, "the reference's distribution of random levels"),
    "triangles": Kind(triangle_level, TriangleLevels, "random levels in which some rectangles are triangles"),
    "physics": Kind(physics_level, PhysicsRanges, "random levels in random gravity, friction, density and restitution"),
    "locomotion": Kind(locomotion_level, LocomotionLevels, "walkers of random morphology that must reach a target"),
    "vehicles": Kind(vehicle_level, VehicleLevels, "wheeled vehicles on terrain"),
    "pushing": Kind(pushing_level, PushingLevels, "objects and stacks to be pushed or thrown to a goal"),
    "flight": Kind(flight_level, FlightLevels, "craft with thrusters among walls with gaps and obstacles"),
    "balance": Kind(
        balance_level, BalanceLevels, "unicycles, carts with poles and poles to be swung up", balance_forms
    ),
    "arms": Kind(arm_level, ArmLevels, "arms that reach for the target or push a ball there"),
    "contraptions": Kind(
        contraption_level, ContraptionLevels, "beams, flippers, rollers and gates that motors move", contraption_forms
    ),
    "platforms": Kind(platform_level, PlatformLevels, "carts and balls on shelves, on their way down or up"),
    "sparse": Kind(sparse_level, SparseLevels, "green, blue and a motor or thruster, and nothing else: ACCEL's start"),
    "mixed_sizes": Kind(
        mixed_sizes_level, RandomLevels, "random levels of all standard sizes, padded to one", mixture_of_sizes
    ),
    "mixture": Kind(
        mixture_level, MixtureLevels, "half random levels, half other kinds that fit the size", mixture_of_kinds
    ),
    "genres": Kind(
        genre_level,
        GenreLevels,
        "what people build: craft, vehicles, balances, walkers and more beside random levels",
        mixture_of_genres,
    ),
}
"""Generators by name."""


@dataclasses.dataclass(frozen=True)
class Configured:
    """A generator of this package with its parameters. Equal ones hash alike and are compiled once."""

    name: str
    parameters: Any

    def __call__(self, key: jax.Array, size: str | Size) -> Level:
        return GENERATORS[self.name].level(key, size_of(size), self.parameters)

    def batch(self, key: jax.Array, n: int, size: str | Size) -> Level:
        """``n`` levels with a leading axis; see ``Mixture.batch`` for those that are mixtures."""
        size, kind = size_of(size), GENERATORS[self.name]
        if kind.composed is not None:
            return kind.composed(size, self.parameters).batch(key, n, size)
        return jax.vmap(lambda key: kind.level(key, size, self.parameters))(jax.random.split(key, n))

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


def has_levels(generator: Generator, size: Size) -> bool:
    """Whether a generator takes levels of ``size``, or refuses it; nothing is compiled."""
    try:
        jax.eval_shape(lambda key: generator(key, size), jax.random.key(0))
    except ValueError:
        return False
    return True
