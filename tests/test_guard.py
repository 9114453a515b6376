"""Held out means held out: levels of the suites are recognised in every size, refused, and never drawn."""

import dataclasses
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.benchmarks import held_out_table, holdout, published
from kinetix_ued.benchmarks.published import Published, published_levels
from kinetix_ued.curricula import Curriculum, Plan
from kinetix_ued.generators import exclusion, sample_levels
from kinetix_ued.generators.exclusion import (
    TRIES,
    emptied,
    excluding,
    hash_array,
    held_out,
    held_out_levels,
    held_out_sketches,
    refuse_held_out,
    sample_excluding,
)
from kinetix_ued.generators.sketch import TOLERANCE, WAVES, sketch, sketch_array
from kinetix_ued.levels import content_hash, hash_text, hash_texts, load_level, load_levels, resize_level, save_level
from kinetix_ued.levels.resize import BODY_FIELDS
from kinetix_ued.training import preset, train
from kinetix_ued.training.build import build_sampler
from kinetix_ued.world import empty_level

DATA = Path(__file__).parent / "data" / "random"
LEVELS = load_levels(DATA / "s")[1]
HOLDOUT = load_levels([holdout.level_file(name) for name in holdout.holdout_names()])[1]
HASHES = np.asarray(content_hash(LEVELS))
N = 8


def sample(key: jax.Array, n: int):
    """Levels from three."""
    return LEVELS[jax.random.randint(key, (n,), 0, 3)]


draw = jax.jit(lambda key, hashes: sample_excluding(key, N, sample, hashes))


@pytest.fixture
def known(monkeypatch) -> dict[str, str]:
    """Two levels are held out."""
    files = [min((DATA / size).glob("*.json")) for size in "sm"]
    table = {hash_text(load_level(file)): f"holdout/{file.parent.name}/level_{n}" for n, file in enumerate(files)}
    monkeypatch.setattr(exclusion, "held_out_levels", lambda: table)
    return table


REMEDY = "write generators/held_out.txt anew: python -m kinetix_ued.benchmarks.held_out_table"


def test_the_table_lists_both_suites_whether_installed_or_not():
    suites = {about.hash: f"kinetix/{name}" for name, about in published_levels().items()}
    suites |= {hash_text(load_level(holdout.level_file(name))): f"holdout/{name}" for name in holdout.holdout_names()}
    wrong = [f"{digits} {name}" for digits, name in suites.items() if held_out_levels().get(digits) != name]
    assert not wrong, REMEDY
    assert len(held_out_levels()) == len(suites), "generators/held_out.txt lists levels that no suite has"


def test_the_table_has_the_sketch_of_every_level():
    hashes, sketches = held_out_sketches()
    assert sketches.shape == (len(held_out_levels()), WAVES) and np.isfinite(sketches).all()
    assert {f"{high:08x}{low:08x}" for high, low in hashes.tolist()} == set(held_out_levels())
    at = {text: i for i, text in enumerate(held_out_levels())}
    found = sketches[[at[text] for text in hash_texts(HOLDOUT)]]
    np.testing.assert_allclose(sketch_array(HOLDOUT), found, atol=2e-3, err_msg=REMEDY)
    apart = np.abs(sketches[:, None] - sketches[None]).max(axis=-1) + 10 * np.eye(len(sketches))
    assert apart.min() > 4 * TOLERANCE, "no two held-out levels are near copies of each other"


def test_the_table_is_written_from_the_levels_of_both_suites(monkeypatch, tmp_path):
    own, others = holdout.holdout_names("s")[:2], sorted((DATA / "s").glob("*.json"))[:2]
    for number, file in enumerate(others):
        target = tmp_path / "s" / f"level_{number}.json"
        target.parent.mkdir(exist_ok=True)
        shutil.copy(file, target)
    listed = {f"s/level_{n}": Published(hash_text(load_level(file)), "arms") for n, file in enumerate(others)}
    for module in (published, held_out_table):
        monkeypatch.setattr(module, "published_levels", lambda: listed)
    monkeypatch.setattr(holdout, "holdout_names", lambda: own)
    rows = [line.split() for line in held_out_table.table(str(tmp_path)).splitlines() if not line.startswith("#")]
    assert [row[1] for row in rows] == ["kinetix/s/level_0", "kinetix/s/level_1", *(f"holdout/{name}" for name in own)]
    assert [row[0] for row in rows[2:]] == [text for text, name in held_out_levels().items() if name[8:] in own]


