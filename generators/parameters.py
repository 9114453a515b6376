"""What the random-level distribution depends on."""

from __future__ import annotations

import dataclasses
import math

from kinetix_ued.world.constants import FLOOR_HEIGHT, ROOM_SIZE


@dataclasses.dataclass(frozen=True)
class RandomLevels:
    """Parameters of the random-level distribution; the defaults are the reference's.

    Raises:
        ValueError: for a probability outside [0, 1], shares that do not sum to 1, a range whose ends are swapped,
            or shape sizes that contradict each other or the room.
    """

    candidates: int = 8
    """Places tried for each new shape; the first with the fewest contacts is taken. One in sizes for three shapes."""
    max_shape_size: float = 1.0
    """Diagonal of the largest square [m]; long rectangles exceed it."""
    goal_size_factor: float = 1.0
    """Multiplies ``max_shape_size`` of freely placed green and blue shapes."""
    min_half_extent: float = 0.05
    """Smallest half side of a rectangle [m]."""
    min_radius: float = 0.1
    """Smallest radius of a circle [m]."""
    circle_size: float = 0.8
    """Diameter of the largest circle, in units of ``max_shape_size``."""
    long_side_chance: float = 0.3
    """Probability that one side of a rectangle, drawn at random, is lengthened."""
    long_side_factor: float = 2.0
    """By how much it is lengthened."""

    opposite_sides_chance: float = 0.5
    """Probability that a green shape is confined to the left half, or a blue one to the right half."""
    fixed_chance_min: float = 0.02
    """Probability of being fixed, for a freely placed shape without mass."""
    fixed_chance_per_mass: float = 4.0
    """How it grows with mass [1/kg]."""
    fixed_chance_max: float = 1.0
    """Where that growth ends."""
    fixed_lower_chance: float = 0.0
    """Probability that a fixed shape in the upper half of the room moves to the lower one."""
    fixed_lower_chance_coloured: float = 0.6
    """What a green, blue or red shape adds to it."""

    connected_share: float = 0.35
    """Probability that a slot is given to a shape joined to another one."""
    free_share: float = 0.35
    """Probability that it is given to a shape placed freely."""
    nothing_share: float = 0.3
    """Probability that it stays empty."""
    thruster_chance: float = 0.3
    """Probability of each thruster after the first."""

    revolute_chance: float = 0.5
    """Probability that a joint is revolute, once there are ``min_revolute`` of them."""
    min_revolute: int = 2
    """The first joints of a level, as many as this, are revolute."""
    connect_to_fixed_weight: float = 0.05
    """Weight of a fixed shape among those that a new one may be joined to; a free one weighs 1."""
    protrusion: float = 0.05
    """How far [m] each of two joined shapes must be able to stick out from behind the other."""
    hidden_penalty: float = 10.0
    """A candidate that cannot counts as having this many contacts more."""

    motor_chance: float = 0.8
    """Probability that a revolute joint has a motor."""
    motor_speed: tuple[float, float] = (0.4, 3.0)
    """Range of motor speeds [6 rad/s]."""
    motor_power: tuple[float, float] = (1.0, 3.0)
    """Range of motor powers between two polygons."""
    wheel_power: tuple[float, float] = (1.0, 1.0)
    """Range of motor powers where one of the shapes is a circle: strong wheels make the physics unstable."""
    limit_chance: float = 0.4
    """Probability that a revolute joint between two polygons is limited."""
    limit_max: float = math.pi
    """Largest limit, to either side [rad]."""

    thruster_power: tuple[float, float] = (1.0, 4.0)
    """Range of thruster powers, per mass of the body pushed [10 N / kg]."""
    thruster_aligned_chance: float = 0.8
    """Probability that a thruster's line of force passes through the centre of mass."""

    floor_shares: tuple[float, float, float, float] = (0.9, 0.0, 0.02, 0.08)
    """Probabilities of a plain, green, blue and red floor."""

    def __post_init__(self):
        for name in PROBABILITIES:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is a probability, between 0 and 1; got {getattr(self, name)}")
        for name in RANGES:
            low, high = getattr(self, name)
            if not low <= high:
                raise ValueError(f"{name} is a range (low, high); got {getattr(self, name)}")
        if len(self.floor_shares) != 4:
            raise ValueError(f"floor_shares are four probabilities (plain, green, blue, red); got {self.floor_shares}")
        kinds = (self.connected_share, self.free_share, self.nothing_share)
        sums = {"connected_share + free_share + nothing_share": kinds, "floor_shares": self.floor_shares}
        for name, shares in sums.items():
            if not (min(shares) >= 0.0 and abs(sum(shares) - 1.0) < 1e-6):
                raise ValueError(f"{name} must not be negative and must sum to 1; got {shares}")
        if self.candidates < 1:
            raise ValueError(f"candidates must be at least 1; got {self.candidates}")
        self._check_sizes()

    def _check_sizes(self):
        sizes = self.max_shape_size, self.max_shape_size * self.goal_size_factor
        if not (
            min(sizes) / 2 / math.sqrt(2) >= self.min_half_extent > 0
            and min(sizes) / 2 * self.circle_size >= self.min_radius > 0
        ):
            raise ValueError(
                "the largest shapes are smaller than the smallest: raise max_shape_size, goal_size_factor or "
                f"circle_size, or lower min_half_extent or min_radius; max_shape_size is {self.max_shape_size}"
            )
        widest = max(sizes) * max(self.long_side_factor, self.circle_size, 1.0)
        if not widest <= ROOM_SIZE - FLOOR_HEIGHT:
            raise ValueError(
                f"the largest shapes, {widest:.3g} m, do not fit into the room of {ROOM_SIZE - FLOOR_HEIGHT:.3g} m: "
                "lower max_shape_size, goal_size_factor or long_side_factor"
            )


PROBABILITIES = (
    *("long_side_chance", "opposite_sides_chance", "fixed_chance_min", "fixed_chance_max", "fixed_lower_chance"),
    *("fixed_lower_chance_coloured", "thruster_chance", "revolute_chance", "motor_chance", "limit_chance"),
    *("thruster_aligned_chance",),
)
"""Fields that must lie between 0 and 1."""

RANGES = ("motor_speed", "motor_power", "wheel_power", "thruster_power")
"""Fields that are a lowest and a highest value."""

DEFAULT = RandomLevels()
"""The reference's distribution."""
