"""Proofs as a teacher: recorded actions that solve levels, acted out in the decisions that the student makes.

Each step is simulated again in every update instead of being stored: so any observation can be learned from, and the
data take no memory.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.agents import Lesson, MultiCategorical
from kinetix_ued.benchmarks.proofs import Proof, is_proof, load_proof, save_proof
from kinetix_ued.environment import KinetixEnv
from kinetix_ued.environment.actions import driven_channels
from kinetix_ued.generators import ListedLevels, hash_array
from kinetix_ued.levels import content_hash, hash_text, hash_texts, level_files, read_levels, save_level, stack_levels
from kinetix_ued.world import Level

from .build import decision_env
from .config import TrainConfig
from .rollout import select
from .update import Guide

_IMPOSSIBLE = -1e9
"""Score of what a proof does not do: its probability is exactly 0, and 0 times its logarithm still a number."""


@dataclasses.dataclass(frozen=True, eq=False)
class ProvenLevels:
    """P levels, each with decisions that solve it. Where an episode leaves them, the student acts and is not taught.

    Attributes:
        source: what was read: each level in its own size, and the proof that it can be solved
        levels: those P levels that are solved by decisions of the student's length
        decisions: multi-discrete, 0 after the last one (P, D, 6) int8
        lengths: decisions until the goal (P) int32
        env: in which a step is a decision
        note: how many of the proofs still hold
    """

    source: tuple[tuple[Level, Proof], ...]
    levels: ListedLevels
    decisions: np.ndarray
    lengths: np.ndarray
    env: KinetixEnv
    note: str

    @functools.cached_property
    def digest(self) -> str:
        found = hashlib.sha256()
        for _, proof in self.source:
            found.update(f"{proof.level} {proof.frame_skip} {proof.actions.shape}".encode("ascii"))
            found.update(np.ascontiguousarray(proof.actions, np.int8).tobytes())
        return found.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ProvenLevels) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[Any, ...]:
        return self.digest, self.levels, self.env

    def keep(self, folder: Path) -> None:
        """Write levels and proofs into a folder, unless it is there: it appears with all of them or not at all."""
        if folder.exists():
            return
        partial, width = folder.with_name(f"{folder.name}.partial"), len(str(len(self.source)))
        for number, (level, proof) in enumerate(self.source):
            name = f"{number:0{width}}.json"
            save_level(level, partial / "levels" / name, overwrite=True)
            save_proof(proof, partial / "proofs" / name, overwrite=True)
        partial.rename(folder)

    def guide(self, config: TrainConfig) -> Guide:
        hashes = jnp.asarray(hash_array(hash_texts(self.levels.levels)))
        decisions, lengths = jnp.asarray(self.decisions), jnp.asarray(self.lengths)
        heads, limits = self.env.actions.heads, self.env.default_params

        def begin(levels: Level) -> jax.Array:
            """Which of the P levels each one is (B) int32; -1: none of them."""
            same = (content_hash(levels)[:, None] == hashes).all(axis=-1)
            return jnp.where(same.any(axis=-1), same.argmax(axis=-1), -1).astype(jnp.int32)

        def step(key, memory, state, action, leads, imitating):
            known = imitating & (memory >= 0) & (state.time < lengths[memory])
            recorded = decisions[memory, jnp.minimum(state.time, decisions.shape[1] - 1)].astype(action.dtype)
            choices = [recorded[:, i, None] == jnp.arange(count) for i, count in enumerate(heads)]
            said = MultiCategorical(jnp.where(jnp.concatenate(choices, axis=-1), 0.0, _IMPOSSIBLE), heads)
            action = select(known, recorded, action)
            after, reward, done, info = jax.vmap(self.env.advance, in_axes=(0, 0, None))(state, action, limits)
            parts = jax.vmap(driven_channels)(state.level)
            return memory, after, reward, done, info, Lesson(said, parts, known.astype(jnp.float32), ~known)

        return Guide(begin, step)


def find_proofs(path: str, config: TrainConfig) -> ProvenLevels:
    """The levels and proofs in a folder, as far as the proofs hold in decisions of the student's length.

    Raises:
        ValueError: for a folder without levels that are proved, a file that is neither, a level too large for the run,
            other than multi-discrete actions, or where no proof holds.
    """
    if not Path(path).is_dir():
        raise ValueError(f"teacher={path}: there is no such run, agent or folder of levels and proofs")
    if config.actions != "multi_discrete":
        raise ValueError(f"proofs are of multi_discrete actions, not {config.actions}: use actions=multi_discrete")
    files = level_files(path)
    proofs: dict[str, Proof] = {}
    for proof in map(load_proof, filter(is_proof, files)):
        if proof.level not in proofs or proof.steps < proofs[proof.level].steps:
            proofs[proof.level] = proof
    if not proofs:
        raise ValueError(f"teacher={path}: it holds neither a run nor proofs: kinetix-ued solve makes proofs")
    named = {str(file): file for file in files if not is_proof(file)}
    levels = read_levels(named).levels.values() if named else ()
    by_hash = {hash_text(level): level for level in levels}
    found = {digest: level for digest, level in by_hash.items() if digest in proofs}
    if not found:
        raise ValueError(f"teacher={path}: its {len(proofs)} proofs are of no level in it: put the levels there too")
    source = tuple((level, proofs[digest]) for digest, level in found.items())
    return _holding(source, len(proofs), config)


def _holding(source: tuple[tuple[Level, Proof], ...], total: int, config: TrainConfig) -> ProvenLevels:
    """The proofs that hold in the student's decisions."""
    env = decision_env(config)
    levels = stack_levels([level for level, _ in source], config.size)
    decisions = np.zeros((len(source), env.max_steps, *env.actions.shape), np.int8)
    for row, (_, proof) in zip(decisions, source, strict=True):
        voted = voted_decisions(proof.actions, proof.frame_skip, env.frame_skip)[: env.max_steps]
        row[: len(voted)] = voted
    lengths = np.asarray(_decisions_to_goal(env, levels, decisions))
    holds = np.flatnonzero(lengths)
    note = f"proofs: {len(holds)} of {total} hold in decisions of {env.frame_skip} frames; the student imitates them"
    if not len(holds):
        raise ValueError(f"{note.partition(';')[0]}: let the student decide more often (decision_frames)")
    kept = jax.tree.map(lambda x: np.asarray(x)[holds], levels)
    listed = ListedLevels(tuple(f"proof {n}" for n in holds), kept)
    return ProvenLevels(source, listed, decisions[holds], lengths[holds].astype(np.int32), env, note)


