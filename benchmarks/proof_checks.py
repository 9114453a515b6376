"""Whether proofs hold: the test that recorded actions still solve their level, and most disturbed starts of it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.environment import KinetixEnv, make
from kinetix_ued.levels import hash_text
from kinetix_ued.world import Level, Size

from .proofs import Proof
from .solver.disturbance import DISTURBANCE, disturbed
from .solver.rollout import Outcome, play

ROBUST_DRAWS, DRAWS = 8, 10
"""A proof is robust if it solves this many of so many disturbed starts."""


@dataclasses.dataclass(frozen=True)
class ProofCheck:
    """What became of a proof when it was played.

    Attributes:
        solved: the undisturbed level was solved
        steps: environment steps that took
        robust: disturbed starts that were solved
        draws: disturbed starts that were tried
    """

    solved: bool
    steps: int
    robust: int
    draws: int

    @property
    def holds(self) -> bool:
        """Whether the level is solved, and so are 8 of 10 disturbed starts."""
        return self.solved and self.robust * DRAWS >= self.draws * ROBUST_DRAWS


def check_proof(
    level: Level,
    proof: Proof,
    *,
    engine: str = "auto",
    draws: int = DRAWS,
    disturbance: float = DISTURBANCE,
    key: jax.Array | None = None,
) -> ProofCheck:
    """Play a proof in its level, undisturbed and in disturbed starts; see ``check_proofs``."""
    return check_proofs([level], [proof], engine=engine, draws=draws, disturbance=disturbance, key=key)[0]


def check_proofs(
    levels: Sequence[Level],
    proofs: Sequence[Proof],
    *,
    engine: str = "auto",
    draws: int = DRAWS,
    disturbance: float = DISTURBANCE,
    key: jax.Array | None = None,
) -> list[ProofCheck]:
    """Play every proof in its level; levels of one size and frame skip together in one program.

    Args:
        levels: single levels of any size.
        proofs: one for each.
        engine: ``jax``, ``warp`` or ``auto``.
        draws: disturbed starts for each proof.
        disturbance: how far a start is moved at most [m]; see ``disturb``.
        key: of the disturbances; seed 0 by default. Each proof's draws do not depend on the others.

    Raises:
        ValueError: for another number of proofs than levels, or a proof of another level.
    """
    if len(levels) != len(proofs):
        raise ValueError(f"each level needs one proof; got {len(levels)} levels and {len(proofs)} proofs")
    if draws < 1:
        raise ValueError(f"draws must be at least 1; got {draws}")
    for number, (level, proof) in enumerate(zip(levels, proofs)):
        if (found := hash_text(level)) != proof.level:
            raise ValueError(
                f"proof {number} is of level {proof.level}, and the level's content hash is {found}: "
                "solve the level again, it was changed"
            )
    key = jax.random.key(0) if key is None else key
    groups: dict[tuple[Size, int], list[int]] = {}
    for number, (level, proof) in enumerate(zip(levels, proofs)):
        groups.setdefault((level.size, proof.frame_skip), []).append(number)
    checks: dict[int, ProofCheck] = {}
    for (size, frame_skip), members in groups.items():
        env = make(size, observation="blind", actions="multi_discrete", engine=engine, frame_skip=frame_skip)
        batch = jax.tree.map(lambda *leaves: np.stack(leaves), *(levels[m] for m in members))
        actions = np.zeros((len(members), env.max_steps, env.actions.shape[0]), np.int8)
        for row, member in enumerate(members):
            recorded = proofs[member].actions[: env.max_steps]
            actions[row, : len(recorded)] = recorded
        outcome = jax.device_get(_play(env, draws, key, batch, actions, np.float32(disturbance)))
        for row, member in enumerate(members):
            goal, steps = outcome.goal[row], outcome.steps[row]
            checks[member] = ProofCheck(bool(goal[0]), int(steps[0]), int(goal[1:].sum()), draws)
    return [checks[number] for number in range(len(levels))]


@functools.partial(jax.jit, static_argnums=(0, 1))
def _play(
    env: KinetixEnv, draws: int, key: jax.Array, levels: Level, actions: jax.Array, disturbance: jax.Array
) -> Outcome:
    """Outcomes (L, 1 + draws) of actions (L, T, 6) in L levels; the first start is the undisturbed one."""
    keys = jax.random.split(key, draws + 1)
    starts = jax.vmap(disturbed, in_axes=(None, 0, None))(keys, levels, disturbance)
    starts = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), starts)
    count = len(levels) * (draws + 1)
    ones = jnp.ones(count, jnp.int32)
    outcome = play(env, starts, jnp.repeat(actions, draws + 1, axis=0), ones, ones * env.max_steps)
    return jax.tree.map(lambda x: x.reshape(len(levels), draws + 1), outcome)
