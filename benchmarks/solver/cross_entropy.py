"""One generation of the cross-entropy method over action sequences.

A sequence is cut into segments of ``hold`` steps, and each channel of each segment has a distribution of its own. A
generation draws sequences, plays them, keeps the best few and moves the distributions towards them (Rubinstein, The
cross-entropy method for combinatorial and continuous optimization, 1999).
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from flax import struct

from kinetix_ued.environment import KinetixEnv
from kinetix_ued.environment.actions import MultiDiscrete
from kinetix_ued.world import CONTROLS, Level, driven_channels

from .disturbance import disturbed
from .randomness import among, logistic, picked, sticky, uniforms
from .rollout import Outcome, play

SEGMENTS = 64
"""Segments of a sequence: the shortest hold, 4 steps, fills an episode of 256."""

ELITE_SHARE = 1 / 16
"""Share of a generation that the next one learns from."""

MEMORY = 0.3
"""Weight of the old distribution in the new one."""

CURIOSITY = 0.04
"""Share of the uniform distribution that every distribution keeps."""

SOLVED_WORTH, HASTE, LOSS, PATIENCE = 100.0, 20.0, 1.0, 0.1
"""Fitness: of a solution; less the share of the episode it takes; of a loss [m]; weight of the mean distance."""

CONFIDENCE = 0.9
"""How sure the beliefs are at first of each choice in a sequence that was found in another way."""

RELUCTANCE = (0.0, 0.5, 0.75, 0.9)
"""Probabilities to go on with the choice of the last segment, one of them for each sequence and channel."""

CHOICES = max(MultiDiscrete.heads)


@struct.dataclass
class Beliefs:
    """What the search of one level believes; W levels have a leading axis.

    Attributes:
        chances: of every choice (S, 6, choices)
        best: the fittest sequence so far (S, 6) int8
        fitness: its fitness when it was last played ()
    """

    chances: jax.Array
    best: jax.Array
    fitness: jax.Array


@struct.dataclass
class Generation:
    """What a generation found in each of W levels.

    Attributes:
        share: of the draws in which the fittest sequence solves the level (W)
        steps: it takes, on the average over the draws (W)
        latest: the most it takes in any draw that it solves (W) int32
        solving: share of all sequences played that solve the level (W)
        nearest: smallest distance that the fittest comes to [m] (W)
    """

    share: jax.Array
    steps: jax.Array
    latest: jax.Array
    solving: jax.Array
    nearest: jax.Array


def open_chances(level: Level) -> jax.Array:
    """Equal chances (6, choices) for all that a level's channels can do; those that nothing listens to stay off."""
    choice = jnp.arange(CHOICES)
    possible = (choice < jnp.array(MultiDiscrete.heads)[:, None]) & (driven_channels(level)[:, None] | (choice == 0))
    return possible / possible.sum(axis=1, keepdims=True, dtype=jnp.float32)


@jax.jit
def unbiased(level: Level) -> Beliefs:
    """Beliefs about one level before anything was tried."""
    chances = jnp.broadcast_to(open_chances(level), (SEGMENTS, CONTROLS, CHOICES))
    return Beliefs(chances, jnp.zeros((SEGMENTS, CONTROLS), jnp.int8), jnp.float32(-jnp.inf))


@jax.jit
def leaning(level: Level, sequence: jax.Array) -> Beliefs:
    """Beliefs of one level that lean towards a sequence (S, 6)."""
    chances = CONFIDENCE * jax.nn.one_hot(sequence, CHOICES, dtype=jnp.float32) + (1 - CONFIDENCE) * open_chances(level)
    return Beliefs(chances, sequence.astype(jnp.int8), jnp.float32(-jnp.inf))


def fitness_of(outcome: Outcome, max_steps: int) -> jax.Array:
    """The worth of episodes (...): solving above all and early, else coming near, and not losing."""
    solved = SOLVED_WORTH - HASTE * outcome.steps / max_steps
    tried = -outcome.nearest - PATIENCE * outcome.mean_distance - LOSS * outcome.failure
    return jnp.where(outcome.goal, solved, jnp.maximum(tried, -SOLVED_WORTH))


def draw_sequences(key: jax.Array, beliefs: Beliefs, tilt: jax.Array, population: int) -> jax.Array:
    """Sequences (population, S, 6) int8 of one level; the first is the best so far.

    Each sequence has its own reluctance to change its mind from one segment to the next, and its own taste for some
    choices, by deviations ``tilt`` () of the logarithm: a generation of independent draws would hold nothing for long
    and press everything equally often.
    """
    shape = population, SEGMENTS, CONTROLS
    whole, choices = (population, 1, CONTROLS), (population, 1, CONTROLS, CHOICES)
    u_choice, u_change, u_stick, u_taste = uniforms(key, shape, shape, whole, choices)
    drawn = picked(u_choice, beliefs.chances * jnp.exp(tilt * logistic(u_taste))).astype(jnp.int8)
    return sticky(drawn, u_change >= among(u_stick, RELUCTANCE)).at[0].set(beliefs.best)