def voted_decisions(actions: np.ndarray, frame_skip: int, frames: int) -> np.ndarray:
    """Actions (T, 6) of ``frame_skip`` frames each as decisions (D, 6) of ``frames`` each.

    Each channel does what it did in most frames of a decision; of two choices of as many frames, the earlier one.
    """
    each = np.repeat(np.asarray(actions), frame_skip, axis=0)
    count = -(-len(each) // frames)
    each = np.concatenate([each, np.full((count * frames - len(each), each.shape[1]), -1)])  # these do not vote
    window = each.reshape(count, frames, -1)
    choices = np.arange(max(each.max(), 0) + 1)
    chosen = window[..., None] == choices  # (D, frames, 6, choices)
    worth = chosen.sum(axis=1) * (frames + 1) - chosen.argmax(axis=1)
    return worth.argmax(axis=-1).astype(np.int8)


@functools.partial(jax.jit, static_argnums=0)
def _decisions_to_goal(env: KinetixEnv, levels: Level, decisions: jax.Array) -> jax.Array:
    """After how many decisions (P, D, 6) the goal is reached in each of P levels (P) int32; 0 where it never is."""
    limits = env.default_params
    state = jax.vmap(env.reset_to_level, (None, 0, None))(jax.random.key(0), levels, limits)[1]

    def step(carry: tuple, action: jax.Array) -> tuple[tuple, None]:
        state, taken, over, reached = carry
        after, _, done, info = jax.vmap(env.advance, in_axes=(0, 0, None))(state, action, limits)
        reached = jnp.where(info["goal"] & ~over, taken + 1, reached)
        return (after, taken + 1, over | done, reached), None

    none = jnp.zeros(len(decisions), jnp.int32)
    carry = state, jnp.int32(0), none > 0, none
    actions = jnp.swapaxes(decisions, 0, 1).astype(env.actions.dtype)
    return jax.lax.scan(step, carry, actions)[0][-1]
