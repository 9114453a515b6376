"""Proofs that levels can be solved: recorded actions, and the test that they still solve a disturbed start."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from msgspec import Meta

from kinetix_ued.environment import KinetixEnv, make, make_actions
from kinetix_ued.levels import hash_text
from kinetix_ued.whole import whole_file
from kinetix_ued.world import Level, Size
from kinetix_ued.writable import refuse_existing

from .documents import Kind, broken, read_document
from .solver.disturbance import DISTURBANCE, disturbed
from .solver.rollout import Outcome, play

SCHEMA = "kinetix-ued/proof"
SCHEMA_VERSION = 1

ROBUST_DRAWS, DRAWS = 8, 10
"""A proof is robust if it solves this many of so many disturbed starts."""

LONGEST = 100_000
"""Most actions that a proof may hold: its rows are repeated, so that a small file could ask for any amount of memory."""

_ACTIONS = make_actions("multi_discrete")

_Choice = Annotated[int, Meta(ge=0, le=max(_ACTIONS.heads) - 1)]


class _Fields(TypedDict):
    """A proof's document; a row of its sequence is how often an action is repeated, and the action."""

    level: Annotated[str, Meta(pattern="^[0-9a-f]{1,64}$")]
    actions: Literal["multi_discrete"]
    frame_skip: Annotated[int, Meta(ge=1, le=LONGEST)]
    steps: Annotated[int, Meta(ge=1, le=LONGEST)]
    sequence: Annotated[
        list[tuple[Annotated[int, Meta(ge=1, le=LONGEST)], _Choice, _Choice, _Choice, _Choice, _Choice, _Choice]],
        Meta(min_length=1),
    ]


PROOF = Kind("a proof", SCHEMA, SCHEMA_VERSION, _Fields, "solve the level again")
"""Actions that solve a level, in a file."""


@dataclasses.dataclass(frozen=True)
class Proof:
    """Actions that solve a level.

    They may go on after the step in which the undisturbed level is solved, for starts that need a little longer; after
    the last one nothing is pressed until the episode ends.

    Attributes:
        level: content hash of the level, as ``hash_text`` gives it
        steps: environment steps until the goal, from the undisturbed start
        actions: multi-discrete (T, 6), T at least ``steps``
        frame_skip: frames in a step

    Raises:
        ValueError: for actions that are none, or fewer than ``steps``.
    """

    level: str
    steps: int
    actions: np.ndarray
    frame_skip: int = 2

    def __post_init__(self):
        object.__setattr__(self, "actions", _ACTIONS.check(self.actions))
        if not 1 <= self.steps <= len(self.actions):
            raise ValueError(
                f"steps is {self.steps} and there are {len(self.actions)} actions: record all up to the goal"
            )
        if self.frame_skip < 1:
            raise ValueError(f"frame_skip must be at least 1; got {self.frame_skip}")

    def to_dict(self) -> dict[str, Any]:
        """The proof ready for JSON, its actions run-length coded: [repeat, six choices]."""
        rows = [[len(list(group)), *action] for action, group in groupby(map(tuple, self.actions.tolist()))]
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "level": self.level,
            "actions": _ACTIONS.name,
            "frame_skip": self.frame_skip,
            "steps": self.steps,
            "sequence": rows,
        }


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


def load_proof(path: str | os.PathLike[str]) -> Proof:
    """The proof in a file.

    Raises:
        ValueError: for a file that holds something else, naming the file and the field.
    """
    document = read_document(path, PROOF)
    rows = np.array(document["sequence"], np.int64)
    if rows[:, 0].sum() > LONGEST:
        raise broken(path, PROOF, "sequence", f"it has more than {LONGEST} actions")
    try:
        actions = np.repeat(rows[:, 1:], rows[:, 0], axis=0)
        return Proof(document["level"], document["steps"], actions, document["frame_skip"])
    except ValueError as problem:
        raise broken(path, PROOF, "sequence", str(problem)) from None


def save_proof(proof: Proof, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a proof, whole or not at all; folders are made as needed.

    Raises:
        FileExistsError: there is such a file and ``overwrite`` is not set.
    """
    path = Path(path)
    refuse_existing(path, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    head, rows = proof.to_dict(), []
    rows = [json.dumps(row) for row in head.pop("sequence")]
    text = json.dumps(head, indent=1)[:-2] + ',\n "sequence": [\n  ' + ",\n  ".join(rows) + "\n ]\n}\n"
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


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
        actions = np.zeros((len(members), env.max_steps, _ACTIONS.shape[0]), np.int8)
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
