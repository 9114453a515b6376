"""The level builder: what it builds is what was asked for, traced or not, and nonsense is refused with the remedy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.environment import make
from kinetix_ued.levels import LevelError, builder, check_level
from kinetix_ued.world import empty_level, size_of


def cart(level):
    """A green ball joined to a blue cart with a thruster, and a fixed ramp."""
    level, ball = builder.add_circle(level, (1.0, 0.7), 0.3, role="green", restitution=0.5)
    level, base = builder.add_rectangle(level, (2.5, 0.6), 1.2, 0.4, np.pi / 2, role="blue", density=2.0)
    level, ramp = builder.add_polygon(level, [(3.0, 0.4), (4.0, 0.4), (4.0, 1.0)], fixed=True, friction=0.5)
    level, joint = builder.add_joint(level, ball, base, (1.5, 0.8), limits=(-1.0, 0.5), speed=2.0, binding=3)
    level, thruster = builder.add_thruster(level, base, (2.5, 0.4), np.pi, 0.7, binding=1)
    return level, (ball, base, ramp, joint, thruster)


def test_what_is_built_is_what_was_asked_for():
    level, slots = cart(empty_level("m"))
    ball, base, ramp, joint, thruster = map(int, slots)
    assert (ball, base, ramp, joint, thruster) == (6, 4, 5, 0, 0)
    check_level(level)
    assert level.role[ball] == 1 and level.role[base] == 2 and level.restitution[ball] == 0.5
    np.testing.assert_allclose(1 / level.inverse_mass[base], 2.0 * 1.2 * 0.4, rtol=1e-6)
    np.testing.assert_allclose(1 / level.inverse_inertia[base], 0.96 / 12 * (1.2**2 + 0.4**2), rtol=1e-5)
    np.testing.assert_allclose(1 / level.inverse_mass[ball], np.pi * 0.09, rtol=1e-6)
    assert level.inverse_mass[ramp] == level.inverse_inertia[ramp] == 0
    np.testing.assert_allclose(level.position[ramp], [11 / 3, 0.6], rtol=1e-6)
    # The shared point, in each frame: the base is turned by a right angle.
    np.testing.assert_allclose(level.joint_anchor_a[joint], [0.5, 0.1], atol=1e-6)
    np.testing.assert_allclose(level.joint_anchor_b[joint], [0.2, 1.0], atol=1e-6)
    np.testing.assert_allclose(level.joint_rotation[joint], np.pi / 2)
    assert level.joint_limited[joint] and level.motor_on[joint] and level.motor_binding[joint] == 3
    # A thruster that pushes left in the room pushes up in the frame of a body that has turned left.
    np.testing.assert_allclose(level.thruster_position[thruster], [-0.2, 0.0], atol=1e-6)
    np.testing.assert_allclose(level.thruster_rotation[thruster], np.pi / 2, rtol=1e-6)


def test_a_triangle_has_its_textbook_inertia():
    corners = np.array([[1.0, 1.0], [2.0, 1.0], [1.0, 1.6]])
    for order in (corners, corners[::-1]):  # either way round
        level, body = builder.add_polygon(empty_level("s"), order, density=3.0)
        check_level(level)
        mass = 3.0 * 0.3
        np.testing.assert_allclose(1 / level.inverse_mass[body], mass, rtol=1e-5)
        sides = [np.sum((a - b) ** 2) for a, b in zip(corners, np.roll(corners, 1, axis=0))]
        np.testing.assert_allclose(1 / level.inverse_inertia[body], mass / 36 * sum(sides), rtol=1e-5)


def test_traced_and_batched_calls_build_the_same():
    eager, _ = cart(empty_level("m"))
    traced = jax.jit(lambda: cart(empty_level("m"))[0])()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), eager, traced)

    def build(x):
        level, ball = builder.add_circle(empty_level("s"), jnp.stack([x, x]), 0.2, when=x > 1.0)
        level, box = builder.add_rectangle(level, (3.0, 1.0), 0.5, 0.5)
        level, joint = builder.add_joint(level, ball, box, (2.0, 1.0))
        level, second = builder.add_rectangle(level, (3.0, 1.0), 0.5, 0.5)  # a size for one: no slot
        level, thruster = builder.add_thruster(level, second, (3.0, 1.0), 0.0, 1.0)
        return level, jnp.stack([ball, box, joint, second, thruster])

    levels, slots = jax.jit(jax.vmap(build))(jnp.array([0.5, 2.0]))
    np.testing.assert_array_equal(slots, [[-1, 4, -1, -1, -1], [5, 4, 0, -1, -1]])
    np.testing.assert_array_equal(levels.active.sum(1), [5, 6])
    np.testing.assert_array_equal(levels.joint_active[:, 0], [False, True])
    assert not levels.thruster_active.any()
    for i in range(2):
        check_level(levels[i])


def test_changes_to_what_is_there():
    level, (ball, base, *_) = cart(empty_level("m"))
    fixed = builder.fix(level, base)
    assert fixed.inverse_mass[base] == fixed.inverse_inertia[base] == 0
    free = builder.unfix(fixed, base)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), free, level)
    heavy = builder.set_material(level, base, density=4.0, friction=0.25)
    np.testing.assert_allclose(heavy.inverse_mass[base] * 2, level.inverse_mass[base], rtol=1e-6)
    assert heavy.friction[base] == 0.25 and heavy.friction[ball] == 1
    assert builder.set_material(fixed, base, density=4.0).inverse_mass[base] == 0
    assert builder.set_role(level, 0, "red").role[0] == 3
    np.testing.assert_allclose(builder.set_gravity(level, -1.6).gravity, [0, -1.6])
    assert builder.unfix(level, jnp.int32(ball)).inverse_mass[0] == 0


def test_a_thruster_pushes_where_it_points():
    """In a room without gravity, a thruster that points left accelerates its body to the left, and nothing else."""
    env = make("s", observation="blind", engine="jax")
    level = builder.set_gravity(empty_level("s"), 0.0)
    level, box = builder.add_rectangle(level, (2.5, 2.5), 0.8, 0.4, 1.0)
    level, _ = builder.add_thruster(level, box, (2.5, 2.5), np.pi, 0.7, binding=1)
    _, state = env.reset_to_level(jax.random.key(0), level, env.default_params)
    _, pushed, *_ = env.step(jax.random.key(0), state, jnp.array([0, 0, 0, 0, 0, 1]), env.default_params)
    force, mass = 0.7 * 10, 0.32
    np.testing.assert_allclose(pushed.world.velocity[4], [-force / mass * 2 / 60, 0.0], atol=1e-5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda level: builder.add_rectangle(level, (1, 1), 0.0, 1.0), "width: 0.0 is not positive"),
        (lambda level: builder.add_circle(level, (1, float("nan")), 1.0), "position: .* is not finite"),
        (lambda level: builder.add_circle(level, (1, 1), 1.0, role="pink"), "use one of none, green, blue, red"),
        (lambda level: builder.add_circle(level, (1, 1), 1.0, role=4), "role: 4 does not exist: use 0 to 3"),
        (lambda level: builder.add_circle(level, (1, 1), 1.0, density=0.0), "density: is 0.0: give a number above 0"),
        (lambda level: builder.add_circle(level, (1, 1), 1.0, friction=-1), "friction: is -1: give 0 or more"),
        (lambda level: builder.add_polygon(level, [(0, 0), (1, 1)]), "give three or four points"),
        (lambda level: builder.add_polygon(level, [(0, 0), (1, 1), (2, 2)]), "no convex polygon"),
        (lambda level: builder.add_polygon(level, [(0, 0), (1, 1), (0, 1), (1, 0)]), "no convex polygon"),
        (lambda level: builder.add_joint(level, 0, 5, (1, 1)), "body: 5 is not there: add it first"),
        (lambda level: builder.add_joint(level, 0, 99, (1, 1)), "body: 99 does not exist"),
        (lambda level: builder.add_joint(level, 0, 0, (1, 1)), "joined to itself"),
        (lambda level: builder.add_joint(level, 0, 4, (1, 1), binding=4), "binding: 4 does not exist: use 0 to 3"),
        (lambda level: builder.add_joint(level, 0, 4, (1, 1), limits=(1, -1)), "give the lower one first"),
        (lambda level: builder.add_thruster(level, 4, (1, 1), 0.0, 1.0, binding=2), "binding: 2 does not exist"),
        (lambda level: builder.unfix(level, 0), "the room does not move"),
        (lambda level: builder.add_rectangle(level, (1, 1), 1.0, 1.0), "polygons: all of size 's' are in use"),
        (lambda level: builder.fix(jax.tree.map(lambda x: x[None], level), 4), "is a batch of levels"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_with_the_remedy(call, words):
    level, _ = builder.add_rectangle(empty_level("s"), (2.0, 1.0), 0.5, 0.5)
    with pytest.raises(LevelError, match=words):
        call(level)


def test_a_size_too_small_is_refused_with_sizes_that_do():
    builder.require_slots(size_of("s"), shapes=1, circles=2, joints=1, thrusters=1)
    with pytest.raises(ValueError, match="a car needs 2 joints and size 's' has 1: use size 'm' or 'l'"):
        builder.require_slots(size_of("s"), circles=2, joints=2, what="a car")
    with pytest.raises(ValueError, match="use a size such as '24p3c2j2t'"):
        builder.require_slots(size_of("m"), shapes=20, circles=2)
