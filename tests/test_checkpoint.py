"""Checkpoints: bit-exact, atomic, and honest about what they cannot restore."""

import json
import os
import random
import shutil
import time
import warnings

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


@pytest.mark.filterwarnings("ignore:.*is used instead")
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


@pytest.mark.filterwarnings("ignore:.*is used instead")
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


def hurt(path, chance):
    """Damage one file of a checkpoint somewhere: a byte changed, the end cut off, or the file gone."""
    file = path / chance.choice(["arrays.npz", "manifest.json"])
    if not file.exists():
        return None
    data = bytearray(file.read_bytes())
    kind = chance.choice(["byte", "cut", "gone"])
    if kind == "gone":
        return file.unlink()
    place = chance.randrange(len(data))
    if kind == "byte":
        data[place] ^= 1 + chance.randrange(255)
    file.write_bytes(data[:place] if kind == "cut" else data)


def whole(folder):
    """Updates whose checkpoint can be loaded, oldest first."""
    there = (int(path.name[len("update_") :]) for path in folder.glob("update_*"))
    return sorted(n for n in there if checkpoint.load(folder, make_tree(), which=n) is not None)


@pytest.mark.filterwarnings("ignore:.*is used instead")
@pytest.mark.parametrize("keep", [1, 2])
def test_damaged_checkpoints_never_crowd_out_whole_ones(tmp_path, keep):
    """After every save the last whole ones of all that there were are there, whichever were damaged before it."""
    chance = random.Random(keep)
    for update in range(1, 41):
        before = whole(tmp_path)
        save(tmp_path, update, keep=keep)
        assert whole(tmp_path) == [*before, update][-keep:]
        assert checkpoint.load(tmp_path, make_tree()).update == update
        for path in tmp_path.glob("update_*"):
            if chance.random() < 0.4:
                hurt(path, chance)


