"""Search from where earlier attempts got to, rather than from the start.

An archive remembers states by the cell they fall into: where the free bodies stand, roughly. An iteration picks states,
often near the goal or rarely picked ones, restores them, presses random controls for a while and files what comes of
it. That finds its way through mazes and long manoeuvres, of which no generation of whole sequences gets the middle
right (Ecoffet et al., First return, then explore, Nature 2021).
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from kinetix_ued.environment import EnvState, KinetixEnv
from kinetix_ued.world import CONTROLS, Level, WorldState, start

from .cross_entropy import CHOICES, RELUCTANCE, SEGMENTS, open_chances
from .randomness import among, logistic, picked, sticky, uniforms

STATES = 1024
"""Places of an archive; a cell's place follows from its hash."""

UNKNOWN = 10.0
"""Stands for the distance at the start, which no step has told yet [m]."""

PICKS, REACH = 256, 8
"""States from which an iteration goes on, and for how many segments."""

GREED = (0.0, 1.0, 4.0)
"""How picks weigh nearness to the goal [1/m]: one of these each."""

TASTE = 1.0
"""How much picks differ in their taste for single choices, in deviations of the logarithm."""

NEARNESS_WORTH = 20.0
"""A state one metre nearer may be this many steps later and is kept all the same [1/m]."""

WEAR = 10.0
"""Every pick takes so much from a state's claim to its place against states of other cells [steps]."""

COARSE, TURN, SPEED = 3.0, 0.8, 2.0
"""Cells of bodies without a role are so much larger; cells of rotation [rad], and of velocity [m/s]."""


@struct.dataclass
class Archive:
    """What is known of one level; N states, K its capacity; W levels have a leading axis.

    Attributes:
        world: states (K, ...)
        sequence: segments that lead there (K, S, 6) int8
        length: how many of them count (K) int32
        distance: sum of green-blue distances there [m] (K)
        worth: what decides which state keeps a place, lower is better; infinite for an empty one (K)
        cell: hash of the state's cell (K) uint32
        picks: how often a search went on from there (K) int32
        solved: a sequence that solves the level was found () bool
        steps: it takes () int32
        solution: that sequence (S, 6) int8
        nearest: smallest distance reached [m] ()
    """

    world: WorldState
    sequence: jax.Array
    length: jax.Array
    distance: jax.Array
    worth: jax.Array
    cell: jax.Array
    picks: jax.Array
    solved: jax.Array
    steps: jax.Array
    solution: jax.Array
    nearest: jax.Array


@jax.jit
def empty_archive(level: Level) -> Archive:
    """An archive of one level that holds its start."""
    first = start(level)
    return Archive(
        world=jax.tree.map(lambda x: jnp.broadcast_to(jnp.asarray(x, x.dtype), (STATES, *x.shape)), first),
        sequence=jnp.zeros((STATES, SEGMENTS, CONTROLS), jnp.int8),
        length=jnp.zeros(STATES, jnp.int32),
        distance=jnp.full(STATES, UNKNOWN, jnp.float32),
        worth=jnp.full(STATES, jnp.inf, jnp.float32).at[0].set(-jnp.inf),
        cell=jnp.zeros(STATES, jnp.uint32),
        picks=jnp.zeros(STATES, jnp.int32),
        solved=jnp.array(False),
        steps=jnp.int32(0),
        solution=jnp.zeros((SEGMENTS, CONTROLS), jnp.int8),
        nearest=jnp.float32(jnp.inf),
    )


@functools.partial(jax.jit, static_argnames=("env", "iterations"))
def explore(
    env: KinetixEnv,
    keys: jax.Array,
    levels: Level,
    archives: Archive,
    hold: jax.Array,
    cell: jax.Array,
    *,
    iterations: int,
) -> Archive:
    """Archives of W levels after some more iterations; they stop once every level is solved.

    Args:
        env: with multi-discrete actions.
        keys: W of them.
        levels: W levels.
        archives: of each.
        hold: steps of a segment, the same for all () int32.
        cell: width of a cell [m] ().
        iterations: at most.
    """
    one = jax.vmap(functools.partial(_iterate, env), in_axes=(0, 0, 0, None, None))

    def body(carry: tuple[jax.Array, Archive]) -> tuple[jax.Array, Archive]:
        i, archives = carry
        return i + 1, one(jax.vmap(jax.random.fold_in, (0, None))(keys, i), levels, archives, hold, cell)

    more = lambda carry: (carry[0] < iterations) & ~carry[1].solved.all()
    return jax.lax.while_loop(more, body, (jnp.int32(0), archives))[1]