def disturbances(levels) -> dict[str, tuple]:
    """Batches of the same levels with a disturbance each, and whether they are near copies of them."""
    rng, n = np.random.default_rng(0), levels.size.bodies
    room = np.arange(n) < 4
    wall = levels.vertices.at[:, 1, 1:3, 0].set(-0.05)  # the published levels' erratum
    order = np.concatenate([rng.permutation(np.arange(4, levels.size.polygons)), np.arange(levels.size.polygons, n)])
    order = np.concatenate([np.arange(4), order])
    bodies = {name: getattr(levels, name)[:, order] for name in BODY_FIELDS}
    where = np.argsort(order)
    shuffled = {name: jnp.asarray(where)[getattr(levels, name)] for name in ("joint_a", "joint_b", "thruster_body")}
    noise = jnp.asarray(rng.normal(0, 1e-3, levels.position.shape), jnp.float32)
    shift = jnp.where(room[:, None], 0.03, 0.0)
    replace = dataclasses.replace
    return {
        "left wall": (replace(levels, vertices=wall), True),
        "left wall and gravity": (replace(levels, vertices=wall, gravity=levels.gravity * 0), True),
        "room shifted": (replace(levels, position=levels.position + shift), True),
        "rounding": (replace(levels, position=levels.position + noise * ~room[:, None]), True),
        "order of slots": (replace(levels, **bodies | shuffled), True),
        "whole turn": (replace(levels, rotation=levels.rotation + 2 * np.pi), True),
        "materials": (replace(levels, friction=levels.friction * 0.5, density=levels.density * 2), True),
        "motors": (replace(levels, motor_speed=levels.motor_speed + 1, motor_binding=3 - levels.motor_binding), True),
        "roles": (replace(levels, role=jnp.where(room, levels.role, jnp.array([0, 2, 1, 3])[levels.role])), False),
        "floor": (replace(levels, role=levels.role.at[:, 0].set((levels.role[:, 0] + 3) % 4)), False),
        "mirrored": (_mirrored(levels), None),
    }


def _mirrored(levels):
    flip = jnp.array([-1, 1], jnp.float32)
    room = np.arange(levels.size.bodies)[:, None] < 4
    position = jnp.where(room, levels.position, levels.position * flip + jnp.array([5.0, 0]))
    vertices = levels.vertices[:, :, ::-1] * flip
    return dataclasses.replace(levels, position=position, rotation=-levels.rotation, vertices=vertices)


def test_near_copies_of_every_handmade_level_are_known_and_other_levels_are_not():
    found = jax.jit(lambda levels: held_out(levels, hash_array()))
    for what, (levels, near) in disturbances(HOLDOUT).items():
        share = float(np.asarray(found(levels)).mean())
        assert share == near if near is not None else share < 0.1, (what, share)
    last = np.argmax(np.where(np.asarray(HOLDOUT.active), np.arange(HOLDOUT.size.bodies), 0), axis=1)
    places = np.array(HOLDOUT.position)
    for by, near in ((0.003, 1.0), (0.15, 0.0)):
        places[np.arange(len(last)), last] = np.asarray(HOLDOUT.position)[np.arange(len(last)), last] + by
        assert np.asarray(found(dataclasses.replace(HOLDOUT, position=jnp.asarray(places)))).mean() == near, by


