"""How many bodies, joints and thrusters a world has room for: the static shape of every array."""

from __future__ import annotations

import dataclasses
import functools
import re

import numpy as np

from .constants import SOLVER_GROUP, STATIC_POLYGONS


@dataclasses.dataclass(frozen=True)
class Size:
    """Slots of a world. Bodies share one axis of length ``bodies``: polygons first, then circles.

    Raises:
        ValueError: for fewer than five polygons (four are the room) or fewer than one slot of another kind.
    """

    polygons: int
    """Polygon slots, the four static ones (floor, left wall, right wall, ceiling) included."""
    circles: int
    """Circle slots."""
    joints: int
    """Joint slots."""
    thrusters: int
    """Thruster slots."""

    def __post_init__(self):
        if self.polygons <= STATIC_POLYGONS:
            raise ValueError(f"a size needs at least {STATIC_POLYGONS + 1} polygons, four of them are the room; got {self.polygons}")
        for kind in ("circles", "joints", "thrusters"):
            if getattr(self, kind) < 1:
                raise ValueError(f"a size needs at least one slot for {kind}; got {getattr(self, kind)}")

    @property
    def bodies(self) -> int:
        return self.polygons + self.circles

    @property
    def name(self) -> str:
        """``s``, ``m``, ``l``, or the counts of a custom size, as ``size_of`` reads them back."""
        names = {size: name for name, size in SIZES.items()}
        return names.get(self, f"{self.polygons}p{self.circles}c{self.joints}j{self.thrusters}t")

    @property
    def contacts(self) -> int:
        """Contact points: two for each polygon pair, one for every other pair. See ``pairs`` for their order."""
        return sum(len(pairs) for pairs in self.pairs)

    @functools.cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Body pairs (n, 2) of the four contact kinds, in the order in which contacts are stored and solved.

        Polygon pairs' first points, polygon pairs' second points (the same pairs), circle-polygon (circle first),
        circle-circle. Pairs of two static polygons do not exist.
        """
        polygons, circles = range(self.polygons), range(self.polygons, self.bodies)
        polygon_polygon = [(a, b) for a in polygons for b in polygons if a < b and b >= STATIC_POLYGONS]
        circle_polygon = [(c, p) for c in circles for p in polygons]
        circle_circle = [(a, b) for a in circles for b in circles if a < b]
        as_array = lambda pairs: np.asarray(pairs, np.int32).reshape(-1, 2)
        first = as_array(polygon_polygon)
        return first, first.copy(), as_array(circle_polygon), as_array(circle_circle)

    @functools.cached_property
    def contact_bodies(self) -> np.ndarray:
        """The two bodies of every contact (contacts, 2), in storage order."""
        return np.concatenate(self.pairs)

    def groups(self, kind: int) -> int:
        """In how many groups, one after the other, the contacts of a kind are solved."""
        return -(-len(self.pairs[kind]) // SOLVER_GROUP)

    def holds(self, other: Size) -> bool:
        """Whether a level of size ``other`` fits."""
        return all(getattr(self, f.name) >= getattr(other, f.name) for f in dataclasses.fields(self))

    def joined(self, other: Size) -> Size:
        """The smallest size in which levels of both fit.

        >>> Size(6, 2, 1, 1).joined(Size(5, 3, 1, 1)).name
        '6p3c1j1t'
        """
        return Size(*(max(getattr(self, f.name), getattr(other, f.name)) for f in dataclasses.fields(self)))


SIZES = {
    "s": Size(polygons=5, circles=2, joints=1, thrusters=1),
    "m": Size(polygons=6, circles=3, joints=2, thrusters=2),
    "l": Size(polygons=12, circles=4, joints=6, thrusters=2),
}


def size_of(size: str | Size) -> Size:
    """The ``Size`` of a name: ``s``, ``m``, ``l`` or counts as in ``8p2c4j2t``; a ``Size`` is returned as it is.

    >>> size_of("m").bodies
    9
    >>> size_of("8p2c4j2t")
    Size(polygons=8, circles=2, joints=4, thrusters=2)

    Raises:
        ValueError: for an unknown name, or counts too small.
    """
    if isinstance(size, Size):
        return size
    if size in SIZES:
        return SIZES[size]
    counts = re.fullmatch(r"(\d+)p(\d+)c(\d+)j(\d+)t", str(size))
    if counts is None:
        raise ValueError(f"unknown size {size!r}: use one of {', '.join(SIZES)}, or counts such as '8p2c4j2t'")
    return Size(*(int(count) for count in counts.groups()))
