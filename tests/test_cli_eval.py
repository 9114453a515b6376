"""``kinetix-ued eval`` and the methods it plays: runs, several runs of one method, several suites, bad files."""

import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from kinetix_ued.benchmarks import Evaluation, methods
from kinetix_ued.benchmarks import suite as suites
from kinetix_ued.cli import main
from kinetix_ued.environment import make
from kinetix_ued.levels import save_level
from kinetix_ued.training import preset
from kinetix_ued.training.build import build_env, build_network
from kinetix_ued.training.run import TrainedPolicy, read_config, write_config
from kinetix_ued.world import empty_level, size_of


@pytest.fixture
def loaded(monkeypatch):
    """Runs are loaded from their configuration alone, with parameters of zero: nothing is trained or compiled."""

    def load(path, which):
        config = read_config(path)
        env = build_env(config)
        network = build_network(config, env)
        shapes = jax.eval_shape(network.init, jax.random.key(0), env.observation_space())
        params = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
        policy = TrainedPolicy(network, params, env.observation_space())
        counts, lines = {"learning": 64, "evaluation": 5}, [{"seconds": 20.0}] * 4
        return SimpleNamespace(config=config, env=env, policy=policy, updates=3, counts=counts, metrics=lines)

    monkeypatch.setattr(methods, "Run", SimpleNamespace(load=load))


def run_folder(path, **changes):
    config = preset("tiny-robust-plr", out=str(path), curriculum="dr", **changes)
    write_config(path, config)
    return path


@pytest.fixture
def folder(tmp_path):
    """Two levels that nobody can solve, since there is nothing in them, and a file that is none."""
    for name, gravity in (("a", -9.81), ("b", -1.0)):
        level = empty_level("s").replace(gravity=np.array([0, gravity], np.float32))
        save_level(
            level, tmp_path / "levels" / f"{name}.json", metadata={"family": "flight" if name == "a" else "arms"}
        )
    return tmp_path / "levels"


def refused(capsys, *arguments) -> str:
    assert main([str(argument) for argument in arguments]) == 2
    return capsys.readouterr().err


def test_methods_are_runs_seeds_and_lists_of_runs(tmp_path, loaded):
    one = run_folder(tmp_path / "one")
    seeds = [run_folder(tmp_path / "several" / f"seed-{seed}", seed=seed) for seed in (10, 2)]
    others = [run_folder(tmp_path / f"accel-{seed}", seed=seed) for seed in (0, 1)]
    found = methods.load_methods(
        [
            str(one),
            "noop",
            str(tmp_path / "several"),
            f"accel={tmp_path}/accel-*",
            f"both={one},{others[1]}",
            "random",
            "noop",
            "random:8",
            "slow=random:32",
        ]
    )
    assert [method.name for method in found] == [
        "one", "noop", "several", "accel", "both", "random", "random:8", "slow"
    ]  # fmt: skip
    assert [len(method.runs) for method in found] == [1, 0, 2, 2, 2, 0, 0, 0]
    (slow, _), = found[7].policies(make("s", frame_skip=4))
    assert slow.steps == 8
    assert found[2].sources == (str(seeds[1]), str(seeds[0])), "seeds in the order of their numbers"
    assert found[4].sources == (str(one), str(others[1]))
    told = found[3].about()
    assert [run["config"]["seed"] for run in told] == [0, 1] and told[0]["updates"] == 3
    assert found[1].about() == [{"source": "noop"}]
    alike = [run_folder(tmp_path / name / "run") for name in ("x", "y")]
    assert [method.name for method in methods.load_methods([str(path) for path in alike])] == [
        str(path) for path in alike
    ]
    for entries, complaint in (
        (["nowhere"], "nowhere is no folder"),
        ([f"a={tmp_path}/none-*"], "none-"),
        (["=x"], "name=FOLDER"),
        ([f"a={one},noop"], "noop is not a run that could be taken together"),
        ([f"a=random:8,{one}"], "random:8 is not a run that could be taken together"),
        (["random:eight"], "'random:eight' names no number of frames"),
        ([f"a={one},{one}"], "comes twice"),
        ([f"a={one}", f"a={others[0]}"], "two policies are called a"),
    ):
        with pytest.raises(ValueError, match=complaint):
            methods.load_methods(entries)


def test_runs_of_one_table_share_their_rules_and_a_size_that_all_can_play(tmp_path, loaded):
    flat = run_folder(tmp_path / "flat", observation="symbolic_flat", network="flat_mlp")
    wide = run_folder(tmp_path / "wide", observation="entity", network="permutation_invariant", size="m")
    other = run_folder(tmp_path / "other", frame_skip=4)
    load = lambda *paths: methods.load_methods([str(path) for path in paths])
    with pytest.raises(ValueError, match="frame_skip=2 and .*other with frame_skip=4"):
        methods.shared_environment(load(flat, other))
    assert methods.shared_environment(load(flat), "jax").engine == "jax"
    small, between, large = map(size_of, ("s", "5p3c1j1t", "l"))
    assert methods.playing_size(small, load(flat)) == small
    assert methods.playing_size(small, load(wide, "noop")) == size_of("m")
    assert methods.playing_size(large, load(wide)) == large
    assert methods.playing_size(between, load("noop", "random")) == size_of("m")
    assert methods.playing_size(between, load(flat)) == between
    (narrow,), (free,) = load(flat), load(wide)
    assert free.policies(make("l"))[0][1].observation.name == "entity"
    with pytest.raises(ValueError, match="flat does not fit size 'l'.*plays observation 'symbolic_flat'.*size 's'"):
        narrow.policies(make("l"))