def test_near_copies_are_refused_emptied_and_named(monkeypatch):
    near = disturbances(HOLDOUT)["left wall and gravity"][0]
    name = held_out_levels()[hash_text(HOLDOUT[0])]
    with pytest.raises(ValueError, match=rf"2 of 2 levels .*: a is nearly {name}, b is nearly .*--allow-holdout"):
        refuse_held_out(near[:2], ["a", "b"])
    marked, count = jax.jit(lambda levels: emptied(levels, hash_array()))(near)
    assert int(count) == len(near) and not np.asarray(marked.active[:, 4:]).any()
    others = hash_array(hash_texts(HOLDOUT)[1:])  # held out are those with these hashes alone, and their near copies
    assert np.flatnonzero(~np.asarray(held_out(near, others))).tolist() == [0]
    drawn = excluding(lambda key, n: near[:n], hash_array())(jax.random.key(0), 2)
    assert not np.asarray(drawn.active[:, 4:]).any()


def test_sketches_are_the_same_in_numpy_under_jit_and_in_every_size():
    by_numpy = sketch_array(HOLDOUT)
    np.testing.assert_allclose(jax.jit(sketch)(HOLDOUT), by_numpy, atol=1e-3)
    np.testing.assert_allclose(sketch_array(resize_level(HOLDOUT, "20p9c7j5t")), by_numpy, atol=1e-3)
    np.testing.assert_allclose(sketch_array(HOLDOUT[3]), by_numpy[3], atol=1e-4)
    assert sketch_array(empty_level("s")).shape == (WAVES,)


@pytest.mark.parametrize("size", ["s", "m"])
def test_random_levels_are_far_from_all_held_out_ones(size):
    levels = sample_levels(jax.random.key(5), 2000, size)
    apart = np.abs(sketch_array(levels)[:, None] - held_out_sketches()[1][None]).max(axis=-1)
    assert apart.min() > 8 * TOLERANCE


def test_hashes_as_text_and_as_numbers(known):
    array = hash_array()
    assert array.shape == (2, 2) and array.dtype == np.uint32
    assert hash_array([]).shape == (0, 2)
    np.testing.assert_array_equal(hash_array(hash_texts(LEVELS)), HASHES)
    with pytest.raises(ValueError, match="takes a batch"):
        hash_texts(LEVELS[0])


def test_a_level_of_a_suite_is_refused_in_any_size_and_format(known, tmp_path):
    names, levels = load_levels(DATA, "l")
    kinetix, larger = tmp_path / "training" / "b.json", tmp_path / "training" / "c.json"
    shutil.copy(min((DATA / "m").glob("*.json")), tmp_path / "training.json")
    save_level(load_level(tmp_path / "training.json"), kinetix, format="kinetix")
    save_level(load_level(min((DATA / "s").glob("*.json")), "l"), larger)
    for file, twin in ((kinetix, "m/level_1"), (larger, "s/level_0")):
        level = jax.tree.map(lambda x: x[None], load_level(file))
        with pytest.raises(ValueError, match=f"mine: 1 of 1 levels .*: {file.name} is holdout/{twin}. .*allow_holdout"):
            refuse_held_out(level, [file.name], "mine")
    with pytest.raises(
        ValueError, match=rf"training: 2 of {len(names)} levels .*: m/random_m_000 is .*--allow-holdout"
    ):
        refuse_held_out(levels, names)
    clean = [i for i, text in enumerate(hash_texts(levels)) if text not in known]
    refuse_held_out(levels[np.array(clean)], [names[i] for i in clean])


def test_hashes_do_not_depend_on_the_size():
    marked = held_out(resize_level(LEVELS, "m"), HASHES[:2])
    assert np.asarray(marked).tolist() == [True, True] + [False] * (len(LEVELS) - 2)
    for size in ("m", "l", "20p9c7j5t"):
        assert hash_texts(resize_level(LEVELS, size)) == hash_texts(LEVELS)


def test_a_sampler_is_left_as_it_is_where_nothing_is_held_out():
    key = jax.random.key(4)
    levels, dropped = draw(key, jnp.asarray(HASHES[:3] + np.uint32(1)))
    jax.tree.map(np.testing.assert_array_equal, levels, sample(jax.random.fold_in(key, 0), N))
    assert dropped == 0


