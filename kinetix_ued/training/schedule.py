"""How the learning rate changes over a run."""

from __future__ import annotations

from collections.abc import Callable

import optax


def constant(rate: float, steps: int, warmup: float) -> optax.Schedule:
    """The same all along."""
    return optax.constant_schedule(rate)


def linear(rate: float, steps: int, warmup: float) -> optax.Schedule:
    """Falling linearly to zero."""
    return optax.linear_schedule(rate, 0.0, steps)


def cosine(rate: float, steps: int, warmup: float) -> optax.Schedule:
    """Falling to zero along half a cosine (Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts)."""
    return optax.cosine_decay_schedule(rate, steps)


def warmup_cosine(rate: float, steps: int, warmup: float) -> optax.Schedule:
    """Rising linearly from zero for a share ``warmup`` of the steps, then falling to zero along half a cosine."""
    rising = min(round(warmup * steps), steps - 1)
    return optax.warmup_cosine_decay_schedule(0.0, rate, rising, steps) if rising else cosine(rate, steps, warmup)


SCHEDULES: dict[str, Callable[[float, int, float], optax.Schedule]] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "warmup-cosine": warmup_cosine,
}
"""Schedules by name: ``schedule(rate, steps, warmup)`` gives the rate at each of the optimiser's ``steps``."""
