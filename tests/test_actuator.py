"""The actuator network and the observation it reads: every symmetry of the world is one of the policy."""

import functools
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.agents import make_policy
from kinetix_ued.environment import make, make_actions, make_observation
from kinetix_ued.environment.observations.scene import from_second_body, mirrored
from kinetix_ued.generators import sample_levels
from kinetix_ued.generators.permute import permute_slots
from kinetix_ued.levels import resize_level
from kinetix_ued.world import start
from kinetix_ued.world.constants import ROOM_SIZE

LEVELS = 32
OBSERVATION = make_observation("scene", 64)


@functools.cache
def levels(size: str = "m"):
    return sample_levels(jax.random.key(3), LEVELS, size=size)


def disturbed(levels):
    """World states of the levels, moving and turning."""
    world = jax.vmap(start)(levels)
    k1, k2, k3 = jax.random.split(jax.random.key(5), 3)
    return world.replace(
        velocity=world.velocity + jax.random.normal(k1, world.velocity.shape),
        angular_velocity=world.angular_velocity + jax.random.normal(k2, world.angular_velocity.shape),
        contact_active=jax.random.bernoulli(k3, 0.3, world.contact_active.shape),
    )


def observe(levels, world=None):
    world = jax.vmap(start)(levels) if world is None else world
    return jax.vmap(lambda level, world: OBSERVATION.observe(level, world, jnp.int32(7)))(levels, world)


@functools.cache
def policy(actions: str = "multi_discrete", **options):
    made = make_policy(
        "actuator", "scene", make_actions(actions), head_width=24, width=16, scene_width=24, actuator_width=16, **options
    )
    shapes = jax.eval_shape(made.init, jax.random.key(0), OBSERVATION.space(levels().size))

    def drawn(path, leaf):  # by name, so that networks with a part more share the others
        rng = np.random.default_rng(zlib.crc32(jax.tree_util.keystr(path).encode()))
        return jnp.asarray(rng.normal(scale=0.3, size=leaf.shape), jnp.float32)

    return made, jax.tree_util.tree_map_with_path(drawn, shapes)


def play(scene, actions: str = "multi_discrete", **options):
    """Raw outputs for actions (B, outputs) and values (B)."""
    made, params = policy(actions, **options)
    carry = made.initial_carry(LEVELS)
    _, distribution, value = jax.jit(made.apply)(params, carry, scene, jnp.zeros(LEVELS, bool))
    return np.asarray(distribution.mean if actions == "continuous" else distribution.logits), np.asarray(value)


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4)


def mirror_level(levels):
    """The same levels with left and right exchanged; forward turns a motor the other way there."""
    x_turned = lambda vectors: vectors * jnp.array([-1.0, 1.0])
    corners = jnp.arange(levels.vertices.shape[-2])
    backwards = jnp.where(corners < levels.n_vertices[..., None], levels.n_vertices[..., None] - 1 - corners, corners)
    return levels.replace(
        position=x_turned(levels.position) + jnp.array([ROOM_SIZE, 0.0]),
        rotation=-levels.rotation,
        velocity=x_turned(levels.velocity),
        angular_velocity=-levels.angular_velocity,
        vertices=x_turned(jnp.take_along_axis(levels.vertices, backwards[..., None], axis=-2)),
        joint_anchor_a=x_turned(levels.joint_anchor_a),
        joint_anchor_b=x_turned(levels.joint_anchor_b),
        joint_rotation=-levels.joint_rotation,
        joint_min=-levels.joint_max,
        joint_max=-levels.joint_min,
        thruster_position=x_turned(levels.thruster_position),
        thruster_rotation=jnp.pi - levels.thruster_rotation,
        gravity=x_turned(levels.gravity),
    )


def mirror_world(world):
    x_turned = lambda vectors: vectors * jnp.array([-1.0, 1.0])
    return world.replace(
        position=x_turned(world.position) + jnp.array([ROOM_SIZE, 0.0]),
        rotation=-world.rotation,
        velocity=x_turned(world.velocity),
        angular_velocity=-world.angular_velocity,
    )


def motors_reversed(logits):
    """Multi-discrete logits with forward and backward of every motor exchanged."""
    motors = logits[:, :12].reshape(-1, 4, 3)[:, :, [0, 2, 1]].reshape(-1, 12)
    return np.concatenate([motors, logits[:, 12:]], axis=1)