def test_nothing_is_removed_where_the_new_checkpoint_does_not_read_back(tmp_path, monkeypatch):
    save(tmp_path, 1, keep=1)
    savez = np.savez

    def failing_disk(file, **arrays):
        savez(file, **arrays)
        file.truncate(file.tell() // 2)

    monkeypatch.setattr(np, "savez", failing_disk)
    with pytest.raises(CheckpointError, match=r"\.update_000000002\.partial cannot be read"):
        save(tmp_path, 2, keep=1)
    monkeypatch.undo()
    assert checkpoint.load(tmp_path, make_tree()).update == 1


@pytest.mark.filterwarnings("ignore:.*is used instead")
def test_the_best_that_is_kept_is_whole(tmp_path):
    for update, value in ((1, 0.4), (2, 0.9), (3, 0.2)):
        rated(tmp_path, update, "running_solve_rate", value, keep=3)
    cut_arrays(tmp_path / "update_000000002")
    assert checkpoint.best_rating(tmp_path).value == 0.4
    rated(tmp_path, 4, "running_solve_rate", 0.1)
    rated(tmp_path, 5, "running_solve_rate", 0.1)
    assert checkpoint.saved_updates(tmp_path) == [1, 4, 5] and best(tmp_path).update == 1


def test_falling_back_is_told_with_both_names(tmp_path):
    for update in (1, 2, 3):
        rated(tmp_path, update, "running_solve_rate", update / 10, keep=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert checkpoint.load(tmp_path, make_tree()).update == best(tmp_path).update == 3
        flip_byte(tmp_path / "update_000000001")
        assert checkpoint.load(tmp_path, make_tree()).update == best(tmp_path).update == 3
    lose_arrays(tmp_path / "update_000000003")
    with pytest.warns(UserWarning, match="update_000000003 cannot be read.*update_000000002 is used instead"):
        assert checkpoint.load(tmp_path, make_tree()).update == 2
    cut_manifest(tmp_path / "update_000000003")
    with pytest.warns(UserWarning, match="update_000000003 cannot be read.*update_000000002 is used instead"):
        assert best(tmp_path).update == 2


def test_a_checkpoint_that_is_removed_while_it_is_read_is_not_called_damaged(tmp_path, monkeypatch):
    """An evaluation beside a run that goes on: the list of checkpoints is old by the time the first one is read."""
    save(tmp_path, 1)
    read = checkpoint._read

    def late(path):
        monkeypatch.undo()
        save(tmp_path, 2, keep=1)
        shutil.rmtree(path, ignore_errors=True)
        return read(path)

    monkeypatch.setattr(checkpoint, "_read", late)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert checkpoint.load(tmp_path, make_tree()).update == 2


STRAY_FOLDERS = ["update_xyz", "update_7", "update_000000002x", "update_0000000001", "update_\u0662" * 9, "x"]
STRAY_FILES = ["update_000000009", ".update_000000001.partial", "notes.txt", "update_xyz.npz"]


def test_what_is_no_checkpoint_is_neither_read_nor_removed(tmp_path):
    for name in STRAY_FOLDERS:
        (tmp_path / name).mkdir()
    for name in STRAY_FILES:
        (tmp_path / name).write_text("of the user's own")
    assert checkpoint.saved_updates(tmp_path) == [] and checkpoint.load(tmp_path, make_tree()) is None
    for update in (1, 2, 10**9):
        save(tmp_path, update, keep=1)
    assert checkpoint.saved_updates(tmp_path) == [10**9]
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*STRAY_FOLDERS, *STRAY_FILES, "update_1000000000"} - {".update_000000001.partial"}
    save(tmp_path, 9)  # where there is a file of that name, the checkpoint goes before
    assert checkpoint.load(tmp_path, make_tree(), which=9).update == 9


def test_a_checkpoint_that_was_being_replaced_survives_a_crash(tmp_path, monkeypatch):
    save(tmp_path, 1, make_tree(1))
    replace = os.replace

    def crash(source, target):
        if str(source).endswith(".partial"):
            raise OSError("power cut")
        replace(source, target)

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(OSError, match="power cut"):
        save(tmp_path, 1, make_tree(5))
    monkeypatch.undo()
    checkpoint.recover(tmp_path)
    assert_same(checkpoint.load(tmp_path, make_tree()).tree, make_tree(1))
    save(tmp_path, 1, make_tree(5))
    assert_same(checkpoint.load(tmp_path, make_tree()).tree, make_tree(5))
    assert [path.name for path in tmp_path.iterdir()] == ["update_000000001"]


@pytest.mark.parametrize("field", ["format", "update", "config", "host", "leaves"])
@pytest.mark.parametrize("change", ["absent", "of another type"])
def test_a_manifest_without_a_field_is_a_damaged_one(tmp_path, field, change):
    save(tmp_path, 1)
    manifest = json.loads((save(tmp_path, 2) / "manifest.json").read_text())
    del manifest["checksum"]
    manifest = {k: v for k, v in manifest.items() if k != field} | ({field: "x"} if change != "absent" else {})
    manifest["checksum"] = checkpoint._checksum(manifest)
    (tmp_path / "update_000000002" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.warns(UserWarning, match="update_000000002 (cannot be read|is damaged)"):
        assert checkpoint.load(tmp_path, make_tree()).update == 1


def test_a_manifest_of_strangers_is_read_or_refused_at_once_and_in_one_line(tmp_path):
    """A checksum that holds says nothing: whoever writes a manifest can write that too."""
    tree = {"w": np.zeros(3, np.float32)}
    save(tmp_path, 1, tree, config={"seed": 0})
    file = tmp_path / "update_000000001" / "manifest.json"
    manifest = json.loads(file.read_text())

    def rewrite(**changes):
        changed = {key: value for key, value in (manifest | changes).items() if key != "checksum"}
        file.write_text(json.dumps(changed | {"checksum": checkpoint._checksum(changed)}))

    rewrite(format=checkpoint.FORMAT + 1, rating=["only a name"])
    assert checkpoint.best_rating(tmp_path) is None
    rewrite(**{f"stranger {n}": n for n in range(300_000)})
    began = time.process_time()
    assert checkpoint.load(tmp_path, tree) is None
    assert time.process_time() - began < 2
    rewrite(config={"seed": 0, "a\nb\x1b[2J": 1})
    with pytest.raises(CheckpointError, match=r"a\\nb\\x1b\[2J is 1 there") as told:
        checkpoint.load(tmp_path, tree, config={"seed": 0})
    assert "\n" not in str(told.value)