def test_a_method_may_have_an_agent_for_each_size(tmp_path, loaded):
    runs = [run_folder(tmp_path / s, observation="symbolic_flat", network="flat_mlp", size=s) for s in "sml"]
    flat, noop = methods.load_methods([f"flat={runs[0]},{runs[1]},{runs[2]}", "noop"])
    for size, run in zip("sml", runs):
        assert [source for source, _ in flat.runs_for(size_of(size))] == [str(run)]
        assert methods.playing_size(size_of(size), [flat, noop]) == size_of(size)
    between = size_of("5p3c1j1t")
    assert [source for source, _ in flat.runs_for(between)] == [str(runs[1])]


def test_levels_of_all_sizes_in_one_suite_are_played_by_the_agents_that_fit(tmp_path, loaded):
    """Every level keeps its place and its content, whoever plays it in whatever size."""
    sizes = ["l", "s", "m", "s", "5p3c1j1t"]
    for i, size in enumerate(sizes):
        level = empty_level(size).replace(gravity=np.array([0, -1.0 - i], np.float32))
        save_level(level, tmp_path / "levels" / f"{i}.json")
    suite = suites.load_suite([tmp_path / "levels"])
    runs = [
        run_folder(tmp_path / f"{s}-{seed}", observation="symbolic_flat", network="flat_mlp", size=s, seed=seed)
        for s in "sml"
        for seed in (0, 1)
    ]
    flat, noop = methods.load_methods(["flat=" + ",".join(map(str, runs)), "noop"])
    parts = methods.parts_of(suite, [flat, noop], methods.shared_environment([flat]))
    found = {part.suite.levels.size.name: part for part in parts}
    assert {size: part.members.tolist() for size, part in found.items()} == {"l": [0], "s": [1, 3], "m": [2, 4]}
    assert all(len(part.entrants["flat"]) == 2 and len(part.entrants["noop"]) == 1 for part in parts)
    for part in parts:
        assert list(part.suite.hashes) == [suite.hashes[i] for i in part.members]

    def play(title, policy, levels, env, *, key, attempts):
        told = np.stack([np.asarray(levels.levels.gravity)[:, 1]] * attempts, axis=1)
        return Evaluation(told < -2, told, told.astype(int), told > 0, 1, 2, 3.0)

    played = methods.play_methods(suite, parts, key=jax.random.key(0), attempts=2, play=play)
    assert played.sizes == ("l", "s", "m") and played.suite is suite
    for evaluation in (*played.evaluations["flat"], *played.evaluations["noop"]):
        assert evaluation.returns[:, 0].tolist() == [-1, -2, -3, -4, -5] and evaluation.idle_steps == 6
        assert evaluation.solved[:, 1].tolist() == [False, False, True, True, True]
    (alone,) = methods.parts_of(suite, methods.load_methods([str(run_folder(tmp_path / "x", size="l"))]), make("l"))
    assert alone.suite.levels.size == size_of("l") and alone.members.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="s-0 does not fit size 'l'.*in size 's'; it was asked to play levels/0$"):
        methods.parts_of(suite, methods.load_methods([str(runs[0])]), make("s"))


def test_several_suites_and_policies_are_played_and_written_in_three_forms(
    folder, tmp_path, capsys, monkeypatch, loaded
):
    """Everything is played for a few steps only, and two levels of the files stand in for random ones."""
    runs = [run_folder(tmp_path / "mine" / f"seed-{seed}", seed=seed, max_steps=4) for seed in (0, 1)]
    drawn = suites.load_suite([folder])
    monkeypatch.setattr(suites, "random_suite", lambda size, n, seed: drawn)
    (folder / "c.json").write_text("{}")
    forms = {kind: tmp_path / f"report.{kind}" for kind in ("json", "markdown", "html", "plot")}
    files = [word for kind, path in forms.items() for word in (f"--{kind}", str(path))]
    command = ["eval", str(tmp_path / "mine"), "noop", "--attempts", "2", "--suite", str(folder), "random-s:2", *files]
    assert "c.json" in refused(capsys, *command) and not any(path.exists() for path in forms.values())
    assert main([*command, "--skip-bad"]) == 0
    out, err = capsys.readouterr()
    assert "left out" in err and "c.json" in err and "Probability of improvement" in out and "worst 5%" in out
    document = json.loads(forms["json"].read_text())
    assert [suite["suite"] for suite in document["suites"]] == [str(folder), "random-s:2"]
    first, second = document["suites"]
    assert "worst" in second["policies"][0] and "worst" not in first["policies"][0]
    assert len(first["skipped"]) == 1 and [level["family"] for level in first["levels"]] == ["flight", "arms"]
    assert [run["source"] for run in document["policies"][0]["runs"]] == [str(run) for run in runs]
    assert document["environment"]["max_steps"] == 4
    mine, noop = first["policies"]
    assert (mine["levels"][0]["attempts"], noop["levels"][0]["attempts"]) == (4, 2)
    assert mine["mean"]["solve_rate"] == 0 and mine["mean"]["mean_length"] == 4
    assert "c.json" in forms["markdown"].read_text() and "data:image/png" in forms["html"].read_text()
    assert "| 1.0 |" in forms["markdown"].read_text(), "minutes of three updates, 20 seconds each"
    assert forms["plot"].read_bytes().startswith(b"\x89PNG")
    assert "--overwrite" in refused(capsys, *command)


@pytest.mark.parametrize(
    "arguments, complaint",
    (
        (["noop", "--suite", "holdoutt"], "holdout-s"),
        (["noop", "--suite", "random-s:0"], "at least 1"),
        (["noop", "--json", "x.html", "--html", "x.html"], "same file"),
        (["noop", "--html", "nowhere/x.html"], "nowhere"),
        (["noop", "--suite", "empty"], "no *.json file"),
    ),
)
def test_mistakes_are_told_before_anything_is_played(arguments, complaint, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert complaint in refused(capsys, "eval", *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
