"""Observations against recordings of the reference, and what they promise beyond them."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.environment import OBSERVATIONS, make_observation
from kinetix_ued.environment.observations import Blind, Entity, SymbolicFlat, SymbolicFlatPadded
from kinetix_ued.levels import load_level
from kinetix_ued.world import SIZES, Size, empty_level, start

DATA = Path(__file__).parent / "data" / "random"
RECORDINGS = sorted(DATA.glob("*/*.npz"))


def first_view(observation, level):
    return observation.observe(level, start(level), jnp.int32(0))


@pytest.fixture(scope="module")
def views():
    """Compiled first views by observation; levels of a size share them."""
    return {kind: jax.jit(lambda level, kind=kind: first_view(kind(), level)) for kind in (Entity, SymbolicFlat)}


def random_scene(size, seed):
    """A level and state of uniform noise: every slot active, joints and contacts anywhere."""
    rng = np.random.default_rng(seed)
    level = empty_level(size)

    def noise(x):
        if x.dtype == bool:
            return jnp.asarray(rng.random(x.shape) < 0.7)
        if x.dtype == jnp.int32:
            return jnp.asarray(rng.integers(0, 2, x.shape), jnp.int32)
        return jnp.asarray(rng.uniform(-2, 2, x.shape), jnp.float32)

    level = jax.tree.map(noise, level)
    ends = np.stack([rng.permutation(size.bodies)[:2] for _ in range(size.joints)])
    level = level.replace(joint_a=jnp.asarray(ends[:, 0], jnp.int32), joint_b=jnp.asarray(ends[:, 1], jnp.int32))
    return level, start(level)


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.stem)
def test_first_views_equal_the_recorded_ones(views, recording):
    gold = np.load(recording)
    level = load_level(recording.with_suffix(".json"))
    seen = views[Entity](level)
    for field in dataclasses.fields(seen):
        got, want = np.asarray(getattr(seen, field.name)), gold[f"entity_0_{field.name}"]
        assert got.dtype == want.dtype and got.shape == want.shape, field.name
        np.testing.assert_allclose(got, want, atol=1e-6, err_msg=field.name)
    np.testing.assert_allclose(views[SymbolicFlat](level), gold["flat_0"], atol=1e-6)


def test_there_are_recordings_of_every_size():
    assert {path.parent.name for path in RECORDINGS} == set(SIZES)


@pytest.mark.parametrize("size, length, table", [("s", 140, (6, 41)), ("m", 247, (10, 45)), ("l", 679, (21, 59))])
def test_spaces_have_the_published_shapes(size, length, table):
    size = SIZES[size]
    bodies, joints = size.bodies, size.joints
    flat, padded, blind = SymbolicFlat().space(size), SymbolicFlatPadded().space(size), Blind(10).space(size)
    assert (flat.shape, flat.dtype) == ((length,), jnp.float32)
    assert (padded.shape, padded.dtype) == (table, jnp.float32)
    assert (blind.shape, blind.dtype) == ((11,), jnp.float32)
    entity = Entity().space(size)
    assert entity.circles.shape == (size.circles, 19) and entity.polygons.shape == (size.polygons, 27)
    assert entity.joints.shape == (2 * joints, 22) and entity.thrusters.shape == (size.thrusters, 8)
    assert (entity.attention_mask.shape, entity.attention_mask.dtype) == ((4, bodies, bodies), jnp.bool_)
    assert (entity.joint_indexes.shape, entity.joint_indexes.dtype) == ((2 * joints, 2), jnp.int32)
    assert (entity.thruster_indexes.shape, entity.thruster_indexes.dtype) == ((size.thrusters,), jnp.int32)


def test_the_padded_table_holds_the_flat_vector():
    size = SIZES["m"]
    level, world = random_scene(size, 0)
    flat = np.asarray(SymbolicFlat().observe(level, world, 0))
    table = np.asarray(SymbolicFlatPadded().observe(level, world, 0))
    counts = [size.polygons - 3, size.circles, size.joints, size.thrusters]
    widths = [26, 18, 22 + 2 * size.bodies, 8 + size.bodies]
    kinds = np.repeat(np.arange(4), counts)
    cropped = [row[: widths[kind]] for row, kind in zip(table, kinds)]
    np.testing.assert_array_equal(np.concatenate([*cropped, table[0, -1:]]), flat)
    np.testing.assert_array_equal(table[:, -5:-1].argmax(axis=1), kinds)
    np.testing.assert_array_equal(table[:, -5:-1].sum(axis=1), 1)
    assert all((row[widths[kind] : -5] == 0).all() for row, kind in zip(table, kinds))


def test_every_contact_marks_its_own_pair():
    size = SIZES["l"]
    level = empty_level(size)
    level = level.replace(active=jnp.ones_like(level.active))

    def marked(contact_active):
        world = start(level).replace(contact_active=contact_active)
        return Entity().observe(level, world, 0).attention_mask[3]

    masks = np.asarray(jax.jit(jax.vmap(marked))(jnp.eye(size.contacts, dtype=bool)))
    assert (masks.sum(axis=(1, 2)) == 1).all()
    pairs = np.stack(np.nonzero(masks), axis=1)[:, 1:]
    np.testing.assert_array_equal(pairs, size.contact_bodies)


@pytest.mark.parametrize("seed", range(3))
def test_masks_against_loops(seed):
    size = Size(polygons=7, circles=3, joints=5, thrusters=2)
    level, world = random_scene(size, seed)
    mask = np.asarray(Entity().observe(level, world, 0).attention_mask)
    active, component = np.asarray(level.active), np.asarray(world.component)
    joints = {
        pair
        for a, b, on in zip(level.joint_a.tolist(), level.joint_b.tolist(), level.joint_active.tolist())
        for pair in [(a, b), (b, a)]
        if on
    }
    for a in range(size.bodies):
        for b in range(size.bodies):
            both = active[a] and active[b]
            assert mask[0, a, b] == both
            assert mask[1, a, b] == (both and component[a] == component[b])
            assert mask[2, a, b] == (both and (a, b) in joints)


def test_a_broken_state_is_shown_as_finite_numbers():
    level, world = random_scene(SIZES["s"], 1)
    broken = jax.tree.map(lambda x: jnp.full_like(x, jnp.nan) if x.dtype == jnp.float32 else x, world)
    for name in OBSERVATIONS:
        for leaf in jax.tree.leaves(make_observation(name).observe(level, broken, jnp.int32(3))):
            assert np.isfinite(np.asarray(leaf)).all(), name


def test_inactive_slots_are_blank_in_the_flat_vector_and_change_nothing_in_masks():
    size = SIZES["m"]
    level, world = random_scene(size, 2)
    off = jnp.zeros_like
    level = level.replace(
        active=off(level.active), joint_active=off(level.joint_active), thruster_active=off(level.thruster_active)
    )
    flat = np.asarray(SymbolicFlat().observe(level, world, 0))
    assert (flat[:-1] == 0).all() and flat[-1] == np.float32(level.gravity[1] / 10)
    assert not np.asarray(Entity().observe(level, world, 0).attention_mask).any()


def test_flat_features_are_clipped():
    level, world = random_scene(SIZES["s"], 3)
    level = level.replace(active=jnp.ones_like(level.active), inverse_mass=level.inverse_mass * 0 + 1e6)
    flat = np.asarray(SymbolicFlat().observe(level, world, 0))
    assert np.abs(flat).max() == 10


@pytest.mark.parametrize("name", list(OBSERVATIONS))
def test_vmap_equals_a_loop(name):
    observation = make_observation(name)
    scenes = [random_scene(SIZES["s"], seed) for seed in range(4)]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *scenes)
    times = jnp.arange(4)
    together = jax.jit(jax.vmap(observation.observe))(*batch, times)
    alone = jax.jit(observation.observe)
    for i, scene in enumerate(scenes):
        one = jax.tree.map(lambda x, i=i: x[i], together)
        for got, want in zip(jax.tree.leaves(one), jax.tree.leaves(alone(*scene, times[i]))):
            np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


def test_blind_sees_the_clock_alone():
    level, world = random_scene(SIZES["s"], 4)
    blind = make_observation("blind", max_steps=5)
    for time in range(6):
        np.testing.assert_array_equal(blind.observe(level, world, jnp.int32(time)), np.eye(6)[time])
    assert not np.asarray(blind.observe(level, world, jnp.int32(6))).any()


def test_observations_are_equal_by_their_options():
    assert Entity() == Entity() and hash(Entity()) == hash(Entity())
    assert Blind(3) == Blind(3) != Blind(4)


def test_unknown_observations_are_refused():
    known = "entity, scene, symbolic_flat, symbolic_flat_padded, pixels, blind"
    with pytest.raises(ValueError, match=f"unknown observation 'pixel'.*{known}"):
        make_observation("pixel")
