"""Several seeds in one program: each a run like any other, resumed exactly, and none knows of the others."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from kinetix_ued.training import Run, TrainedPolicy, preset, resume, resume_seeds, seed_folders, train, train_seeds
from kinetix_ued.training.recorder import Recorder
from kinetix_ued.training.run import seed_folder

QUIET = {"progress": False, "eval_levels": 0}


def config(out, **changes):
    # Short episodes and a small buffer: within these updates levels are scored and replayed.
    small = {"observation": "symbolic_flat", "network": "flat_mlp", "max_steps": 16, "rollout_steps": 8}
    return preset("tiny-robust-plr", out=str(out), **{"seeds": 3, "steps": 8 * 8 * 2 * 3, **QUIET, **small, **changes})


def same_params(a: TrainedPolicy, b: TrainedPolicy) -> bool:
    return all(map(np.array_equal, *(jax.tree.leaves(policy.params) for policy in (a, b))))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_seeds(config(tmp_path_factory.mktemp("seeds") / "runs", seed=5, eval_levels=2))


def test_each_seed_is_a_run_of_its_own(trained):
    folder = trained[0].path.parent
    assert [run.path for run in trained] == seed_folders(folder) == [folder / f"seed-{n}" for n in (5, 6, 7)]
    for run, seed in zip(trained, (5, 6, 7), strict=True):
        assert run.config.seed == seed and not run.interrupted and run.counts["learning"] >= run.config.steps
        assert [line["update"] for line in run.metrics] == list(range(1, run.updates + 1))
        assert run.counts["scoring"] + run.counts["learning"] == run.updates * run.config.update_steps
        assert same_params(Run.load(run.path).policy, run.policy)
        evaluated = run.evaluation["policies"][0]["runs"][0]
        assert (evaluated["source"], evaluated["updates"], evaluated["config"]["seed"]) == (str(run.path), run.updates, seed)
    assert not same_params(trained[0].policy, trained[1].policy)


def test_they_learn_as_runs_alone_do_up_to_rounding(trained, tmp_path):
    alone, beside = train(config(tmp_path / "alone", seed=6, seeds=1)), trained[1]
    assert alone.counts == beside.counts  # the same updates were replays
    assert same_params(alone.initial_policy(), beside.initial_policy())
    one, other = alone.metrics[0], beside.metrics[0]
    for name in ("return", "episodes", "levels/joints", "curriculum/score_mean"):
        assert one[name] == pytest.approx(other[name], rel=1e-3), name


@pytest.mark.parametrize("death", ["error", "kill"])
def test_resumed_together_they_end_where_they_would_have(trained, tmp_path, monkeypatch, death):
    class Died(Exception):
        pass

    def die(run, metrics):
        # The first seed's checkpoint of this update is written by then; the others' only if nobody kills the process.
        if run.config.seed == 6 and run.updates == 4:
            raise Died

    out = tmp_path / "runs"
    with monkeypatch.context() as patch, pytest.raises(Died):
        if death == "kill":
            patch.setattr(Recorder, "rescue", lambda recorder: None)
        train_seeds(config(out, seed=5), callbacks=[die])
    reached = 2 if death == "kill" else 4
    assert [Run.load(seed_folder(out, seed)).updates for seed in (5, 6, 7)] == [4, reached, reached]
    resumed = resume_seeds(out)
    for run, whole in zip(resumed, trained, strict=True):
        assert run.updates == whole.updates and run.counts == whole.counts and same_params(run.policy, whole.policy)
        numbers = lambda line: {k: v for k, v in line.items() if "second" not in k}
        assert list(map(numbers, run.metrics)) == list(map(numbers, whole.metrics))


def test_a_run_that_a_callback_ends_keeps_what_it_had_while_the_others_go_on(trained, tmp_path):
    def stop(run, metrics):
        if run.config.seed == 6 and run.updates == 2:
            run.stop("enough")

    runs = train_seeds(config(tmp_path / "runs", seed=5), callbacks=[stop])
    assert runs[1].updates == 2 and len(runs[1].metrics) == 2 and same_params(Run.load(runs[1].path).policy, runs[1].policy)
    assert same_params(runs[0].policy, trained[0].policy) and same_params(runs[2].policy, trained[2].policy)


def test_what_belongs_together_is_not_taken_apart(trained, tmp_path):
    folder = trained[0].path.parent
    with pytest.raises(ValueError, match=r"was trained beside other seeds: go on with all of them, in .*runs"):
        resume(trained[0].path)
    with pytest.raises(ValueError, match="already holds a run"):
        train_seeds(config(folder, seed=5))
    with pytest.raises(ValueError, match=r"learning_rate is 0.001 there, 0.002 here"):
        resume_seeds(folder, learning_rate=0.002)
    with pytest.raises(ValueError, match="seeds=3 makes several runs: train_seeds"):
        train(config(tmp_path / "one"))
    with pytest.raises(ValueError, match="holds no runs of several seeds"):
        resume_seeds(tmp_path)
    with pytest.raises(ValueError, match="seeds must be at least 1"):
        train_seeds(config(tmp_path / "none", seeds=0))
    with pytest.raises(ValueError, match=r"go beyond 2\*\*32"):
        train_seeds(config(tmp_path / "far", seed=2**32 - 2))
