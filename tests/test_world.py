"""The physics: recorded trajectories, the other engine, and the properties any such world must have."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.levels import load_level
from kinetix_ued.world import Engine, Size, components, empty_level, get_engine, size_of, start
from kinetix_ued.world.mass import circle_inverse_mass_inertia

DATA = pathlib.Path(__file__).parent / "data" / "random"
ENGINES = [Engine("jax"), Engine("warp")]


def recorded(size):
    """(level, recording) of the stored sample of a size."""
    files = sorted((DATA / size).glob("*.npz"))
    assert files
    return [(load_level(f.with_suffix(".json")), np.load(f)) for f in files]


def actuators(level, actions):
    motors = jnp.array([0.0, 1.0, -1.0])[actions[..., :4]]
    return motors[..., level.motor_binding], actions[..., 4:].astype(jnp.float32)[..., level.thruster_binding]


@pytest.fixture(scope="module")
def trajectories():
    """``trajectories(engine)(level, actions)``: the state after every frame, and what the frames showed."""

    def build(engine):
        def run(level, actions):
            def step(state, action):
                state, frames = engine.step(level, state, *actuators(level, action))
                return state, (state, frames)

            return jax.lax.scan(step, start(level), actions)[1]

        return jax.jit(run)

    runners = {engine: build(engine) for engine in [*ENGINES, Engine("jax", "fixed"), Engine("warp", "fixed")]}
    return runners.__getitem__


def balls(size="s", **fields):
    """Two free balls of radius 0.2 in a room without gravity, apart unless ``fields`` say otherwise."""
    level = empty_level(size)
    first = level.size.polygons
    pair = jnp.arange(first, first + 2)
    inverse_mass, inverse_inertia = circle_inverse_mass_inertia(jnp.float32(0.2), jnp.float32(1.0))
    level = level.replace(
        active=level.active.at[pair].set(True),
        position=level.position.at[pair].set(jnp.array([[1.5, 2.5], [3.5, 2.6]])),
        radius=level.radius.at[pair].set(0.2),
        inverse_mass=level.inverse_mass.at[pair].set(inverse_mass),
        inverse_inertia=level.inverse_inertia.at[pair].set(inverse_inertia),
        gravity=jnp.zeros(2),
    )
    return level.replace(**fields), pair


@pytest.mark.parametrize("size", ["s", "m", "l"])
@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: e.name)
def test_recorded_trajectories(engine, size, trajectories):
    for level, gold in recorded(size):
        states, _ = trajectories(engine)(level, jnp.asarray(gold["actions"][:32]))
        active = np.asarray(level.active)
        error = np.abs(np.asarray(states.position) - gold["position"][:32]).max(-1)[:, active].max(-1)
        assert error[0] <= 2e-6 and error[7] <= 2e-5 and error[31] <= 1e-4
        assert np.abs(np.asarray(states.rotation) - gold["rotation"][:32])[:8, active].max() <= 1e-4


@pytest.mark.parametrize("size", ["s", "l"])
def test_engines_agree_with_fixed_physics(size, trajectories):
    for level, gold in recorded(size):
        actions = jnp.asarray(gold["actions"][:24])
        a, shown_a = trajectories(Engine("jax", "fixed"))(level, actions)
        b, shown_b = trajectories(Engine("warp", "fixed"))(level, actions)
        np.testing.assert_allclose(a.position, b.position, atol=2e-5)
        np.testing.assert_array_equal(shown_a.touch, shown_b.touch)
        np.testing.assert_allclose(shown_a.distance, shown_b.distance, atol=1e-4)
        np.testing.assert_array_equal(a.contact_active, b.contact_active)


@pytest.mark.parametrize("engine", ["jax", "warp"])
def test_padding_fault_forgets_the_last_pair(engine, trajectories):
    """In S the only circle-circle pair never accumulates; with fixed physics it does."""
    level, pair = balls()
    level = level.replace(
        position=level.position.at[pair].set(jnp.array([[2.3, 2.5], [2.68, 2.5]])),
        velocity=level.velocity.at[pair].set(jnp.array([[1.0, 0.0], [-1.0, 0.0]])),
    )
    still = jnp.zeros((1, 6), jnp.int32)
    forgotten, _ = trajectories(Engine(engine))(level, still)
    kept, _ = trajectories(Engine(engine, "fixed"))(level, still)
    assert forgotten.contact_active[0, -1] and kept.contact_active[0, -1]
    assert forgotten.contact_normal_impulse[0, -1] == 0.0
    assert kept.contact_normal_impulse[0, -1] > 0.0


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: e.name)
def test_momentum_is_conserved_and_a_collision_stops_the_approach(engine, trajectories):
    level, pair = balls()
    level = level.replace(velocity=level.velocity.at[pair].set(jnp.array([[3.0, 0.2], [-1.0, 0.0]])))
    states, _ = trajectories(engine)(level, jnp.zeros((60, 6), jnp.int32))
    momentum = states.velocity[:, pair].sum(axis=1)  # equal masses
    np.testing.assert_allclose(momentum, np.tile([2.0, 0.2], (60, 1)), atol=1e-4)
    assert states.contact_active[:, -1].any()
    approach = states.velocity[-1, pair[0], 0] - states.velocity[-1, pair[1], 0]
    assert abs(approach) < 1.0 < 4.0


def test_vmap_and_nested_vmap_equal_a_loop():
    levels = [level for level, _ in recorded("m")]
    batch = jax.tree.map(lambda *x: jnp.stack(x), *levels)
    engine = Engine("warp")
    motor = jax.random.uniform(jax.random.key(0), (3, len(levels), 2), minval=-1.0)
    thruster = jax.random.uniform(jax.random.key(1), (3, len(levels), 2))

    def one(level, motor, thruster):
        return engine.step(level, start(level), motor, thruster, frames=2)

    over_levels = jax.vmap(one)
    over_both = jax.jit(jax.vmap(over_levels, in_axes=(None, 0, 0)))
    nested = over_both(batch, motor, thruster)
    for i in range(3):
        for j, level in enumerate(levels):
            single = jax.jit(one)(level, motor[i, j], thruster[i, j])
            jax.tree.map(lambda x, y, i=i, j=j: np.testing.assert_array_equal(x[i, j], y), nested, single)
    text = over_both.lower(batch, motor, thruster).as_text()
    assert text.count("stablehlo.custom_call") == 1, "one launch for all scenes"


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: e.name)
def test_inactive_slots_touch_nothing(engine, trajectories):
    level, gold = recorded("l")[0]
    idle_body, idle_joint, idle_thruster = ~level.active, ~level.joint_active, ~level.thruster_active
    assert idle_body.any() and idle_joint.any()
    junk = level.replace(
        position=jnp.where(idle_body[:, None], 2.5, level.position),
        vertices=jnp.where(idle_body[:, None, None], 3.0 * empty_level("l").vertices[0], level.vertices),
        radius=jnp.where(idle_body, 3.0, level.radius),
        role=jnp.where(idle_body, 2, level.role),
        joint_anchor_a=jnp.where(idle_joint[:, None], 1.0, level.joint_anchor_a),
        joint_b=jnp.where(idle_joint, 7, level.joint_b),
        thruster_power=jnp.where(idle_thruster, 50.0, level.thruster_power),
    )
    actions = jnp.asarray(gold["actions"][:16])
    a, shown_a = trajectories(engine)(level, actions)
    b, shown_b = trajectories(engine)(junk, actions)
    np.testing.assert_array_equal(a.position[:, level.active], b.position[:, level.active])
    np.testing.assert_array_equal(shown_a.touch, shown_b.touch)
    np.testing.assert_array_equal(shown_a.distance, shown_b.distance)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: e.name)
def test_permuting_circles_permutes_the_result(engine, trajectories):
    """Two balls of S on the floor: their slots do not matter (the pair that forgets is the same)."""
    level, pair = balls(gravity=jnp.array([0.0, -9.81]))
    swap = jnp.arange(7).at[pair].set(pair[::-1])
    bodies = ("active", "position", "radius", "inverse_mass", "inverse_inertia", "velocity")
    swapped = level.replace(**{name: getattr(level, name)[swap] for name in bodies})
    still = jnp.zeros((40, 6), jnp.int32)
    a, _ = trajectories(engine)(level, still)
    b, _ = trajectories(engine)(swapped, still)
    np.testing.assert_allclose(a.position[:, swap], b.position, atol=1e-6)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: e.name)
def test_nan_is_not_hidden_by_the_clips(engine, trajectories):
    level, pair = balls()
    level = level.replace(velocity=level.velocity.at[pair[0], 0].set(jnp.nan))
    states, _ = trajectories(engine)(level, jnp.zeros((1, 6), jnp.int32))
    assert jnp.isnan(states.position[0, pair[0], 0]) and jnp.isfinite(states.position[0, pair[1]]).all()


@pytest.mark.parametrize("engine", ENGINES, ids=lambda e: e.name)
def test_frames_equal_single_frames(engine):
    level, gold = recorded("s")[0]
    motor, thruster = actuators(level, jnp.asarray(gold["actions"][0]))
    both, shown = jax.jit(lambda: engine.step(level, start(level), motor, thruster, frames=2))()
    once, first = jax.jit(lambda: engine.step(level, start(level), motor, thruster))()
    twice, second = jax.jit(lambda state: engine.step(level, state, motor, thruster))(once)
    np.testing.assert_allclose(both.position, twice.position, atol=1e-6)
    np.testing.assert_array_equal(shown.touch, jnp.concatenate([first.touch, second.touch]))


def test_components_label_by_the_smallest_index():
    level = empty_level("l")
    level = level.replace(
        joint_active=level.joint_active.at[:3].set(True),
        joint_a=level.joint_a.at[:3].set(jnp.array([9, 8, 13])),
        joint_b=level.joint_b.at[:3].set(jnp.array([8, 5, 14])),
    )
    labels = components(level)
    expected = jnp.arange(16).at[jnp.array([8, 9])].set(5).at[14].set(13)
    np.testing.assert_array_equal(labels, expected)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ValueError, match="auto, jax, warp"):
        get_engine("box2d")
    with pytest.raises(ValueError, match="kinetix, fixed"):
        get_engine("jax", physics="real")
    with pytest.raises(ValueError, match="s, m, l"):
        size_of("xl")
    with pytest.raises(ValueError, match="at least 5 polygons"):
        Size(4, 1, 1, 1)


def test_missing_warp_falls_back_in_one_line(monkeypatch):
    from kinetix_ued.world import engine

    monkeypatch.setattr(engine, "warp_problem", lambda: "warp-lang cannot be imported (no build)")
    with pytest.warns(UserWarning, match="no build.*using the slower engine 'jax'"):
        assert get_engine("auto") == Engine("jax")
    with pytest.raises(ValueError, match="use engine='jax'"):
        get_engine("warp")
