"""What every observation is."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from kinetix_ued.world import Level, Size, WorldState, empty_level, start


class Observation:
    """A view of one scene. Subclasses are frozen dataclasses: equal options make equal, hashable observations.

    A new one gives ``name`` and ``observe`` and is entered in ``OBSERVATIONS``.
    """

    name: ClassVar[str]
    """What ``kinetix_ued.make`` calls it."""

    def observe(self, level: Level, world: WorldState, time: jax.Array) -> Any:
        """The view of one scene, any pytree of arrays; ``time`` counts the steps taken in the episode () int32."""
        raise NotImplementedError

    def space(self, size: Size) -> Any:
        """Shapes and dtypes of ``observe``'s arrays for a level of ``size``, as ``jax.ShapeDtypeStruct``."""

        def example() -> Any:
            level = empty_level(size)
            return self.observe(level, start(level), jnp.int32(0))

        return jax.eval_shape(example)
