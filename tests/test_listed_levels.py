"""Levels of a list as a generator, and runs that train on it: what is drawn, what is refused, and what is noted."""

import shutil

import jax
import numpy as np
import pytest

from kinetix_ued.benchmarks.suite import holdout_suite
from kinetix_ued.cli import main
from kinetix_ued.generators import listed_levels, sample_levels, sampler
from kinetix_ued.levels import LevelError, content_hash, hash_text, level_files, load_level, save_level
from kinetix_ued.training import Run, preset, resume, save_agent, train, validate
from kinetix_ued.training.build import build_sampler
from kinetix_ued.training.own_levels import LEVELS

FIELDS = {
    "observation": "scene", "network": "actuator", "network_width": 8, "head_width": 8, "environments": 8,
    "rollout_steps": 16, "steps": 8 * 16 * 2 * 2, "progress": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("levels")
    batch = sample_levels(jax.random.key(5), 3, size="s")
    for n in range(3):
        save_level(batch[n], made / f"{n}.json")
    return made


def hashes(levels):
    return [tuple(row) for row in np.asarray(content_hash(levels)).tolist()]


def test_each_level_is_drawn_as_often(folder):
    listed = listed_levels([folder], "m")
    own = hashes(listed.levels)
    assert listed.names == tuple(f"{folder.name}/{n}" for n in range(3)) and len(set(own)) == 3
    drawn = hashes(jax.jit(sampler(listed, "m"), static_argnums=1)(jax.random.key(0), 7))
    assert sorted(drawn.count(one) for one in own) == [2, 2, 3]
    single = hashes(jax.vmap(lambda key: listed(key, "m"))(jax.random.split(jax.random.key(1), 600)))
    counts = [single.count(one) for one in own]
    assert sum(counts) == 600 and min(counts) > 150
    first = [hashes(listed.batch(jax.random.key(n), 1, "m"))[0] for n in range(20)]
    assert set(first) == set(own)


def test_equal_lists_are_equal_whatever_their_files(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    one, other = listed_levels([folder], "s"), listed_levels([tmp_path / "copy"], "s")
    assert one == other and hash(one) == hash(other)
    assert one != listed_levels([folder], "m") and one.digest == listed_levels([folder], "m").digest
    assert one.digest != listed_levels([folder / "1.json", folder / "0.json", folder / "2.json"], "s").digest


def test_a_list_names_files_and_folders(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "here")
    chosen = tmp_path / "chosen.txt"
    chosen.write_text("# mine\n\nhere/2.json\nhere\n", encoding="utf-8")
    assert [file.name for file in level_files([chosen])] == ["2.json", "0.json", "1.json"]
    chosen.write_text("# none\n", encoding="utf-8")
    with pytest.raises(LevelError, match="names no file"):
        level_files([chosen])
    with pytest.raises(LevelError, match="cannot be read"):
        level_files([tmp_path / "missing.txt"])


def test_what_does_not_fit_is_refused(folder, tmp_path, capsys):
    save_level(sample_levels(jax.random.key(0), 1, size="l")[0], tmp_path / "large.json")
    with pytest.raises(LevelError, match="use size='l'"):
        train(preset("tiny", **FIELDS, levels=str(tmp_path / "large.json"), out=str(tmp_path / "run")))
    with pytest.raises(ValueError, match="leave levels out, or generator='sparse'"):
        validate(preset("tiny", levels=str(folder), generator="sparse"))
    with pytest.raises(ValueError, match="brings its own levels"):
        train(preset("tiny", levels=str(folder)), generator=lambda key, size: None)
    held_out = tmp_path / "renamed.json"
    save_level(holdout_suite("s").levels[0], held_out)
    config = preset("tiny", levels=str(held_out))
    with pytest.raises(ValueError, match="held out for evaluation.*--allow-holdout"):
        build_sampler(config)
    sample, _ = build_sampler(preset("tiny", levels=str(held_out), allow_holdout=True))
    assert hash_text(sample(jax.random.key(0), 1)[0]) == hash_text(load_level(held_out))
    assert main(["train", "--levels", str(folder), str(tmp_path / "no.json"), "--out", str(tmp_path / "run")]) == 2
    assert "no.json" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_listed_levels_are_not_filtered_unless_asked(folder):
    assert preset("quick", levels=str(folder)).filters == "" != preset("quick").filters
    assert preset("quick", levels=str(folder), filters="noop_solves").filters == "noop_solves"


def test_fine_tuning_resumes_and_notices_changed_levels(folder, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(folder, own)
    before = train(preset("tiny", **FIELDS, out=str(tmp_path / "before")))
    agent = tmp_path / "agent.safetensors"
    save_agent(agent, before, name="before")
    levels, out = f"{own}, {own}/0.json", str(tmp_path / "run")
    config = preset("tiny", **FIELDS, levels=levels, init_from=str(agent), schedule="constant", out=out)
    whole = train(preset("tiny", **config.to_dict() | {"out": str(tmp_path / "whole"), "steps": 2 * config.steps}))
    begun = train(config)
    assert begun.config.levels_hash == listed_levels([own], "s").digest
    assert begun.config.levels == f"{own},{own}/0.json"
    resumed = resume(begun.path, steps=2 * config.steps)
    jax.tree.map(np.testing.assert_array_equal, resumed.policy.params, whole.policy.params)

    (own / "1.json").write_bytes((own / "0.json").read_bytes())
    with pytest.raises(ValueError, match="not those that this run began with.*--levels"):
        resume(begun.path, steps=3 * config.steps)
    shutil.rmtree(own)
    (kept,) = (begun.path / LEVELS).iterdir()
    with pytest.raises(ValueError, match=f"--levels {kept}"):
        resume(begun.path, steps=3 * config.steps)
    again = resume(begun.path, levels=str(kept), steps=3 * config.steps)
    assert again.counts["learning"] == 3 * config.steps and Run.load(again.path).updates == again.updates
    assert len(list((begun.path / LEVELS).iterdir())) == 1
