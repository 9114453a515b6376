"""Whether arrays fit the machine, from their shapes alone: too large a network is refused before it is allocated."""

from __future__ import annotations

import os
from typing import Any

import jax


def refuse_too_large(shapes: Any, what: str, times: int = 1) -> None:
    """Raise ValueError where a pytree of arrays, or of their shapes, is larger than the memory of the device.

    Args:
        shapes: leaves with ``shape`` and ``dtype``.
        what: they are, in words.
        times: how many of them there are.
    """
    # A PRNG key's type has no size of its own; keys are few.
    needed = times * sum(x.size * getattr(x.dtype, "itemsize", 8) for x in jax.tree.leaves(shapes))
    if (there := device_memory()) is not None and needed > there:
        raise ValueError(
            f"{what} would take {needed / 2**30:.3g} GiB, and there are {there / 2**30:.3g} GiB of memory: use a "
            "smaller head_width, network_width, recurrent_size, buffer_size or fewer environments"
        )


def device_memory() -> int | None:
    """Bytes of memory of the first device, of the machine where that is a CPU; None where it is not known."""
    device = jax.local_devices()[0]
    if device.platform != "cpu":
        return (device.memory_stats() or {}).get("bytes_limit")
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not every platform can tell
        return None