def _iterate(
    env: KinetixEnv, key: jax.Array, level: Level, archive: Archive, hold: jax.Array, cell: jax.Array
) -> Archive:
    shape = PICKS, REACH, CONTROLS
    whole, choices = (PICKS, 1, CONTROLS), (PICKS, 1, CONTROLS, CHOICES)
    u_pick, u_greed, u_choice, u_change, u_stick, u_taste = uniforms(
        key, (PICKS,), (PICKS,), shape, shape, whole, choices
    )
    pick = _pick(u_pick, u_greed, archive, (env.max_steps - 1) // hold)
    drawn = picked(u_choice, open_chances(level) * jnp.exp(TASTE * logistic(u_taste))).astype(jnp.int8)
    presses = sticky(drawn, u_change >= among(u_stick, RELUCTANCE))  # (P, REACH, 6)
    length = archive.length[pick]
    insert = lambda sequence, new, at: jax.lax.dynamic_update_slice(sequence, new, (at, 0))
    padded = jnp.pad(archive.sequence[pick], ((0, 0), (0, REACH), (0, 0)))
    sequence = jax.vmap(insert)(padded, presses, length)[:, :SEGMENTS]
    world = jax.tree.map(lambda x: x[pick], archive.world)
    going = ~archive.solved & (length * hold < env.max_steps)  # a level that is solved already costs nothing more
    ended, steps, trail = _follow(env, level, world, presses, going, length * hold, hold)
    worlds, distance, alive = trail  # (REACH, P, ...)

    nearest = jnp.minimum(archive.nearest, jnp.where(alive, distance, jnp.inf).min())
    first = jnp.argmin(jnp.where(ended, steps, jnp.iinfo(jnp.int32).max))
    better = ended.any() & ~(archive.solved & (archive.steps <= steps[first]))
    archive = archive.replace(
        picks=archive.picks.at[pick].add(1),
        nearest=nearest,
        solved=archive.solved | ended.any(),
        steps=jnp.where(better, steps[first], archive.steps),
        solution=jnp.where(better, sequence[first], archive.solution),
    )
    flat = lambda tree: jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), tree)
    reached = length + 1 + jnp.arange(REACH)[:, None]
    alive &= reached < SEGMENTS
    worlds, distance, alive, reached = flat((worlds, distance, alive, reached))
    return _file(level, archive, sequence, worlds, distance, alive, reached, hold, cell)


def _pick(u_pick: jax.Array, u_greed: jax.Array, archive: Archive, longest: jax.Array) -> jax.Array:
    """Places (P) of states to go on from."""
    there = (archive.worth < jnp.inf) & (archive.length < jnp.minimum(longest, SEGMENTS))
    nearness = jnp.where(there, archive.distance, jnp.inf).min() - archive.distance
    pull = jnp.exp(jnp.array(GREED, jnp.float32)[:, None] * nearness)
    weights = jnp.where(there, pull / jnp.sqrt(1.0 + archive.picks), 0.0)
    greed = jnp.minimum((u_greed * len(GREED)).astype(jnp.int32), len(GREED) - 1)
    return picked(u_pick, weights[greed])