def test_held_out_levels_are_drawn_again():
    for seed in range(5):
        key = jax.random.key(seed)
        levels, dropped = draw(key, jnp.asarray(HASHES[[0, 1, 1]]))
        assert set(hash_texts(levels)) == {hash_text(LEVELS[2])}, "the only one left"
        first = np.asarray(jax.random.randint(key, (N,), 0, 3))
        assert dropped >= (first < 2).sum()
    again, _ = draw(key, jnp.asarray(HASHES[[0, 1, 1]]))
    jax.tree.map(np.testing.assert_array_equal, again, levels)


def test_a_generator_of_held_out_levels_alone_yields_empty_rooms():
    levels, dropped = draw(jax.random.key(0), jnp.asarray(HASHES[:3]))
    assert set(hash_texts(levels)) == {hash_text(empty_level("s"))} and dropped == N * TRIES


def test_a_wrapped_sampler_is_one_like_the_others():
    mapped = jax.eval_shape(lambda key: excluding(sample, HASHES[:2])(key, N), jax.random.key(0))
    assert mapped == jax.eval_shape(lambda key: sample(key, N), jax.random.key(0))


def test_hashes_of_another_kind_are_refused():
    for wrong in (np.zeros(2, np.uint32), np.zeros((1, 2), np.int32), np.zeros((1, 3), np.uint32)):
        with pytest.raises(ValueError, match=r"shape \(H, 2\) and type uint32"):
            excluding(sample, wrong)
    with pytest.raises(ValueError, match="n must be a positive integer"):
        sample_excluding(jax.random.key(0), 0, sample, HASHES)


def test_training_refuses_a_generator_of_suite_levels_unless_told_otherwise():
    level = load_level(holdout.level_file(holdout.holdout_names("s")[0]))
    generator = lambda key, size: level
    config = preset("tiny", filters="")
    with pytest.raises(ValueError, match=r"the generator: 64 of 64 levels .* is holdout/s/.*--allow-holdout"):
        build_sampler(config, generator)
    sample, _ = build_sampler(preset("tiny", filters="", allow_holdout=True), generator)
    assert set(hash_texts(sample(jax.random.key(0), 2))) == {hash_text(level)}


def fixed_curriculum(levels, batch):
    """Plays the same levels for ever, whatever anyone says of them."""
    plan = Plan(slots=jnp.full(batch, -1), restart=jnp.bool_(True), learn=jnp.bool_(True))
    return Curriculum(lambda key: jnp.int32(0), lambda key, state: (levels, plan), lambda *noted: (jnp.int32(0), {}))


def test_levels_of_a_curriculum_are_emptied_where_they_are_held_out():
    """Whatever proposes them: a child that an edit made, or the user's own functions, later than anyone looked."""
    marked, count = jax.jit(emptied)(LEVELS, HASHES[:2])
    assert int(count) == 2 and not np.asarray(held_out(marked, HASHES[:2])).any()
    others = hash_texts(LEVELS)[2:]
    assert [text for text in hash_texts(marked) if text in others] == list(others)


def test_training_refuses_a_curriculum_of_suite_levels_unless_told_otherwise(tmp_path):
    config = preset("tiny", steps=8 * 16 * 2, eval_levels=0, progress=False, out=str(tmp_path / "run"))
    names = [holdout.level_file(name) for name in holdout.holdout_names("s")[:2]]
    levels = jax.tree.map(lambda *x: jnp.stack([x[i % 2] for i in range(8)]), *map(load_level, names))
    curriculum = fixed_curriculum(levels, 8)
    with pytest.raises(ValueError, match="the curriculum: 8 of 8 levels are held out .* is holdout/s/"):
        train(config, curriculum)
    assert not (tmp_path / "run").exists()
    run = train(dataclasses.replace(config, allow_holdout=True), curriculum)
    assert run.metrics[0]["levels/held_out"] == 0 and run.metrics[0]["levels/shapes"] > 2
