"""Checkpoints: bit-exact, atomic, and honest about what they cannot restore."""

import json
import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.training import checkpoint
from kinetix_ued.training.checkpoint import CheckpointError
from kinetix_ued.training.metrics import Rating

CONFIG = {"seed": 1, "size": "s", "learning_rate": 1e-4}


def make_tree(seed=0):
    key = jax.random.key(seed)
    return {
        "params": {"w": jax.random.normal(key, (3, 4)), "half": jnp.array([1.5, -2.25], jnp.bfloat16)},
        "key": key,
        "keys": jax.random.split(key, 3),
        "raw": jax.random.PRNGKey(7),
        "count": jnp.uint32(4_000_000_000),
        "flags": jnp.array([True, False]),
        "scalar_half": jnp.bfloat16(0.1),
        "odd": jnp.array([jnp.nan, jnp.inf, -0.0]),
        "empty": jnp.zeros((0, 2)),
    }


def save(folder, update, tree=None, keep=3, config=CONFIG):
    tree = make_tree(update) if tree is None else tree
    return checkpoint.save(folder, tree, update=update, config=config, host={"steps": 3 * 2**40}, keep=keep)


def assert_same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b)):
        assert x.dtype == y.dtype and x.shape == y.shape
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


def test_every_leaf_returns_bit_for_bit(tmp_path):
    tree = make_tree()
    save(tmp_path, 5, tree)
    example = jax.eval_shape(lambda: tree)
    loaded = checkpoint.load(tmp_path, example, config=CONFIG)
    assert_same(loaded.tree, tree)
    assert (loaded.update, loaded.host, loaded.config) == (5, {"steps": 3 * 2**40}, CONFIG)
    same_draw = jax.random.normal(loaded.tree["key"], (4,)) == jax.random.normal(tree["key"], (4,))
    assert bool(same_draw.all())


def test_a_part_is_restored_alone(tmp_path):
    tree = make_tree()
    save(tmp_path, 5, tree)
    loaded = checkpoint.load(tmp_path, tree["params"], part="['params']")
    assert_same(loaded.tree, tree["params"])


