"""Held out means held out: levels of the suites are recognised in every size, refused, and never drawn."""

import dataclasses
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.benchmarks import holdout
from kinetix_ued.benchmarks.published import published_levels
from kinetix_ued.curricula import Curriculum, Plan
from kinetix_ued.generators import exclusion
from kinetix_ued.generators.exclusion import (
    TRIES,
    emptied,
    excluding,
    hash_array,
    held_out,
    held_out_levels,
    refuse_held_out,
    sample_excluding,
)
from kinetix_ued.levels import content_hash, hash_text, hash_texts, load_level, load_levels, resize_level, save_level
from kinetix_ued.training import preset, train
from kinetix_ued.training.build import build_sampler
from kinetix_ued.world import empty_level

DATA = Path(__file__).parent / "data" / "random"
LEVELS = load_levels(DATA / "s")[1]
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


def test_the_table_lists_both_suites_whether_installed_or_not():
    suites = {about.hash: f"kinetix/{name}" for name, about in published_levels().items()}
    suites |= {hash_text(load_level(holdout.level_file(name))): f"holdout/{name}" for name in holdout.holdout_names()}
    wrong = [f"{digits} {name}" for digits, name in suites.items() if held_out_levels().get(digits) != name]
    assert not wrong, "write these lines into generators/held_out.txt:\n" + "\n".join(wrong)
    assert len(held_out_levels()) == len(suites), "generators/held_out.txt lists levels that no suite has"


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
    jax.tree.map(np.testing.assert_array_equal, levels, sample(key, N))
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
