"""Physics randomisation: gravity, friction, density and restitution of the levels of any generator."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.levels.builder import with_masses
from kinetix_ued.world import Level, Size, size_of
from kinetix_ued.world.constants import STATIC_POLYGONS

from .checks import check_chances, check_ranges
from .draws import between, uniform
from .generator import Generator


@dataclasses.dataclass(frozen=True)
class PhysicsRanges:
    """What ``randomise_physics`` draws, and from where.

    Raises:
        ValueError: for a probability outside [0, 1], or a range with swapped ends or beyond what physics allows.
    """

    gravity: tuple[float, float] = (-15.0, -4.0)
    """Range of vertical gravity [m/s^2]."""
    normal_gravity_chance: float = 0.2
    """Probability that the level keeps its gravity."""
    zero_gravity_chance: float = 0.05
    """Probability of no gravity at all."""
    friction: tuple[float, float] | None = (0.3, 1.5)
    """Range of friction; None leaves it alone. A level's value is drawn uniformly, as is that of a shape."""
    density: tuple[float, float] | None = (0.4, 2.5)
    """Range of factors that multiply densities, drawn with uniform logarithm; None leaves them alone."""
    restitution: tuple[float, float] | None = (0.0, 0.5)
    """Range of restitution; None leaves it alone. A contact has the lower one of its two bodies'."""
    per_shape: bool = True
    """Each shape gets friction, density and restitution of its own; otherwise all shapes of a level share them."""
    room: bool = True
    """The room's floor, walls and ceiling get friction and restitution too, one value for the four of them."""
    scale_thrusters: bool = True
    """Thrusters' powers grow with the mass of the body they push, so that they accelerate it alone as before."""

    def __post_init__(self):
        check_chances(self, "normal_gravity_chance", "zero_gravity_chance")
        if self.normal_gravity_chance + self.zero_gravity_chance > 1.0:
            raise ValueError(
                "normal_gravity_chance and zero_gravity_chance sum to "
                f"{self.normal_gravity_chance + self.zero_gravity_chance:g}: lower them to 1 at most"
            )
        check_ranges(self, "gravity", low=-100.0, high=100.0)
        bounds = {"friction": (0.0, 100.0), "density": (1e-3, 1e3), "restitution": (0.0, 1.0)}
        for name, (low, high) in bounds.items():
            if getattr(self, name) is not None:
                check_ranges(self, name, low=low, high=high)


def randomise_physics(generator: Generator, ranges: PhysicsRanges = PhysicsRanges()) -> Generator:
    """A generator of the levels of ``generator`` in other physics. Equal arguments make equal generators.

    Masses and inertias follow the new densities. Geometry, joints and roles stay: a level that could be solved
    under one gravity may be impossible, or solve itself, under another.

    Args:
        generator: ``(key, size) -> Level``.
        ranges: what is drawn, and from where.

    Raises:
        ValueError: for something that is no function.
    """
    if not callable(generator):
        raise ValueError(f"generator must be a function (key, size) -> Level; got {generator!r}; see make_generator")
    return _Randomised(generator, ranges)


@dataclasses.dataclass(frozen=True)
class _Randomised:
    generator: Generator
    ranges: PhysicsRanges

    def __call__(self, key: jax.Array, size: str | Size) -> Level:
        key, key_physics = jax.random.split(key)
        return vary_physics(key_physics, self.generator(key, size_of(size)), self.ranges)

    def __str__(self) -> str:
        return f"randomise_physics({getattr(self.generator, '__name__', self.generator)})"


def vary_physics(key: jax.Array, level: Level, ranges: PhysicsRanges) -> Level:
    """``level`` in physics drawn from ``ranges``; see ``randomise_physics``. Traceable, with ``ranges`` static."""
    bodies = level.size.bodies
    room = np.arange(bodies) < STATIC_POLYGONS
    key_level, key_shapes = jax.random.split(key)
    u_gravity, u_kind, *u_room = uniform(key_level, (4,))
    u = uniform(key_shapes, (3, bodies if ranges.per_shape else 1))

    drawn = jnp.where(
        u_kind < ranges.normal_gravity_chance + ranges.zero_gravity_chance, 0.0, between(u_gravity, *ranges.gravity)
    )
    gravity = jnp.where(u_kind < ranges.normal_gravity_chance, level.gravity, jnp.stack([jnp.zeros_like(drawn), drawn]))
    level = level.replace(gravity=gravity)
    for name, of_shapes, of_room in zip(("friction", "restitution"), u, u_room, strict=False):
        bounds = getattr(ranges, name)
        if bounds is not None:
            old = getattr(level, name)
            surfaces = between(of_room, *bounds) if ranges.room else old
            level = level.replace(**{name: jnp.where(room, surfaces, between(of_shapes, *bounds))})
    if ranges.density is None:
        return level
    factor = jnp.where(room, 1.0, jnp.exp(between(u[2], *map(math.log, ranges.density))))
    free = level.inverse_mass != 0
    level = with_masses(level.replace(density=level.density * factor), free)
    if not ranges.scale_thrusters:
        return level
    here = level.thruster_body[:, None] == jnp.arange(bodies)
    return level.replace(thruster_power=level.thruster_power * jnp.sum(jnp.where(here, factor, 0.0), axis=1))
