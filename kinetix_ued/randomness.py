"""Keys of random numbers: one rule for who gets which, so that no two uses can meet.

A key is used once: drawn from, or split, or handed on. The exception is a key that is there to count: it is only ever
folded, each time with another number (of an update, a try, a level). The two must not be mixed on one key, nor a key be
drawn from and folded, because they are the same function: ``jax.random.fold_in(key, i)`` is
``jax.random.split(key, n)[i]`` under JAX's partitionable Threefry.

A training run takes the key of its seed. What draws for other purposes under a seed of the user's takes a stream of it.
"""

from __future__ import annotations

import collections
import functools
from typing import Any

import jax


def stream(seed: int, name: str) -> jax.Array:
    """The key of what draws for one purpose under a seed.

    Args:
        seed: of the user's.
        name: of the purpose, four capital letters. Their ASCII codes are the number that is folded into the seed's key:
            one above a thousand million, which no split reaches.

    Raises:
        ValueError: for another kind of name.
    """
    if len(name) != 4 or not (name.isascii() and name.isalpha() and name.isupper()):
        raise ValueError(f"a stream is named by four capital letters; got {name!r}")
    return jax.random.fold_in(jax.random.key(seed), int.from_bytes(name.encode("ascii"), "big"))


def purposes(key: jax.Array, *names: str) -> Any:
    """A key for each purpose, as a named tuple: ``purposes(key, "levels", "choice").levels``.

    Those of the first names are the same whatever names follow.
    """
    return _purposes(names)(*jax.random.split(key, len(names)))


@functools.cache
def _purposes(names: tuple[str, ...]) -> type:
    return collections.namedtuple("Keys", names)
