"""Imitation: a student's distributions are drawn to those of a teacher in the states that either of them reaches.

The loss is KL(teacher || student), the cross-entropy up to a constant. On the student's own states that is DAgger with
distributions (Ross, Gordon and Bagnell 2011, arXiv:1011.0686; Czarnecki et al. 2019, arXiv:1902.02186). Where the
teacher is certain, as a recorded proof is, it is behaviour cloning.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from .distributions import DiagonalGaussian, Distribution

ALIKE = 0.1
"""Continuous actions that are not farther apart agree."""


class Lesson(NamedTuple):
    """What a teacher says about decisions (...) of a student.

    Attributes:
        teacher: its distribution over actions (...)
        parts: parts of an action that can matter (..., parts) bool; None: all
        weight: of each decision in the loss; 0 where the teacher has nothing to say (...)
        own: the student's own action was taken, not the teacher's (...) bool
    """

    teacher: Distribution
    parts: jax.Array | None
    weight: jax.Array
    own: jax.Array


def imitation_loss(student: Distribution, lesson: Lesson) -> dict[str, jax.Array]:
    """How far the student is from the teacher, as weighted means over decisions.

    Returns:
        ``imitation``: KL(teacher || student), summed over the parts of an action that matter [nat] ();
        ``agreement``: the share of those parts in which the most likely choices of both are the same ()
    """
    divergence = lesson.teacher.divergence(student, lesson.parts)
    one, other = student.mode(), lesson.teacher.mode()
    same = jnp.abs(one - other) <= ALIKE if isinstance(student, DiagonalGaussian) else one == other
    count = jnp.ones_like(same) if lesson.parts is None else lesson.parts
    count = lesson.weight.reshape(lesson.weight.shape + (1,) * (same.ndim - lesson.weight.ndim)) * count
    return {
        "imitation": (lesson.weight * divergence).sum() / jnp.maximum(lesson.weight.sum(), 1e-8),
        "agreement": (count * same).sum() / jnp.maximum(count.sum(), 1e-8),
    }