def test_a_mirrored_scene_is_seen_as_the_mirror_image_of_what_is_seen():
    world = disturbed(levels())
    seen = observe(mirror_level(levels()), mirror_world(world))
    expected = mirrored(observe(levels(), world))
    for name in ("joints", "thrusters", "globals", "touching", "component"):
        np.testing.assert_allclose(getattr(seen, name), getattr(expected, name), rtol=1e-4, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(seen.bodies, expected.bodies, rtol=1e-4, atol=1e-4)


def test_the_policy_does_in_a_mirror_what_it_does_without():
    world = disturbed(levels())
    logits, value = play(observe(levels(), world))
    assert np.abs(logits - motors_reversed(logits)).max() > 0.1  # else nothing would be shown
    assert_same(play(observe(mirror_level(levels()), mirror_world(world))), (motors_reversed(logits), value))


def test_without_the_mirror_it_does_not():
    logits, value = play(observe(levels()), mirror=False)
    other, _ = play(observe(mirror_level(levels())), mirror=False)
    assert np.abs(other - motors_reversed(logits)).max() > 0.1


def test_the_order_of_slots_does_not_matter():
    permuted = jax.vmap(permute_slots)(jax.random.split(jax.random.key(1), LEVELS), levels())
    assert (permuted.position != levels().position).any()
    assert_same(play(observe(permuted)), play(observe(levels())))


def test_empty_slots_of_a_larger_size_do_not_matter():
    assert_same(play(observe(resize_level(levels(), "l"))), play(observe(levels())))


def test_a_relabelled_channel_takes_its_scores_along():
    order = np.array([2, 0, 3, 1])  # channel c becomes order[c]
    relabelled = levels().replace(
        motor_binding=jnp.asarray(order)[levels().motor_binding], thruster_binding=1 - levels().thruster_binding
    )
    logits, value = play(observe(levels()))
    motors, thrusters = logits[:, :12].reshape(-1, 4, 3), logits[:, 12:].reshape(-1, 2, 2)
    moved = np.concatenate([motors[:, np.argsort(order)].reshape(-1, 12), thrusters[:, ::-1].reshape(-1, 4)], axis=1)
    assert_same(play(observe(relabelled)), (moved, value))


def test_a_joint_named_from_its_other_body_turns_the_other_way():
    same = levels()
    swapped = same.replace(
        joint_a=same.joint_b,
        joint_b=same.joint_a,
        joint_anchor_a=same.joint_anchor_b,
        joint_anchor_b=same.joint_anchor_a,
        joint_rotation=-same.joint_rotation,
        joint_min=-same.joint_max,
        joint_max=-same.joint_min,
        motor_speed=-same.motor_speed,
    )
    world = disturbed(same)
    one, other = observe(same, world), observe(swapped, world)
    np.testing.assert_allclose(other.joints[..., :13], from_second_body(one.joints)[..., :13], rtol=1e-4, atol=1e-4)


def test_inactive_slots_have_no_influence():
    scene = observe(levels())
    noise = jax.tree.map(lambda x: jnp.asarray(np.random.default_rng(2).normal(size=x.shape), x.dtype), scene)
    keep = lambda mask, rows, other: jnp.where(mask[..., None], rows, other)
    changed = scene.replace(
        bodies=keep(scene.body_mask, scene.bodies, noise.bodies),
        joints=keep(scene.joint_mask, scene.joints, noise.joints),
        thrusters=keep(scene.thruster_mask, scene.thrusters, noise.thrusters),
    )
    assert_same(play(changed), play(scene))


@pytest.mark.parametrize("actions", ["discrete", "continuous"])
def test_other_actions_are_scored_by_the_same_channels(actions):
    logits, value = play(observe(levels()))
    motor, thruster = logits[:, :12].reshape(-1, 4, 3), logits[:, 12:].reshape(-1, 2, 2)
    found, _ = play(observe(levels()), actions)
    if actions == "continuous":
        expected = np.concatenate([motor[..., 1] - motor[..., 2], thruster[..., 1] - thruster[..., 0]], axis=1)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    else:
        np.testing.assert_allclose(found[:, [0, 2, 4, 6]], motor[..., 2] - motor[..., 0], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(found[:, [1, 3, 5, 7]], motor[..., 1] - motor[..., 0], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(found[:, 9:], thruster[..., 1] - thruster[..., 0], rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(found[:, 8], 0)


@pytest.mark.parametrize("options", [{"attention_heads": 4}, {"recurrent": True, "recurrent_size": 24}, {"rounds": 2}])
def test_options_keep_the_symmetries(options):
    permuted = jax.vmap(permute_slots)(jax.random.split(jax.random.key(1), LEVELS), levels())
    assert_same(play(observe(permuted), **options), play(observe(levels()), **options))


def test_what_is_seen_is_live():
    """Angles, limits, contacts and time are those of the moment, checked by hand on a pendulum that moves."""
    env = make("m", observation="scene", frame_skip=8, max_steps=64)
    one = levels()[int(np.argmax(levels().joint_active.any(1)))]
    scene, state = env.reset_to_level(jax.random.key(0), one, env.default_params)
    for _ in range(3):
        scene, state, *_ = env.step(jax.random.key(0), state, env.actions.noop(), env.default_params)
    world, j = state.world, int(np.argmax(one.joint_active))
    a, b = int(one.joint_a[j]), int(one.joint_b[j])
    angle = float(world.rotation[b] - world.rotation[a] - one.joint_rotation[j])
    np.testing.assert_allclose(scene.joints[j, 6:8], [np.sin(angle), np.cos(angle)], atol=1e-5)
    np.testing.assert_allclose(scene.globals, [0, one.gravity[1], 1 - 3 / 64], rtol=1e-6)
    np.testing.assert_allclose(scene.bodies[:, :2], world.position - ROOM_SIZE / 2, atol=1e-6)
