"""Actions: what they mean, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.environment import ACTIONS, make_actions
from kinetix_ued.environment.actions import actuate, driven_channels
from kinetix_ued.world import SIZES, empty_level


def controls(name, action):
    return np.asarray(make_actions(name).controls(jnp.asarray(action))).tolist()


def test_multi_discrete_controls():
    assert controls("multi_discrete", [0, 0, 0, 0, 0, 0]) == [0, 0, 0, 0, 0, 0]
    assert controls("multi_discrete", [1, 2, 0, 1, 1, 0]) == [1, -1, 0, 1, 1, 0]
    assert controls("multi_discrete", [2, 1, 2, 0, 0, 1]) == [-1, 1, -1, 0, 0, 1]


def test_discrete_controls():
    rows = np.array([controls("discrete", action) for action in range(11)])
    expected = np.zeros((11, 6))
    for motor in range(4):
        expected[2 * motor, motor] = -1
        expected[2 * motor + 1, motor] = 1
    expected[9, 4] = expected[10, 5] = 1
    np.testing.assert_array_equal(rows, expected)


def test_continuous_controls_are_clipped():
    assert controls("continuous", [0.5, -0.5, 3.0, -3.0, 0.25, -0.25]) == [0.5, -0.5, 1, -1, 0.25, 0]
    assert controls("continuous", [0.0, 0, 0, 0, 2.0, -2.0])[4:] == [1, 0]


@pytest.mark.parametrize("name", list(ACTIONS))
def test_noop_drives_nothing(name):
    kind = make_actions(name)
    assert np.asarray(kind.controls(kind.noop())).tolist() == [0] * 6
    assert kind.noop().shape == kind.shape and kind.noop().dtype == kind.dtype


@pytest.mark.parametrize("name", list(ACTIONS))
def test_samples_lie_in_the_space_and_fill_it(name):
    kind = make_actions(name)
    samples = jax.vmap(kind.sample)(jax.random.split(jax.random.key(0), 500))
    assert samples.shape == (500, *kind.shape) and samples.dtype == kind.dtype
    assert np.asarray(jax.vmap(kind.contains)(samples)).all()
    if kind.heads:
        per_head = np.asarray(samples).reshape(500, len(kind.heads))
        for choices, drawn in zip(kind.heads, per_head.T):
            counts = np.bincount(drawn, minlength=choices)
            assert len(counts) == choices and (counts > 0.6 * 500 / choices).all()
    else:
        lowest, highest = np.asarray(samples).min(axis=0), np.asarray(samples).max(axis=0)
        assert (highest > 0.95).all() and (lowest[:4] < -0.95).all() and (lowest[4:] >= 0).all()


def test_heads_for_a_policy():
    assert make_actions("multi_discrete").heads == (3, 3, 3, 3, 2, 2)
    assert make_actions("discrete").heads == (11,)
    continuous = make_actions("continuous")
    assert continuous.heads == () and continuous.shape == (6,) and (continuous.low, continuous.high) == (-1, 1)


def test_actuate_spreads_by_binding():
    level = empty_level(SIZES["l"]).replace(
        motor_binding=jnp.array([0, 1, 2, 3, 3, 0], jnp.int32),
        motor_auto=jnp.array([False, False, False, False, True, False]),
        thruster_binding=jnp.array([1, 0], jnp.int32),
    )
    motor, thruster = actuate(level, jnp.array([0.1, -0.2, 0.3, -0.4, 0.5, 0.6]))
    np.testing.assert_allclose(motor, np.float32([0.1, -0.2, 0.3, -0.4, 1.0, 0.1]))
    np.testing.assert_allclose(thruster, np.float32([0.6, 0.5]))


@pytest.mark.parametrize(
    "name, actions, complaint",
    [
        ("multi_discrete", np.zeros((4, 5), int), "shape"),
        ("multi_discrete", np.zeros(6, int), "shape"),
        ("multi_discrete", np.zeros((0, 6), int), "T at least 1"),
        ("multi_discrete", np.zeros((4, 6)), "float64"),
        ("multi_discrete", np.zeros((4, 6), bool), "bool"),
        ("multi_discrete", np.array([[0] * 6, [0, 0, 0, 0, 2, 0]]), "step 1"),
        ("multi_discrete", np.array([[-1] + [0] * 5]), "step 0"),
        ("multi_discrete", np.array([[2**32] + [0] * 5]), "step 0"),
        ("discrete", np.array([8, 11]), "step 1"),
        ("discrete", np.zeros((4, 1), int), "shape"),
        ("continuous", np.full((2, 6), np.nan), "step 0"),
        ("continuous", np.array([[0.0] * 6, [1.5] + [0.0] * 5]), "step 1"),
        ("continuous", np.zeros((2, 6), complex), "complex"),
    ],
)
def test_bad_actions_are_refused(name, actions, complaint):
    with pytest.raises(ValueError, match=complaint):
        make_actions(name).check(actions)


def test_good_actions_are_cast():
    assert make_actions("multi_discrete").check(np.ones((3, 6), np.uint8)).dtype == np.int32
    assert make_actions("continuous").check(np.zeros((3, 6))).dtype == np.float32


def test_unknown_actions_are_refused():
    with pytest.raises(ValueError, match="unknown actions 'hybrid'.*continuous, multi_discrete, discrete"):
        make_actions("hybrid")


def test_driven_channels_are_those_that_something_listens_to():
    level = empty_level("m")
    assert not driven_channels(level).any()
    level = level.replace(
        joint_active=jnp.array([True, True]),
        motor_on=jnp.array([True, True]),
        motor_binding=jnp.array([2, 1]),
        joint_fixed=jnp.array([False, True]),  # a fixed joint has no motor
        thruster_active=jnp.array([False, True]),
        thruster_binding=jnp.array([0, 1]),
    )
    np.testing.assert_array_equal(driven_channels(level), [False, False, True, False, False, True])
    np.testing.assert_array_equal(driven_channels(level.replace(motor_auto=jnp.array([True, False])))[:4], False)


def test_idle_channels_change_nothing():
    level = empty_level("l").replace(motor_binding=jnp.array([3] * 6), thruster_binding=jnp.array([1, 1]))
    level = level.replace(
        joint_active=jnp.arange(6) < 1, motor_on=jnp.ones(6, bool), thruster_active=jnp.array([True, False])
    )
    driven = driven_channels(level)
    kind = make_actions("multi_discrete")
    for seed in range(8):
        a, b = (kind.sample(jax.random.key(s)) for s in (seed, seed + 100))
        b = jnp.where(driven, a, b)
        motor_a, thruster_a = actuate(level, kind.controls(a))
        motor_b, thruster_b = actuate(level, kind.controls(b))
        np.testing.assert_array_equal(motor_a[level.joint_active], motor_b[level.joint_active])
        np.testing.assert_array_equal(thruster_a[level.thruster_active], thruster_b[level.thruster_active])