@functools.partial(jax.jit, static_argnames=("env", "population", "draws"))
def generation(
    env: KinetixEnv,
    keys: jax.Array,
    levels: Level,
    beliefs: Beliefs,
    hold: jax.Array,
    horizon: jax.Array,
    tilt: jax.Array,
    distance: jax.Array,
    *,
    population: int,
    draws: int,
) -> tuple[Beliefs, Generation]:
    """One generation in each of W levels: new beliefs, and what was found.

    Args:
        env: with multi-discrete actions.
        keys: W of them.
        levels: W levels.
        beliefs: of each.
        hold: steps that a segment lasts (W).
        horizon: steps of an episode (W).
        tilt: how much sequences differ in taste, see ``draw_sequences`` (W).
        distance: longest disturbance of the start [m] ().
        population: sequences a level.
        draws: starts in which each is played; the first is undisturbed.
    """
    width = hold.shape[0]
    shape = (width, population, draws)

    def prepare(key: jax.Array, level: Level, beliefs: Beliefs, tilt: jax.Array) -> tuple[jax.Array, Level, jax.Array]:
        key_draw, *key_starts = jax.random.split(key, draws + 1)
        sequences = draw_sequences(key_draw, beliefs, tilt, population)
        return sequences, disturbed(jnp.stack(key_starts), level, distance), open_chances(level)

    sequences, starts, uniform = jax.vmap(prepare)(keys, levels, beliefs, tilt)
    flat = lambda x, axis: jnp.broadcast_to(jnp.expand_dims(x, axis), (*shape, *x.shape[2:])).reshape(-1, *x.shape[2:])
    each = lambda x: jnp.broadcast_to(x[:, None, None], shape).reshape(-1)
    outcome = play(env, jax.tree.map(lambda x: flat(x, 1), starts), flat(sequences, 2), each(hold), each(horizon))
    outcome = jax.tree.map(lambda x: x.reshape(shape), outcome)
    fitness = fitness_of(outcome, env.max_steps).mean(axis=-1)  # (W, population)
    learn = functools.partial(_learn, population=population)
    return jax.vmap(learn)(beliefs, sequences, fitness, outcome, hold, uniform)


def _learn(
    beliefs: Beliefs,
    sequences: jax.Array,
    fitness: jax.Array,
    outcome: Outcome,
    hold: jax.Array,
    uniform: jax.Array,
    *,
    population: int,
) -> tuple[Beliefs, Generation]:
    """New beliefs about one level from its sequences (P, S, 6), their fitness (P) and outcomes (P, draws)."""
    value, elite = jax.lax.top_k(fitness, max(2, int(population * ELITE_SHARE)))
    used = jnp.arange(SEGMENTS) * hold < outcome.steps[elite].max(axis=1)[:, None]  # (elite, S)
    taken = jax.nn.one_hot(sequences[elite], CHOICES, dtype=jnp.float32) * used[..., None, None]
    count = used.sum(axis=0)[:, None, None]
    seen = jnp.where(count > 0, taken.sum(axis=0) / jnp.maximum(count, 1), beliefs.chances)
    chances = (1 - MEMORY) * seen + MEMORY * beliefs.chances
    chances = (1 - CURIOSITY) * chances + CURIOSITY * uniform
    top = elite[0]
    solved, steps = outcome.goal[top], outcome.steps[top]
    report = Generation(
        share=solved.mean(),
        steps=steps.mean(),
        latest=jnp.where(solved, steps, 0).max(),
        solving=outcome.goal.mean(),
        nearest=outcome.nearest[top].min(),
    )
    return Beliefs(chances, sequences[top], value[0]), report


@functools.partial(jax.jit, static_argnames=("env", "draws"))
def replay_disturbed(
    env: KinetixEnv,
    keys: jax.Array,
    levels: Level,
    sequences: jax.Array,
    hold: jax.Array,
    horizon: jax.Array,
    distance: jax.Array,
    *,
    draws: int,
) -> Outcome:
    """Outcomes (W, draws) of one sequence (W, S, 6) in each of W levels from disturbed starts, the first as it is."""
    width = hold.shape[0]

    def starts_of(key: jax.Array, level: Level) -> Level:
        return disturbed(jax.random.split(key, draws), level, distance)

    starts = jax.vmap(starts_of)(keys, levels)
    starts = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), starts)
    repeat = lambda x: jnp.repeat(x, draws, axis=0)
    outcome = play(env, starts, repeat(sequences), repeat(hold), repeat(horizon))
    return jax.tree.map(lambda x: x.reshape(width, draws), outcome)
