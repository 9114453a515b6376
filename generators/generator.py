"""What a generator is."""

from __future__ import annotations

from collections.abc import Callable

import jax

from kinetix_ued.world import Level, Size

Generator = Callable[[jax.Array, Size], Level]
"""``generate(key, size)``: one level. Pure and traceable, with ``size`` static.

An object may also have ``batch(key, n, size)``: n levels with a leading axis, where that costs less than one by one.
"""
