"""Filters over generated levels, on levels whose fate is known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.generators import filtered, noop_solves
from kinetix_ued.generators.roles import BLUE, GREEN, RED
from kinetix_ued.world import Level, empty_level, get_engine
from kinetix_ued.world.mass import polygon_inverse_mass_inertia


def green_box(floor: int, gravity: float) -> Level:
    """A green box 1 m above a floor of some role."""
    level = empty_level("s")
    box = jnp.array([[0.1, 0.1], [0.1, -0.1], [-0.1, -0.1], [-0.1, 0.1]])
    inverse_mass, inverse_inertia = polygon_inverse_mass_inertia(box, 4, 1.0)
    return level.replace(
        active=level.active.at[4].set(True),
        position=level.position.at[4].set(jnp.array([2.0, 1.5])),
        vertices=level.vertices.at[4].set(box),
        inverse_mass=level.inverse_mass.at[4].set(inverse_mass),
        inverse_inertia=level.inverse_inertia.at[4].set(inverse_inertia),
        role=level.role.at[jnp.array([0, 4])].set(jnp.array([floor, GREEN])),
        gravity=jnp.array([0.0, gravity]),
    )


def stacked(*levels: Level) -> Level:
    return jax.tree.map(lambda *x: jnp.stack(x), *levels)


def test_noop_solves_counts_the_first_end():
    falls = green_box(BLUE, -9.81)
    levels = stacked(
        falls,
        green_box(RED, -9.81),
        green_box(BLUE, 0.0),
        falls.replace(role=falls.role.at[1].set(RED), position=falls.position.at[4, 0].set(0.05)),  # at a red wall
        green_box(BLUE, -0.2),  # 1 m takes 3.2 s, and 64 steps are 2.1 s
        falls.replace(velocity=falls.velocity.at[4, 0].set(jnp.nan)),
    )
    solves = functools.partial(noop_solves, engine=get_engine("auto"))
    np.testing.assert_array_equal(jax.jit(solves)(levels), [True, False, False, False, False, False])
    np.testing.assert_array_equal(solves(levels, steps=110), [True, False, False, False, True, False])
    with pytest.raises(ValueError, match="a batch of levels"):
        noop_solves(falls)
    with pytest.raises(ValueError, match="steps must be a positive integer"):
        noop_solves(levels, steps=0)


def test_noop_lets_automatic_motors_run():
    """An arm without gravity, hinged to the floor, reaches the blue circle behind its hinge only with a motor."""
    box = green_box(0, 0.0)
    arm = box.replace(
        active=box.active.at[5].set(True),
        position=box.position.at[5].set(jnp.array([1.0, 1.5])),
        radius=box.radius.at[5].set(0.2),
        role=box.role.at[5].set(BLUE),
        joint_active=jnp.array([True]),
        joint_a=jnp.array([0]),
        joint_b=jnp.array([4]),
        joint_anchor_a=(jnp.array([1.5, 1.5]) - box.position[0])[None],
        joint_anchor_b=jnp.array([[-0.5, 0.0]]),
        motor_on=jnp.array([True]),
        motor_speed=jnp.array([1.0]),
        motor_power=jnp.array([1.0]),
    )
    levels = stacked(arm, arm.replace(motor_auto=jnp.array([True])))
    np.testing.assert_array_equal(noop_solves(levels, engine=get_engine("auto")), [False, True])


def test_filtered_avoids_marked_levels_but_returns_enough():
    def sample(key, n):
        levels = jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *x.shape)), empty_level("s"))
        return levels.replace(gravity=jnp.stack([jnp.arange(n), jnp.zeros(n)], 1))  # each carries its number

    odd = lambda levels: levels.gravity[:, 0] % 2 == 1
    draw = jax.jit(filtered(sample, odd), static_argnums=1)
    numbers = np.concatenate([draw(jax.random.key(seed), 20).gravity[:, 0] for seed in range(50)])
    assert (numbers % 2 == 1).mean() < 0.05  # 20 of 40 are even; odd ones come last
    for seed in range(5):
        assert len(set(np.asarray(draw(jax.random.key(seed), 20).gravity[:, 0]).tolist())) == 20
    everything = filtered(sample, lambda levels: jnp.ones(len(levels), bool), ratio=3)(jax.random.key(0), 8)
    assert len(everything) == 8
    with pytest.raises(ValueError, match="n must be a positive integer"):
        draw(jax.random.key(0), 0)
    with pytest.raises(ValueError, match="ratio must be a positive integer"):
        filtered(sample, ratio=0)
    with pytest.raises(ValueError, match="weight must be above 0"):
        filtered(sample, weight=0.0)
