"""The scene as a picture."""

from __future__ import annotations

import dataclasses

import jax
from flax import struct

from kinetix_ued.viewer.render import check_resolution, render
from kinetix_ued.world import Level, WorldState

from .base import Observation
from .features import gravity_feature


@struct.dataclass
class PixelsObservation:
    """A picture, and what cannot be seen in it.

    Attributes:
        image: RGB in [0, 1], axes x to the right, y up (pixels, pixels, 3)
        gravity: vertical, in units of 10 m/s^2 (1)
    """

    image: jax.Array
    gravity: jax.Array


@dataclasses.dataclass(frozen=True)
class Pixels(Observation):
    """A ``PixelsObservation`` of the scene: 125 x 125 pixels of 4 cm, as the reference's, unless told otherwise.

    Raises:
        ValueError: for numbers of pixels or samples that cannot be.
    """

    pixels: int = 125
    """Width and height of the picture."""
    supersample: int = 1
    """Samples of a pixel in each direction; more than 1 makes smooth edges."""

    name = "pixels"

    def __post_init__(self):
        check_resolution(self.pixels, self.supersample)

    def observe(self, level: Level, world: WorldState, time: jax.Array) -> PixelsObservation:
        image = render(level, world, pixels=self.pixels, supersample=self.supersample)
        return PixelsObservation(image=image, gravity=gravity_feature(level)[None])