def test_only_the_last_are_kept(tmp_path):
    for update in (1, 2, 3, 10):
        save(tmp_path, update, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["update_000000003", "update_000000010"]


def cut_arrays(path):
    data = (path / "arrays.npz").read_bytes()
    (path / "arrays.npz").write_bytes(data[: len(data) // 2])


def cut_manifest(path):
    data = (path / "manifest.json").read_bytes()
    (path / "manifest.json").write_bytes(data[: len(data) // 2])


def flip_byte(path):
    with np.load(path / "arrays.npz") as file:
        arrays = dict(file)
    largest = max(arrays, key=lambda name: arrays[name].size)
    arrays[largest].flat[0] += 1
    np.savez(path / "arrays.npz", **arrays)


def edit_manifest(path):
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["update"] = 99
    (path / "manifest.json").write_text(json.dumps(manifest))


def lose_arrays(path):
    (path / "arrays.npz").unlink()


def list_manifest(path):
    (path / "manifest.json").write_text("[]")


@pytest.mark.parametrize("damage", [cut_arrays, cut_manifest, flip_byte, edit_manifest, lose_arrays, list_manifest])
def test_a_damaged_checkpoint_is_passed_over(tmp_path, damage):
    save(tmp_path, 1)
    damage(save(tmp_path, 2))
    assert checkpoint.load(tmp_path, make_tree()).update == 1
    save(tmp_path, 2)  # the resumed run writes the same update again
    assert checkpoint.load(tmp_path, make_tree()).update == 2


def test_an_unfinished_checkpoint_does_not_count_and_is_cleared_away(tmp_path):
    shutil.move(save(tmp_path, 2), tmp_path / ".update_000000002.partial")
    assert checkpoint.load(tmp_path, make_tree()) is None
    save(tmp_path, 2)
    assert [p.name for p in tmp_path.iterdir()] == ["update_000000002"]


def test_no_checkpoint_is_none(tmp_path):
    assert checkpoint.load(tmp_path / "absent", make_tree()) is None


def test_another_configuration_is_refused_by_name(tmp_path):
    save(tmp_path, 1)
    with pytest.raises(CheckpointError, match=r"seed is 1 there, 2 here; size is 's' there, 'm' here"):
        checkpoint.load(tmp_path, make_tree(), config=CONFIG | {"seed": 2, "size": "m"})


def test_another_tree_is_refused_by_name(tmp_path):
    save(tmp_path, 1)
    tree = make_tree()
    with pytest.raises(CheckpointError, match=r"\['extra'\] is missing there"):
        checkpoint.load(tmp_path, tree | {"extra": jnp.zeros(1)})
    with pytest.raises(CheckpointError, match=r"\['raw'\] has shape and type"):
        checkpoint.load(tmp_path, tree | {"raw": jnp.zeros(3)})
    with pytest.raises(CheckpointError, match=r"\['key'\] has shape and type"):
        checkpoint.load(tmp_path, tree | {"key": jax.random.PRNGKey(0)})


def test_another_format_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    save(tmp_path, 1)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="format 2, this version reads 1"):
        checkpoint.load(tmp_path, make_tree())


def rated(folder, update, name, value, keep=2):
    rating = None if value is None else Rating(name, value)
    checkpoint.save(folder, make_tree(update), update=update, config=CONFIG, host={}, keep=keep, rating=rating)


def best(folder):
    return checkpoint.load(folder, make_tree(), which="best")


def test_the_best_outlives_the_rotation_until_it_is_surpassed(tmp_path):
    for update, value in enumerate([0.1, 0.5, None, 0.5, 0.3, 0.6, 0.2, 0.2], start=1):
        rated(tmp_path, update, "running_solve_rate", value)
        if update == 5:
            assert checkpoint.saved_updates(tmp_path) == [2, 4, 5]  # of equals the first
            assert_same(best(tmp_path).tree, make_tree(2))
    assert checkpoint.saved_updates(tmp_path) == [6, 7, 8]
    assert best(tmp_path).rating == checkpoint.best_rating(tmp_path) == Rating("running_solve_rate", 0.6)
    assert checkpoint.load(tmp_path, make_tree(), which=7).update == 7
    assert checkpoint.load(tmp_path, make_tree(), which=1) is None


def test_an_evaluation_says_more_than_training(tmp_path):
    rated(tmp_path, 1, "evaluation/solve_rate", 0.1, keep=1)
    rated(tmp_path, 2, "running_solve_rate", 0.9, keep=1)
    rated(tmp_path, 3, "running_solve_rate", 0.8, keep=1)
    assert checkpoint.saved_updates(tmp_path) == [1, 3] and best(tmp_path).update == 1


def test_a_damaged_best_gives_way_to_the_next(tmp_path):
    for update, value in ((1, 0.4), (2, 0.9), (3, 0.2), (4, None)):
        rated(tmp_path, update, "running_solve_rate", value, keep=9)
    cut_arrays(tmp_path / "update_000000002")
    assert best(tmp_path).update == 1
    cut_manifest(tmp_path / "update_000000001")
    assert best(tmp_path).update == 3 and checkpoint.best_rating(tmp_path).value == 0.2
    shutil.rmtree(tmp_path / "update_000000003")
    assert best(tmp_path) is None


@pytest.mark.parametrize("which", ["newest", True, 1.0, None])
def test_an_unknown_choice_is_refused(tmp_path, which):
    with pytest.raises(ValueError, match="use 'latest', 'best' or the number of an update"):
        checkpoint.load(tmp_path, make_tree(), which=which)


@pytest.mark.parametrize("moment", ["savez", "dump", "replace"])
def test_a_crash_while_writing_leaves_the_checkpoint_before(tmp_path, monkeypatch, moment):
    save(tmp_path, 1)

    def crash(file, *rest, **more):
        if hasattr(file, "write"):
            file.write(b"half")
        raise OSError("no space left on device")

    module = {"savez": np, "dump": json, "replace": os}[moment]
    monkeypatch.setattr(module, moment, crash)
    with pytest.raises(OSError, match="no space left"):
        save(tmp_path, 2)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.glob("update_*")] == ["update_000000001"] and len(list(tmp_path.iterdir())) == 2
    assert checkpoint.load(tmp_path, make_tree()).update == 1
    save(tmp_path, 2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["update_000000001", "update_000000002"]
