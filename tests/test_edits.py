"""Edits: what each one changes and what it leaves alone; levels stay valid; the levels that ACCEL starts from."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.generators.edits import EDIT_DRAWS, EDITS
from kinetix_ued.generators.edits.pose import in_tree, movable
from kinetix_ued.generators.mutate import mutate_level, mutate_levels
from kinetix_ued.generators.parameters import DEFAULT
from kinetix_ued.generators.roles import BLUE, GREEN, RED
from kinetix_ued.generators.sparse import SparseLevels, sparse_level
from kinetix_ued.levels import builder, load_level
from kinetix_ued.levels.resize import BODY_FIELDS, JOINT_FIELDS, THRUSTER_FIELDS
from kinetix_ued.world import Level, empty_level
from kinetix_ued.world.constants import FLOOR_HEIGHT, GRAVITY, ROOM_SIZE, STATIC_POLYGONS

DATA = Path(__file__).parent / "data" / "random"
COPIES = 64
ROUNDING = 1e-5
EVERY_EDIT = {name: 0.4 if name.startswith("remove") else 1.0 for name in EDITS}


def host(tree):
    return jax.tree.map(np.asarray, tree)


@jax.jit
def triangle_and_loop() -> Level:
    """A triangle (4) that a rod (5) ties to the ceiling; rods (6, 7, 8) in a ring; a rod (9) with a wheel (12)."""
    level = empty_level("l")
    level, triangle = builder.add_polygon(level, [(1.0, 3.0), (1.6, 2.8), (1.2, 2.4)], role="green", density=2.0)
    level, rod = builder.add_rectangle(level, (1.2, 3.9), 0.2, 2.2, fixed=True)
    level, _ = builder.add_joint(level, triangle, rod, (1.2, 2.9), fixed=True)
    level, _ = builder.add_joint(level, rod, 3, (1.2, 4.99))
    level, a = builder.add_rectangle(level, (3.0, 2.0), 1.0, 0.2)
    level, b = builder.add_rectangle(level, (2.6, 2.4), 0.2, 1.0)
    level, c = builder.add_rectangle(level, (3.0, 2.4), 1.2, 0.2, rotation=0.8)
    level, _ = builder.add_joint(level, a, b, (2.6, 2.0))
    level, _ = builder.add_joint(level, b, c, (2.6, 2.6))
    level, _ = builder.add_joint(level, c, a, (3.3, 2.0))
    level, bar = builder.add_rectangle(level, (2.0, 1.0), 1.0, 0.1)
    level, wheel = builder.add_circle(level, (2.4, 1.0), 0.3, role="blue")
    level, _ = builder.add_joint(level, bar, wheel, (2.4, 1.0))
    level, _ = builder.add_thruster(level, triangle, (1.3, 2.7), 1.0, 0.5)
    return level


def littered(level: Level) -> Level:
    """The level with all kinds of things in its unused slots, and saved in mid-episode."""
    unused = ~level.active
    return level.replace(
        density=jnp.where(unused, 7.0, level.density),
        velocity=jnp.where(unused[:, None], 3.0, level.velocity),
        collision_mode=jnp.where(unused, 0, level.collision_mode),
        motor_auto=~level.joint_active,
        joint_impulse=jnp.ones_like(level.joint_impulse),
        contact_normal_impulse=jnp.ones_like(level.contact_normal_impulse),
    )


def recorded_levels(size: str) -> list[Level]:
    return [load_level(path) for path in sorted((DATA / size).glob("*.json"))]


def edited_levels(size: str) -> Level:
    """Recorded levels after 25 edits of all kinds; those of size l, without litter, serve to try single edits on."""
    levels = recorded_levels(size)
    levels = [*levels, triangle_and_loop()] if size == "l" else [littered(level) for level in levels]
    copies = jax.tree.map(lambda *x: jnp.repeat(jnp.stack(x), COPIES, axis=0), *levels)
    return host(mutate_levels(jax.random.key(3), copies, 25, EVERY_EDIT))


def single_edits(levels: Level) -> dict[str, tuple[np.ndarray, Level]]:
    """For each edit where it is possible, and every level after it."""

    @jax.jit
    def edit_all(key: jax.Array, levels: Level):
        u = jax.random.uniform(key, (len(levels), EDIT_DRAWS))
        one = lambda edit, u, level: (edit.possible(level), edit.apply(u, level, DEFAULT))
        return {edit.name: jax.vmap(functools.partial(one, edit))(u, levels) for edit in EDITS.values()}

    return host(edit_all(jax.random.key(4), levels))


# What a level must be


def at_bodies(field: np.ndarray, index: np.ndarray) -> np.ndarray:
    """``field`` (n, N, ...) at body ``index`` (n, K)."""
    return field[np.arange(len(field))[:, None], index]


def turned(angle: np.ndarray, points: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(angle)[..., None], np.sin(angle)[..., None]
    x, y = points[..., :1], points[..., 1:]
    return np.concatenate([cos * x - sin * y, sin * x + cos * y], -1)


def shape_mask(levels: Level) -> np.ndarray:
    return levels.active & (np.arange(levels.size.bodies) >= STATIC_POLYGONS)


def joint_gaps(levels: Level) -> np.ndarray:
    """How far the two points of each joint are apart [m]."""
    points = [
        at_bodies(levels.position, index) + turned(at_bodies(levels.rotation, index), anchor)
        for index, anchor in ((levels.joint_a, levels.joint_anchor_a), (levels.joint_b, levels.joint_anchor_b))
    ]
    return np.linalg.norm(points[0] - points[1], axis=-1)


def areas_and_moments(levels: Level) -> tuple[np.ndarray, np.ndarray]:
    """Areas and second moments about the centre, by sums over triangles.

    As in the physics a circle's moment is half a disc's, and a triangle's last edge leads to its unused fourth corner.
    """
    a, b = levels.vertices, np.roll(levels.vertices, -1, axis=2)
    cross = lambda a, b: np.abs(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])
    used = np.arange(4) < levels.n_vertices[..., None]
    spokes = a[:, :, 1:] - a[:, :, :1]
    area = np.where(used[..., 2:], cross(spokes[:, :, :-1], spokes[:, :, 1:]), 0).sum(-1) / 2
    moment = np.where(used, cross(a, b) / 12 * (a * a + a * b + b * b).sum(-1), 0).sum(-1)
    circle = np.arange(levels.size.bodies) >= levels.size.polygons
    radius = levels.radius
    return np.where(circle, np.pi * radius**2, area), np.where(circle, np.pi * radius**4 / 4, moment)


def assert_valid(levels: Level) -> None:
    for name in (*BODY_FIELDS, *JOINT_FIELDS, *THRUSTER_FIELDS, "gravity"):
        assert np.isfinite(getattr(levels, name)).all(), name
    shape, role = shape_mask(levels), np.where(levels.active, levels.role, 0)
    assert levels.active[:, :STATIC_POLYGONS].all()
    assert (
        ((role == GREEN).sum(1) == 1).all() and ((role == BLUE).sum(1) == 1).all() and ((role == RED).sum(1) <= 1).all()
    )
    centres = levels.position[shape]
    assert centres.min() >= -ROUNDING and centres.max() <= ROOM_SIZE + ROUNDING
    polygon = shape & (np.arange(levels.size.bodies) < levels.size.polygons)
    for corners in (3, 4):
        polygons = levels.vertices[polygon & (levels.n_vertices == corners)][:, :corners]
        edges = np.roll(polygons, -1, axis=1) - polygons
        following = np.roll(edges, -1, axis=1)
        turns = edges[..., 0] * following[..., 1] - edges[..., 1] * following[..., 0]
        assert (turns < -1e-4).all()  # convex and clockwise
        assert np.abs(polygons.mean(1)).max(initial=0) < ROUNDING
    for implied, field in zip(areas_and_moments(levels), (levels.inverse_mass, levels.inverse_inertia), strict=True):
        free = shape & (levels.inverse_mass != 0)
        np.testing.assert_allclose(field[free] * (implied * levels.density)[free], 1, rtol=1e-4)
        assert (field[levels.inverse_mass == 0] == 0).all()
    on = levels.joint_active
    assert (levels.joint_a != levels.joint_b)[on].all() and joint_gaps(levels)[on].max(initial=0) < 1e-4
    for index, mask in ((levels.joint_a, on), (levels.joint_b, on), (levels.thruster_body, levels.thruster_active)):
        assert index.min() >= 0 and index.max() < levels.size.bodies and at_bodies(levels.active, index)[mask].all()


def assert_valid_after_many_edits(levels: Level) -> None:
    assert_valid(levels)
    shape, size = shape_mask(levels), levels.size.name
    assert (levels.collision_mode[shape] == 1).all() and (levels.velocity[shape] == 0).all()
    assert not (levels.motor_auto & levels.joint_active).any() and not levels.joint_impulse.any()
    assert not levels.contact_normal_impulse.any() and levels.density[shape].max() <= (2 if size == "l" else 1)
    kinds = np.unique(np.concatenate([levels.active, levels.joint_active, levels.thruster_active], 1), axis=0)
    assert len(kinds) > (8 if size == "s" else 30) and len(np.unique(levels.gravity[:, 1])) > 40


@pytest.mark.parametrize("size", ["s", "m"])
def test_levels_are_valid_after_many_edits(size):
    assert_valid_after_many_edits(edited_levels(size))


# What each edit does


def same(before: Level, after: Level, *but: str) -> np.ndarray:
    """Which levels (n) agree in all fields but those named."""
    names = [name for name in Level.__dataclass_fields__ if name not in ("size", *but)]
    equal = [(getattr(before, name) == getattr(after, name)).reshape(len(before), -1).all(1) for name in names]
    return np.all(equal, axis=0)


def slots_equal(before: Level, after: Level, fields: tuple[str, ...]) -> np.ndarray:
    """Which slots (n, slots) agree in all of ``fields``."""
    n, slots = getattr(before, fields[0]).shape
    equal = [(getattr(before, name) == getattr(after, name)).reshape(n, slots, -1).all(2) for name in fields]
    return np.all(equal, axis=0)


def one_body(changed: np.ndarray) -> np.ndarray:
    """The index (n) of the one slot that changed."""
    assert (changed.sum(1) == 1).all()
    return changed.argmax(1)


def check_add_shape(before: Level, after: Level) -> None:
    new = one_body(~slots_equal(before, after, BODY_FIELDS))
    rows = np.arange(len(before))
    assert not before.active[rows, new].any() and shape_mask(after)[rows, new].all()
    assert same(before, after, *BODY_FIELDS).all()
    assert (after.role[rows, new] != GREEN).all() and (after.role[rows, new] != BLUE).all()


def check_add_connected_shape(before: Level, after: Level) -> None:
    new = one_body(~slots_equal(before, after, BODY_FIELDS))
    joint = one_body(~slots_equal(before, after, JOINT_FIELDS))
    rows = np.arange(len(before))
    assert not before.active[rows, new].any() and not before.joint_active[rows, joint].any()
    assert (after.active.sum(1) - before.active.sum(1) == 1).all() and after.joint_active[rows, joint].all()
    ends = np.stack([after.joint_a[rows, joint], after.joint_b[rows, joint]])
    assert (ends == new).any(0).all() and before.active[rows, np.where(ends[0] == new, ends[1], ends[0])].all()
    assert same(before, after, *BODY_FIELDS, *JOINT_FIELDS).all() and joint_gaps(after)[after.joint_active].max() < 1e-4


def check_remove_joint(before: Level, after: Level) -> None:
    gone = one_body(~slots_equal(before, after, JOINT_FIELDS))
    rows = np.arange(len(before))
    assert before.joint_active[rows, gone].all() and not after.joint_active[rows, gone].any()
    assert same(before, after, *JOINT_FIELDS).all()


def check_remove_shape(before: Level, after: Level) -> None:
    gone = one_body(~slots_equal(before, after, BODY_FIELDS))
    rows = np.arange(len(before))
    role = before.role[rows, gone]
    assert shape_mask(before)[rows, gone].all() and not after.active[rows, gone].any()
    assert (role != GREEN).all() and (role != BLUE).all()
    held = before.joint_active & ((before.joint_a == gone[:, None]) | (before.joint_b == gone[:, None]))
    pushed = before.thruster_active & (before.thruster_body == gone[:, None])
    assert (after.joint_active == before.joint_active & ~held).all() and held.any()
    assert (after.thruster_active == before.thruster_active & ~pushed).all() and pushed.any()
    assert (slots_equal(before, after, JOINT_FIELDS) | held).all()
    assert (slots_equal(before, after, THRUSTER_FIELDS) | pushed).all()
    assert same(before, after, *BODY_FIELDS, *JOINT_FIELDS, *THRUSTER_FIELDS).all()


def check_swap_roles(before: Level, after: Level) -> None:
    changed = before.role != after.role
    assert (changed.sum(1) == 2).all() and shape_mask(before)[changed].all() and same(before, after, "role").all()
    np.testing.assert_array_equal(np.sort(before.role, axis=1), np.sort(after.role, axis=1))
    ends = np.sort(np.stack([at_bodies(after.role, index) for index in (after.joint_a, after.joint_b)], -1))
    ended = after.joint_active & (ends[..., 0] != 0) & (ends[..., 0] != ends[..., 1])
    assert not ended.any()


def check_add_thruster(before: Level, after: Level) -> None:
    new = one_body(~slots_equal(before, after, THRUSTER_FIELDS))
    rows = np.arange(len(before))
    assert not before.thruster_active[rows, new].any() and after.thruster_active[rows, new].all()
    assert (before.inverse_mass[rows, after.thruster_body[rows, new]] > 0).all()
    assert same(before, after, *THRUSTER_FIELDS).all()


def check_remove_thruster(before: Level, after: Level) -> None:
    gone = one_body(before.thruster_active & ~after.thruster_active)
    changed = ~slots_equal(before, after, THRUSTER_FIELDS)
    np.testing.assert_array_equal(one_body(changed), gone)
    assert same(before, after, *THRUSTER_FIELDS).all()


def check_toggle_fixation(before: Level, after: Level) -> None:
    body = one_body(before.inverse_mass != after.inverse_mass)
    rows = np.arange(len(before))
    assert ((before.inverse_mass[rows, body] == 0) != (after.inverse_mass[rows, body] == 0)).all()
    assert same(before, after, "inverse_mass", "inverse_inertia").all()


def check_resize(before: Level, after: Level) -> None:
    body = one_body((before.vertices != after.vertices).any((2, 3)) | (before.radius != after.radius))
    rows, size = np.arange(len(before)), before.size
    assert shape_mask(before)[rows, body].all()
    round_one = body >= size.polygons
    old, new = before.vertices[rows, body], after.vertices[rows, body]
    scale = np.where(round_one[:, None], 1.0, np.abs(new).max(1) / np.maximum(np.abs(old).max(1), 1e-9))
    by_radius = after.radius[rows, body] / np.maximum(before.radius[rows, body], 1e-9)
    scale = np.where(round_one[:, None], by_radius[:, None], scale)
    np.testing.assert_allclose(new[~round_one], (old * scale[:, None])[~round_one], rtol=1e-5, atol=1e-6)
    extent = np.where(round_one[:, None], after.radius[rows, body][:, None], np.abs(new).max(1))
    assert extent.min() >= 0.05 - 1e-6 and extent.max() <= 0.71

    for index, anchor in (("joint_a", "joint_anchor_a"), ("joint_b", "joint_anchor_b")):
        own = (getattr(before, index) == body[:, None]) & before.joint_active
        factor = np.where(own[..., None], scale[:, None], 1.0)
        np.testing.assert_allclose(getattr(after, anchor), getattr(before, anchor) * factor, rtol=1e-5, atol=1e-6)
    own = (before.thruster_body == body[:, None]) & before.thruster_active
    assert own.any()
    factor = np.where(own[..., None], scale[:, None], 1.0)
    np.testing.assert_allclose(after.thruster_position, before.thruster_position * factor, rtol=1e-5, atol=1e-6)
    power = before.thruster_power * factor.prod(-1)
    np.testing.assert_allclose(after.thruster_power, power, rtol=1e-5)  # the acceleration stays
    lines = []
    for levels in (before, after):
        direction = np.stack([np.cos(levels.thruster_rotation), np.sin(levels.thruster_rotation)], -1)
        point = levels.thruster_position
        lines.append(np.abs(direction[..., 0] * point[..., 1] - direction[..., 1] * point[..., 0]))
    assert (lines[1][own & (lines[0] < 1e-6)] < 1e-5).all()  # through the centre, as before
    assert same(
        before, after, "vertices", "radius", "inverse_mass", "inverse_inertia", "position",
        "joint_anchor_a", "joint_anchor_b", "thruster_position", "thruster_rotation", "thruster_power",
    ).all()  # fmt: skip
    check_followers(before, after, body)


def check_rotate(before: Level, after: Level) -> None:
    body = one_body(before.rotation != after.rotation)
    rows = np.arange(len(before))
    angle = after.rotation[rows, body] - before.rotation[rows, body]
    assert angle.min() > 0 and angle.max() <= np.pi / 2 + 1e-5 and shape_mask(before)[rows, body].all()
    fixed = before.joint_active & before.joint_fixed
    at_rest = lambda levels: (
        at_bodies(levels.rotation, levels.joint_b) - at_bodies(levels.rotation, levels.joint_a) - levels.joint_rotation
    )
    np.testing.assert_allclose(at_rest(after)[fixed], at_rest(before)[fixed], atol=1e-5)
    assert (before.joint_rotation == after.joint_rotation)[~fixed].all()
    assert same(before, after, "rotation", "position", "joint_rotation").all()
    check_followers(before, after, body)


def components_by_hand(levels: Level) -> np.ndarray:
    """Whether two bodies (n, N, N) are joined, directly or not."""
    n, bodies = levels.active.shape
    linked = np.broadcast_to(np.eye(bodies, dtype=bool), (n, bodies, bodies)).copy()
    for j in range(levels.joint_a.shape[1]):
        rows = np.flatnonzero(levels.joint_active[:, j])
        linked[rows, levels.joint_a[rows, j], levels.joint_b[rows, j]] = True
        linked[rows, levels.joint_b[rows, j], levels.joint_a[rows, j]] = True
    for _ in range(4):  # paths of up to 16 joints
        linked = (linked[:, :, :, None] & linked[:, None]).any(2) | linked
    return linked


def check_followers(before: Level, after: Level, body: np.ndarray) -> None:
    """Only what is joined to the edited body moves, and its joints meet."""
    rows = np.arange(len(before))
    with_body = components_by_hand(before)[rows, body]
    moved = (before.position != after.position).any(-1)
    assert not (moved & ~with_body).any() and not moved[:, :STATIC_POLYGONS].any()
    assert joint_gaps(after)[after.joint_active].max(initial=0) < 1e-4


def check_move(before: Level, after: Level) -> None:
    assert same(before, after, "position").all()
    shape, delta = shape_mask(before), after.position - before.position
    moved = (delta != 0).any(-1)
    linked = components_by_hand(before)
    body = moved.argmax(1)
    rows = np.flatnonzero(moved.any(1))  # a group that fills the room stays
    assert len(rows) > 0.98 * len(before)
    group = linked[np.arange(len(before)), body] & shape
    assert (moved == group)[rows].all()
    np.testing.assert_allclose(
        np.where(group[..., None], delta, 0)[rows],
        np.where(group[..., None], delta[np.arange(len(before)), body][:, None], 0)[rows],
        atol=1e-5,
    )
    circle = (np.arange(after.size.bodies) >= after.size.polygons)[:, None, None]
    corners = np.where(circle, 0.0, turned(after.rotation[:, :, None], after.vertices)) + after.position[:, :, None]
    low, high = ((corners + sign * np.where(circle, after.radius[:, :, None, None], 0.0)) for sign in (-1, 1))
    low = np.where(group[:, :, None, None], low, np.inf).min((1, 2))[rows]
    high = np.where(group[:, :, None, None], high, -np.inf).max((1, 2))[rows]
    fits = high - low <= np.array([ROOM_SIZE, ROOM_SIZE - FLOOR_HEIGHT])
    inside = (low >= np.array([0, FLOOR_HEIGHT]) - 1e-5) & (high <= ROOM_SIZE + 1e-5)
    assert (inside | ~fits).all() and fits.mean() > 0.9
    limit = 0.5 + 1e-5  # and farther only for what stuck out before
    assert (np.abs(delta[rows, body[rows]]) <= limit).mean() > 0.7


def check_change_gravity(before: Level, after: Level) -> None:
    assert same(before, after, "gravity").all() and (after.gravity[:, 0] == 0).all()
    vertical = after.gravity[:, 1]
    usual = vertical == np.float32(GRAVITY)
    assert 0.35 < usual.mean() < 0.65 and (vertical <= 0).all() and (vertical >= np.float32(GRAVITY)).all()
    assert vertical.max() > GRAVITY / 4


CHECKS = {name.removeprefix("check_"): check for name, check in list(globals().items()) if name.startswith("check_")}


def test_every_edit_does_what_its_name_says_and_only_that():
    """On levels of size l that many edits made, so that unusual ones are among them."""
    before = edited_levels("l")
    assert_valid_after_many_edits(before)
    edits = single_edits(before)
    for name, (possible, after) in edits.items():
        assert possible.sum() >= 15, name
        CHECKS[name](before[possible], after[possible])
        if name not in ("resize", "rotate"):  # after those a centre may be outside, and mutate_level gives the edit up
            assert_valid(after[possible])
        beyond = np.abs(after.position - ROOM_SIZE / 2) > ROOM_SIZE / 2 + ROUNDING
        assert (shape_mask(after) & beyond.any(-1)).any(1).mean() < 0.01, name
    check_where_possible(before, {name: possible for name, (possible, _) in edits.items()})


def check_where_possible(levels: Level, possible: dict[str, np.ndarray]) -> None:
    """What each edit needs, counted anew."""
    shape = shape_mask(levels)
    vacant = ~levels.active[:, STATIC_POLYGONS:].all(1)
    np.testing.assert_array_equal(possible["add_shape"], vacant)
    assert not (possible["add_connected_shape"] & (~vacant | levels.joint_active.all(1))).any()
    np.testing.assert_array_equal(possible["remove_joint"], levels.joint_active.any(1))
    np.testing.assert_array_equal(possible["remove_thruster"], levels.thruster_active.any(1))
    free = (levels.inverse_mass != 0).any(1)
    np.testing.assert_array_equal(possible["add_thruster"], free & ~levels.thruster_active.all(1))
    spare = shape & (levels.role != GREEN) & (levels.role != BLUE)
    np.testing.assert_array_equal(possible["remove_shape"], spare.any(1))
    for name in ("toggle_fixation", "change_gravity", "move", "resize", "rotate"):
        assert possible[name].mean() > 0.98, name


def test_an_impossible_edit_is_never_chosen():
    """A removal takes a thruster or a joint wherever there is one, and changes nothing where there is none."""
    levels = host(jax.tree.map(lambda *x: jnp.repeat(jnp.stack(x), COPIES, axis=0), *recorded_levels("s")))
    there = np.random.default_rng(0).random((2, len(levels), 1)) < 0.8
    levels = levels.replace(joint_active=levels.joint_active & there[0], thruster_active=levels.thruster_active & there[1])
    left = lambda levels: levels.joint_active.sum(1) + levels.thruster_active.sum(1)
    assert set(np.unique(left(levels))) == {0, 1, 2}
    fewer = host(mutate_levels(jax.random.key(0), levels, 1, {"remove_joint": 1.0, "remove_thruster": 1e-3}))
    np.testing.assert_array_equal(left(fewer), np.maximum(left(levels) - 1, 0))
    assert same(levels, fewer, *JOINT_FIELDS, *THRUSTER_FIELDS).all() and same(levels, fewer)[left(levels) == 0].all()
    both = levels.joint_active.any(1) & levels.thruster_active.any(1)
    assert fewer.thruster_active.any(1)[both].mean() > 0.9


def test_same_key_same_edits_and_a_batch_is_a_loop():
    levels = host(jax.tree.map(lambda *x: jnp.stack(x), *recorded_levels("s")))
    weights = {"move": 1.0, "swap_roles": 2}
    batch = host(mutate_levels(jax.random.key(5), levels, 3, weights))
    again = mutate_levels(jax.random.key(5), levels, 3, dict(reversed(weights.items())))
    jax.tree.map(np.testing.assert_array_equal, batch, host(again))
    other = mutate_levels(jax.random.key(6), levels, 3, weights)
    assert (np.asarray(other.position) != batch.position).any()
    key = jax.random.split(jax.random.key(5), len(levels))[2]
    one = host(mutate_level(key, levels[2], 3, weights))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[2], b, atol=1e-5), batch, one)
    assert_valid(batch)
    assert same(levels, batch, "position", "role").all()


def test_loops_and_joints_to_the_room_are_recognised():
    level = triangle_and_loop()
    closed, free = jax.jit(lambda level: (in_tree(level), movable(level)))(level)
    np.testing.assert_array_equal(np.flatnonzero(closed), [4, 5, 9, 12])
    np.testing.assert_array_equal(np.flatnonzero(free), [6, 7, 8, 9, 12])


def test_refusals_name_the_remedy():
    key, level = jax.random.key(0), empty_level("s")
    batch = jax.tree.map(lambda x: x[None], level)
    for n_edits in (0, -1, 2.0, True):
        with pytest.raises(ValueError, match="n_edits must be a positive integer"):
            mutate_level(key, level, n_edits)
    for weights, message in (
        ({"shrink": 1.0}, "unknown edit 'shrink': use one of add_shape, add_connected_shape, remove_joint"),
        ({"move": -1.0}, "weight of edit 'move' must be 0 or a positive number"),
        ({"move": float("nan")}, "weight of edit 'move'"),
        ({"move": float("inf")}, "weight of edit 'move'"),
        ({"move": 0.0, "rotate": 0}, "no edit has a weight above 0"),
        ({}, "no edit has a weight above 0"),
    ):
        with pytest.raises(ValueError, match=message):
            mutate_level(key, level, 1, weights)
        with pytest.raises(ValueError, match=message):
            mutate_levels(key, batch, 1, weights)
    with pytest.raises(ValueError, match="use mutate_levels for a batch"):
        mutate_level(key, batch, 1)
    with pytest.raises(ValueError, match="use mutate_level for a single one"):
        mutate_levels(key, level, 1)


def test_default_weights_are_the_references():
    weights = {name: edit.weight for name, edit in EDITS.items()}
    never = {"remove_joint", "remove_shape", "change_gravity"}
    assert len(weights) == 12 and {name for name, weight in weights.items() if weight == 0} == never
    assert weights["toggle_fixation"] == 0.1
    assert all(weights[name] == 1.0 for name in weights.keys() - never - {"toggle_fixation"})


# Where ACCEL starts


def test_sparse_levels():
    sample = jax.jit(jax.vmap(functools.partial(sparse_level, size="s")))
    levels = host(sample(jax.random.split(jax.random.key(0), 2048)))
    assert_valid(levels)
    shape, joints, thrusters = shape_mask(levels), levels.joint_active.sum(1), levels.thruster_active.sum(1)
    assert (levels.role[:, :STATIC_POLYGONS] == 0).all()
    np.testing.assert_array_equal(shape.sum(1), 2 + joints)
    for combination in ((0, 1), (1, 0), (1, 1)):
        assert abs(((joints == combination[0]) & (thrusters == combination[1])).mean() - 1 / 3) < 0.05
    assert not (levels.joint_active & levels.joint_fixed).any()
    goal = (levels.role == GREEN) | (levels.role == BLUE)
    assert (shape & goal & (levels.inverse_mass > 0)).any(1).all()
    polygon = shape & (np.arange(levels.size.bodies) < levels.size.polygons)
    extent = np.abs(levels.vertices).max((2, 3))
    small = np.where(goal, 0.354, 0.177) * 2 + 1e-3  # with the long side
    large = (polygon & (extent > small)).any(1)
    assert 0.01 < large.mean() < 0.15 and extent[polygon].max() <= 1.42
    radius = np.where(goal, levels.radius, 0.0)[:, levels.size.polygons :]
    assert (radius > 0.4).mean() < 0.05 and radius.max() > 0.5


def test_sparse_levels_refuse_what_makes_no_sense():
    with pytest.raises(ValueError, match="large_chance is a probability"):
        SparseLevels(large_chance=1.5)
    with pytest.raises(ValueError, match="use one of s, m, l"):
        sparse_level(jax.random.key(0), "xl")