def _follow(
    env: KinetixEnv,
    level: Level,
    world: WorldState,
    presses: jax.Array,
    going: jax.Array,
    time: jax.Array,
    hold: jax.Array,
) -> tuple[jax.Array, jax.Array, tuple]:
    """Press segments (P, REACH, 6) in states (P, ...) at times (P), in those that are ``going`` (P).

    Returns:
        goal reached (P), after how many steps of the whole sequence (P); and after every segment (REACH, P, ...) the
        world, the distance, and whether the episode goes on.
    """
    params = env.default_params
    count = presses.shape[0]
    levels = jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), level)

    def segment(carry: tuple, action: jax.Array) -> tuple[tuple, tuple]:
        action = action.astype(env.actions.dtype)

        def step(_: jax.Array, carry: tuple) -> tuple:
            world, time, distance, playing, goal = carry
            shown = levels.replace(
                active=levels.active & playing[:, None],
                joint_active=levels.joint_active & playing[:, None],
                thruster_active=levels.thruster_active & playing[:, None],
            )
            state = EnvState(shown, world, time, distance)
            after, _, _, info = jax.vmap(env.advance, in_axes=(0, 0, None))(state, action, params)
            goal |= playing & info["goal"]
            time += playing
            distance = jnp.where(playing, info["distance"], distance)
            playing &= ~info["terminated"] & (time < env.max_steps)
            return after.world, time, distance, playing, goal

        carry = jax.lax.fori_loop(0, hold, step, carry)
        return carry, (carry[0], carry[2], carry[3])

    carry = world, time, jnp.zeros(count, jnp.float32), going, jnp.zeros(count, bool)
    (_, time, _, _, goal), trail = jax.lax.scan(segment, carry, jnp.swapaxes(presses, 0, 1))
    return goal, time, trail


def _file(
    level: Level,
    archive: Archive,
    sequence: jax.Array,
    worlds: WorldState,
    distance: jax.Array,
    alive: jax.Array,
    length: jax.Array,
    hold: jax.Array,
    cell: jax.Array,
) -> Archive:
    """The archive with the states (C, ...) that were reached; C is REACH times P, by segment first."""
    count = distance.shape[0]
    cells = _cell(level, worlds, cell)
    place = (cells % STATES).astype(jnp.int32)
    worth = jnp.where(alive, length * hold + NEARNESS_WORTH * distance, jnp.inf)
    best = jnp.full(STATES, jnp.inf, jnp.float32).at[place].min(worth)
    number = jnp.where(alive & (worth == best[place]), jnp.arange(count), count)
    chosen = jnp.full(STATES, count).at[place].min(number)
    there = chosen < count
    chosen = jnp.minimum(chosen, count - 1)
    same = cells[chosen] == archive.cell
    taken = there & (best < archive.worth + jnp.where(same, 0.0, WEAR * archive.picks))
    put = lambda new, old: jnp.where(taken.reshape(-1, *(1,) * (old.ndim - 1)), new, old)
    return archive.replace(
        world=jax.tree.map(lambda new, old: put(new[chosen], old), worlds, archive.world),
        sequence=put(sequence[chosen % PICKS], archive.sequence),
        length=put(length[chosen], archive.length),
        distance=put(distance[chosen], archive.distance),
        worth=put(worth[chosen], archive.worth),
        cell=put(cells[chosen], archive.cell),
        picks=put(jnp.where(same, archive.picks, 0), archive.picks),
    )


def _cell(level: Level, worlds: WorldState, cell: jax.Array) -> jax.Array:
    """Hashes (C) uint32 of the cells of states: bodies with a role in fine cells, other free bodies in coarse ones."""
    free = level.active & (level.inverse_mass > 0)
    role = free & (level.role > 0)
    width = jnp.where(role, cell, COARSE * cell)
    where = jnp.floor(worlds.position / width[:, None]).astype(jnp.int32)
    turn = jnp.where(role, jnp.floor(jnp.mod(worlds.rotation, 2 * jnp.pi) / TURN), 0).astype(jnp.int32)
    speed = jnp.where(role[:, None], jnp.round(worlds.velocity / SPEED), 0).astype(jnp.int32)
    numbers = jnp.concatenate([where, turn[..., None], speed], axis=-1) * free[:, None]
    numbers = numbers.reshape(numbers.shape[0], -1).astype(jnp.uint32)
    factor = np.random.default_rng(7).integers(2**32, size=numbers.shape[1], dtype=np.uint32) | np.uint32(1)
    mixed = (numbers * factor).sum(axis=1, dtype=jnp.uint32)
    mixed = (mixed ^ (mixed >> 16)) * jnp.uint32(0x7FEB352D)
    return mixed ^ (mixed >> 15)
