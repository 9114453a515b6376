"""Filters over generated levels, on levels whose fate is known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.generators import (
    FILTERS,
    filtered,
    lost_at_start,
    make_filter,
    noop_solves,
    overlapping,
    sample_filtered,
    sample_levels,
    solved_at_start,
    uncontrollable,
)
from kinetix_ued.generators.roles import BLUE, GREEN, RED
from kinetix_ued.levels import builder
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


def test_first_frames():
    """A box that falls 1 m needs half a second; one in the floor's air needs a frame or two."""
    falls, near = green_box(BLUE, -9.81), green_box(BLUE, -9.81)
    near = near.replace(position=near.position.at[4, 1].set(0.501))
    lost = near.replace(role=near.role.at[0].set(RED))
    levels = stacked(falls, near, lost)
    np.testing.assert_array_equal(solved_at_start(levels), [False, True, False])
    np.testing.assert_array_equal(lost_at_start(levels), [False, False, True])
    np.testing.assert_array_equal(solved_at_start(levels, frames=60), [True, True, False])


def test_uncontrollable_levels_have_no_motor_and_no_thruster_that_moves_anything():
    base, box = builder.add_rectangle(empty_level("m"), (2.0, 2.0), 0.5, 0.5)
    base, ball = builder.add_circle(base, (3.0, 2.0), 0.3)
    motor, _ = builder.add_joint(base, box, ball, (2.5, 2.0))
    fixed = builder.fix(builder.fix(motor, box), ball)
    thruster, _ = builder.add_thruster(base, box, (2.0, 2.0), 0.0, 1.0)
    levels = stacked(
        base,
        motor,
        builder.add_joint(base, box, ball, (2.5, 2.0), motor=False)[0],
        builder.add_joint(base, box, ball, (2.5, 2.0), fixed=True)[0],
        builder.add_joint(base, box, ball, (2.5, 2.0), auto=True)[0],
        builder.fix(motor, box),
        fixed,
        thruster,
        builder.fix(thruster, box),
    )
    expected = [True, False, True, True, True, False, True, False, True]
    np.testing.assert_array_equal(uncontrollable(levels), expected)


def test_overlapping_levels_start_with_bodies_in_one_another():
    def boxes(gap, **options):
        level, a = builder.add_rectangle(empty_level("m"), (2.0, 2.0), 0.5, 0.5, **options)
        level, b = builder.add_rectangle(level, (2.5 + gap, 2.0), 0.5, 0.5, **options)
        return level, a, b

    apart, touching, inside = boxes(0.01)[0], boxes(-0.005)[0], boxes(-0.05)[0]
    joined = builder.add_joint(*boxes(-0.05), (2.2, 2.0))[0]
    pinned = boxes(-0.05, fixed=True)[0]
    passing = boxes(-0.05, collision_mode=0)[0]
    sunk = boxes(0.01)[0]
    sunk = sunk.replace(position=sunk.position.at[4, 1].set(0.5))
    levels = stacked(apart, touching, inside, joined, pinned, passing, sunk)
    np.testing.assert_array_equal(overlapping(levels), [False, False, True, False, False, False, True])
    np.testing.assert_array_equal(overlapping(levels, depth=0.0)[:3], [False, True, True])
    with pytest.raises(ValueError, match="depth must be 0 or more"):
        overlapping(levels, depth=-1.0)


def test_every_named_filter_is_a_function_of_a_batch():
    levels = sample_levels(jax.random.key(0), 4, "s")
    for name in FILTERS:
        marks, steps = make_filter(name)
        assert jax.jit(marks)(levels).shape == (4,) and marks(levels).dtype == bool
        assert steps == {"noop_solves": 64, "solved_at_start": 2, "lost_at_start": 2}.get(name, 0)
        with pytest.raises(ValueError, match="a batch of levels"):
            marks(levels[0])
    with pytest.raises(ValueError, match="unknown filter 'dull': use one of noop_solves, solved_at_start"):
        make_filter("dull")


def test_a_report_says_what_was_left_out_and_why():
    def sample(key, n):
        levels = jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *x.shape)), empty_level("s"))
        return levels.replace(gravity=jnp.stack([jnp.arange(n), jnp.zeros(n)], 1))

    marks = {"low": lambda levels: levels.gravity[:, 0] < 3, "third": lambda levels: levels.gravity[:, 0] % 3 == 0}
    levels, report = jax.jit(lambda key: sample_filtered(key, 10, sample, marks, weight=1e-9))(jax.random.key(0))
    kept = np.asarray(levels.gravity[:, 0])  # of 0 to 19, 0, 1, 2 and 3, 6 ... 18 are marked: 9 levels
    assert len(kept) == 10 and int(report.drawn) == 20
    assert {name: int(count) for name, count in report.marked.items()} == {"low": 3, "third": 7}
    assert int(report.avoided) + int(report.returned) == 9
    assert int(report.returned) == ((kept < 3) | (kept % 3 == 0)).sum() == 0
    assert str(report) == "20 levels drawn, 9 left out (low 3, third 7)"
    everything = {"all": lambda levels: jnp.ones(len(levels), bool)}
    _, report = sample_filtered(jax.random.key(0), 10, sample, everything)
    assert "10 marked ones had to be taken" in str(report)
    with pytest.raises(ValueError, match="no filter to obey"):
        filtered(sample, {})


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
