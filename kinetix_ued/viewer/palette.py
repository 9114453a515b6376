"""Colours: what each means, and three channels in one number."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

BACKGROUND = (255, 255, 255)
"""Where nothing is."""

INK = (0, 0, 0)
"""Outlines, and the line that shows how a circle has turned."""

ROLE_COLOURS = ((160, 160, 160), (0, 204, 0), (0, 102, 204), (255, 102, 102))
"""Bodies by their role: none, green, blue, red."""

FIXED_SHADE = 0.5
"""Multiplies the colour of a fixed body."""

BINDING_COLOURS = ((255, 255, 0), (255, 0, 255), (0, 255, 255), (255, 153, 51))
"""Motors and thrusters by the channel of the action that drives them."""

PASSIVE_COLOUR = (255, 255, 255)
"""Joints without a motor, fixed joints among them."""

FLAME_SHADE = 196 / 255
"""Multiplies the binding's colour in a thruster's flame."""

NOZZLE_COLOUR = (93, 93, 93)
"""The nozzle of a thruster."""

_BITS = 10
_FULL = 1020.0
"""A channel in 10 bits: quarters of 1/255, so that halves of every colour above are exact."""


def pack(colours: jax.Array | np.ndarray | tuple) -> np.ndarray:
    """RGB of 0 to 255 (..., 3) as one uint32 (...)."""
    channels = np.round(np.asarray(colours, np.float64) * (_FULL / 255)).astype(np.uint32)
    return (channels << np.arange(0, 3 * _BITS, _BITS, dtype=np.uint32)).sum(axis=-1, dtype=np.uint32)


def unpack(codes: jax.Array) -> jax.Array:
    """Codes (...) as RGB of 0 to 1 (..., 3) float32."""
    shifts = jnp.arange(0, 3 * _BITS, _BITS, dtype=jnp.uint32)
    channels = (codes[..., None] >> shifts) & jnp.uint32((1 << _BITS) - 1)
    return channels.astype(jnp.float32) * np.float32(1 / _FULL)


def body_codes(role: jax.Array, fixed: jax.Array) -> jax.Array:
    """Codes (N) of bodies by their role (N) int32 and whether they are fixed (N) bool."""
    plain = pack(ROLE_COLOURS)
    dark = pack(np.asarray(ROLE_COLOURS) * FIXED_SHADE)
    return jnp.where(fixed, jnp.asarray(dark)[role], jnp.asarray(plain)[role])
