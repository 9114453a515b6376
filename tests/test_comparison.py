"""Comparisons: a tiny one end to end, continued where it stopped; and what they refuse."""

import dataclasses
import json

import numpy as np
import pytest

from kinetix_ued.benchmarks import ComparisonSettings, trained_methods
from kinetix_ued.cli import main
from kinetix_ued.training import Run
from kinetix_ued.training.run import write_config

SMALL = {"steps": 8 * 16 * 2, "progress": False}
CHANGES = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]


def test_a_comparison_is_trained_once_and_summed_up(tmp_path, capsys):
    """Two methods, one of them with two seeds at first; then the other seed joins, and nothing is trained twice."""
    out = tmp_path / "c"
    command = ["compare", "--preset", "tiny", *CHANGES, "--attempts", "2", "--baselines", "noop", "--out", str(out)]
    command += ["--suite", "random-s:6", "holdout-s"]
    assert main([*command, "--methods", "dr", "--seeds", "1"]) == 0
    first = json.loads((out / "evaluation.json").read_text())
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*.npz")}
    capsys.readouterr()
    evaluated = ["--set", "eval_levels=2", "--set", "eval_every=1", "--set", "selection_levels=2"]
    assert main([*command, *evaluated, "--methods", "dr", "robust-plr", "--seeds", "2"]) == 0
    printed, told = capsys.readouterr()
    cells = [line for line in told.splitlines() if ", size s, seed" in line]
    assert cells == [f"{method}, size s, seed {seed}" for seed in (0, 1) for method in ("dr", "robust-plr")]
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == [
        f"{method}-s-{seed}" for method in ("dr", "robust-plr") for seed in (0, 1)
    ]

    runs = {path.name: Run.load(path) for path in out.iterdir() if path.is_dir()}
    for name, run in runs.items():  # that of the first command was done, so that only its evaluation was missing
        assert ("evaluation/solve_rate" in run.metrics[0]) == (name != "dr-s-0")
        assert len(run.evaluation["suites"][0]["levels"]) == 2

    found = json.loads((out / "evaluation.json").read_text())
    assert [policy["name"] for policy in found["policies"]] == ["dr", "robust-plr", "noop"]
    assert [suite["suite"] for suite in found["suites"]] == ["random-s:6", "holdout-s"]
    for before, suite in zip(first["suites"], found["suites"], strict=True):
        rates = np.array([level["solve_rates"] for level in suite["policies"][0]["levels"]])
        assert rates.shape == (len(suite["levels"]), 2) and set(np.unique(rates)) <= {0, 0.5, 1}
        alone = np.array([level["solve_rates"] for level in before["policies"][0]["levels"]])
        np.testing.assert_array_equal(rates[:, :1], alone)  # a run scores alike whatever stands beside it
        assert suite["policies"][0]["mean"]["solve_rate"] == pytest.approx(rates.mean())
        assert "interquartile_mean_over_seeds" in suite["policies"][0]
    assert all(run["steps"]["learning"] == SMALL["steps"] for run in found["policies"][1]["runs"])
    assert "Probability of improvement" in printed and "over runs alone" in printed
    assert (out / "evaluation.png").stat().st_size > 5000 and (out / "evaluation.html").exists()
    assert "| dr | 0, 1 | 256 |" in (out / "evaluation.md").read_text()


def test_an_arm_is_the_preset_with_changes_of_its_own(tmp_path):
    arms = {
        "no mirror": {"network_options": "mirror=False"},
        "wide accel": {"curriculum": "accel", "network_width": 96},
    }
    settings = ComparisonSettings(str(tmp_path), (), arms, preset="tiny", changes={"steps": 4096})
    assert settings.names == ("no mirror", "wide accel")
    first, second = (settings.config(name, "s", 2) for name in settings.names)
    assert (first.curriculum, first.network_options, first.steps, first.seed) == ("dr", "mirror=False", 4096, 2)
    assert (second.curriculum, second.network_width, second.preset) == ("accel", 96, "tiny-accel")
    assert [config.out for config in (first, second)] == [f"{tmp_path}/no-mirror-s-2", f"{tmp_path}/wide-accel-s-2"]


@pytest.mark.parametrize(
    "wrong, words",
    (
        (["--methods", "dreaming"], "unknown method 'dreaming'"),
        (["--methods", "dr", "dr"], "a method is named twice"),
        (["--arm", "dr", "steps=3000"], "an arm cannot be called 'dr'"),
        (["--arm", "own", "seed=3"], "arm 'own' cannot set seed"),
        (["--arm", "own", "speed=3"], "--arm own speed=3: write FIELD=VALUE"),
        (["--arm", "own", "--arm", "own", "steps=3000"], "--arm own comes twice"),
        (["--arm", "own", "network=flat"], "unknown network 'flat'"),
        (["--sizes", "s", "m", "s"], "a size is named twice"),
        (["--sizes", "xs"], "unknown size 'xs'"),
        (["--set", "speed=3"], "a field of the configuration"),
        (["--set", "steps=many"], "steps is of type int"),
        (["--set", "seed=3"], "seed cannot be the same for all runs"),
        (["--preset", "slow"], "unknown preset"),
        (["--baselines", "nobody"], "unknown baseline 'nobody': use noop, random, random:8, random:32"),
        (["--baselines", "random:9"], "use random:8 or random:10"),
        (["--set", "frame_skip=0"], "frame_skip must be at least 1"),
        (["--set", "eval_every=1", "--set", "selection_seed=1000000007"], "selection_seed=1000000007 is that of"),
        (["--suite", "random-m:2"], "random-m:2 has levels of size 'm' and agents are trained in s: add --sizes m"),
    ),
)
def test_what_cannot_be_compared_is_refused_before_anything_is_trained(wrong, words, tmp_path, capsys):
    arguments = [
        "compare",
        "--methods",
        "dr",
        "--preset",
        "tiny",
        "--suite",
        "random-s:2",
        "--out",
        str(tmp_path / "x"),
    ]
    assert main([*arguments, *wrong]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_held_actions_are_among_the_usual_baselines_of_any_frame_skip(tmp_path):
    names = lambda **changes: [
        method.name for method in ComparisonSettings(str(tmp_path), preset="tiny", changes=changes).baselines()
    ]
    assert names() == ["noop", "random", "random:8", "random:32"]
    assert names(frame_skip=3) == ["noop", "random", "random:9", "random:33"]


def test_a_method_may_have_its_former_name(tmp_path):
    with pytest.warns(FutureWarning, match="'paired' is called 'student-regret' now"):
        settings = ComparisonSettings(str(tmp_path), methods=("dr", "paired"))
    assert settings.methods == ("dr", "student-regret")


def test_a_folder_with_another_run_is_left_alone(tmp_path):
    settings = ComparisonSettings(str(tmp_path), methods=("dr",), seeds=2, preset="tiny", changes=SMALL)
    write_config(tmp_path / "dr-s-1", dataclasses.replace(settings.config("dr", "s", 1), clip=0.5))
    with pytest.raises(ValueError, match="dr-s-1 belongs to another configuration: clip is 0.5 there, 0.2 here"):
        trained_methods(settings)
    assert [path.name for path in tmp_path.iterdir()] == ["dr-s-1"]
