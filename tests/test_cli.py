"""The command line: every command once for real, and every mistake in one line."""

import json
import subprocess
import sys

import numpy as np
import pytest

from kinetix_ued.cli import COMMANDS, main

SIZES = ("s", "m", "l")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four sampled levels as files."""
    path = tmp_path_factory.mktemp("levels")
    assert main(["levels", "sample", "-n", "4", "--seed", "3", "--out", str(path / "s")]) == 0
    return path


def refused(capsys, *arguments) -> str:
    """What a mistake says, which is one line on stderr, and exit status 2."""
    capsys.readouterr()
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as ending:  # argparse leaves on its own
        status = ending.code
    out, err = capsys.readouterr()
    assert status == 2 and not out
    (line,) = [line for line in err.splitlines() if "error:" in line]
    assert err.splitlines()[-1] == line and "Traceback" not in err
    return line


@pytest.mark.parametrize(
    "arguments",
    (["--help"], ["--version"], ["levels", "--help"], ["eval", "--help"], ["bench", "--help"], ["train", "--help"], ["frobnicate"]),
)
def test_help_and_misspelt_commands_do_not_wait_for_jax(arguments):
    code = (
        "import sys; from kinetix_ued.cli import main\n"
        f"try: main({arguments})\n"
        "except SystemExit: pass\n"
        "assert 'jax' not in sys.modules and 'numpy' not in sys.modules, 'too much is imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as ending:
        main([command, "--help"])
    assert ending.value.code == 0 and f"kinetix-ued {command}" in capsys.readouterr().out


def test_every_field_of_a_training_configuration_is_an_option(capsys):
    from kinetix_ued.training import TrainConfig, field_docs
    from kinetix_ued.training.config import NOTED_FIELDS

    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for name, doc in field_docs(TrainConfig).items():
        if name in NOTED_FIELDS:  # training fills them in
            assert "--" + name.replace("_", "-") not in text
            continue
        assert "--" + name.replace("_", "-") in text
        if name != "preset":
            assert doc.split()[0] in text


@pytest.mark.parametrize(
    "arguments, complaint",
    (
        ([], "COMMAND"),
        (["frobnicate"], "frobnicate"),
        (["train", "--minibatches", "7"], "minibatches"),
        (["train", "--steps", "many"], "--steps"),
        (["train", "--size", "xl"], "xl"),
        (["train", "--curriculum", "luck"], "luck"),
        (["train", "--preset", "slow"], "slow"),
        (["train", "--resume", "nowhere"], "nowhere"),
        (["train", "--resume", "nowhere", "--preset", "tiny-robust-plr"], "leave --preset out"),
        (["eval", "nowhere"], "nowhere"),
        (["eval", "noop", "--attempts", "0"], "at least 1"),
        (["eval", "nowhere", "--checkpoint", "²"], r"unknown checkpoint '\xb2'"),
        (["eval", "nowhere", "--checkpoint", "9" * 5000], "unknown checkpoint"),
        (["eval", "random:0"], "from 1 to 1000000: write random:8 or random:32"),
        (["eval", "random:²"], "write random:8 or random:32"),
        (["eval", "random:7"], "an environment step has 2: use random:6 or random:8"),
        (["eval", "noop", "--levels", "nowhere.json"], "nowhere.json"),
        (["eval", "noop", "--json", "nowhere/report.json"], "nowhere"),
        (["levels", "sample", "--out", "x", "-n", "0"], "at least 1"),
        (["levels", "convert", "nowhere.json", "--out", "x"], "nowhere.json"),
        (["replay", "nowhere.json", "--actions", "x.npy"], "nowhere.json"),
        (["bench", "--batch", "-1"], "at least 1"),
        (["bench", "--engine", "slow"], "slow"),
    ),
)
def test_mistakes_are_one_line(arguments, complaint, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert complaint in refused(capsys, *arguments)
    assert not list(tmp_path.iterdir()), "a command that is refused leaves nothing behind"


def test_an_interrupted_command_says_so(monkeypatch, capsys):
    from kinetix_ued.commands import levels

    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(levels, "run", interrupted)
    assert main(["levels", "check", "x.json"]) == 130
    assert capsys.readouterr().err == "kinetix-ued: interrupted\n"


def test_tracebacks_are_for_those_who_ask():
    with pytest.raises(ValueError):
        main(["levels", "convert", "nowhere.json", "--out", "x", "--traceback"])


def test_levels_are_sampled_once_and_checked(folder, capsys, tmp_path):
    files = sorted((folder / "s").iterdir())
    assert [file.name for file in files] == [*(f"random-s-3-{i:04d}.json" for i in range(4)), "sheet.png"]
    assert "--overwrite" in refused(capsys, "levels", "sample", "-n", 4, "--seed", 3, "--out", folder / "s")
    assert main(["levels", "check", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok ") for line in lines[:4]) and lines[4] == "4 of 4 files are levels"

    bad = tmp_path / "bad.json"
    bad.write_text('{"format": 1}')
    assert main(["levels", "check", str(bad), str(files[0])]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("bad ") and "bad.json" in lines[0] and lines[1].startswith("ok ")
    assert "no *.json file in this folder" in refused(
        capsys, "levels", "check", tmp_path / "..", tmp_path.joinpath("empty").mkdir() or tmp_path / "empty"
    )


def test_levels_are_converted_there_and_back(folder, capsys, tmp_path):
    first = sorted((folder / "s").iterdir())[0]
    there, back = tmp_path / "there.json", tmp_path / "back.json"
    assert main(["levels", "convert", str(first), "--to", "kinetix", "--out", str(there)]) == 0
    assert "env_state" in json.loads(there.read_text())
    assert main(["levels", "convert", str(there), "--out", str(back)]) == 0
    assert json.loads(back.read_text()) == json.loads(first.read_text())
    assert "--overwrite" in refused(capsys, "levels", "convert", first, "--out", back)
    assert "over itself" in refused(capsys, "levels", "convert", folder / "s", "--out", folder / "s")
    assert "name a folder" in refused(capsys, "levels", "convert", folder / "s", "--out", tmp_path / "one.json")
    assert main(["levels", "convert", str(folder / "s"), "--out", str(tmp_path / "all")]) == 0
    assert len(list((tmp_path / "all").iterdir())) == 4


def test_actions_are_replayed_and_written(folder, capsys, tmp_path):
    level = str(sorted((folder / "s").iterdir())[0])
    np.save(tmp_path / "actions.npy", np.zeros((6, 6), np.int32))
    np.save(tmp_path / "narrow.npy", np.zeros((6, 5), np.int32))
    (tmp_path / "text.npy").write_text("left, right")
    out = tmp_path / "track.npz"
    assert main(["replay", level, "--actions", str(tmp_path / "actions.npy"), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    track = np.load(out)
    assert level in said and "6" in said.removeprefix(level) and "return" in said
    assert track["position"].shape == (6, 7, 2) and np.isfinite(track["position"]).all()
    for name, complaint in (("narrow", "(6, 5)"), ("text", "text.npy"), ("none", "none.npy")):
        assert complaint in refused(capsys, "replay", level, "--actions", tmp_path / f"{name}.npy")
    assert "--overwrite" in refused(capsys, "replay", level, "--actions", tmp_path / "actions.npy", "--out", out)


def test_the_bench_prints_json_and_nothing_else(capsys):
    assert main(["bench", "--batch", "3", "--steps", "4", "--repeats", "1", "--min-seconds", "0", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["settings"]["batch"] == 3 and "compiling" in err


def test_a_run_is_trained_scored_and_evaluated(folder, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "first"
    assert main(["train", "--preset", "tiny-robust-plr", "--out", str(run), "--eval-levels", "4", "--no-progress"]) == 0
    out = capsys.readouterr().out
    report = json.loads((run / "evaluation.json").read_text())
    assert [policy["name"] for policy in report["policies"]] == [
        "trained", "untrained", "noop", "random", "random:8", "random:32"
    ]  # fmt: skip
    assert report["suites"][0]["size"] == "s" and report["policies"][0]["runs"][0]["source"] == str(run)
    assert len(report["suites"][0]["policies"][0]["levels"]) == 4 and "untrained" in out and str(run) in out
    assert "already holds a run" in refused(capsys, "train", "--preset", "tiny-robust-plr", "--out", run)

    written = tmp_path / "scores.json"
    evaluation = ["eval", str(run), "noop", "--levels", str(folder), "--attempts", "1", "--json", str(written)]
    assert main(evaluation) == 0
    table = capsys.readouterr().out
    assert "random-s-3-0002" in table and "mean of 4" in table and "first" in table
    scores = json.loads(written.read_text())
    assert [policy["runs"][0]["source"] for policy in scores["policies"]] == [str(run), "noop"]
    assert scores["policies"][0]["runs"][0]["updates"] > 0 and scores["attempts"] == 1
    assert "--overwrite" in refused(capsys, *evaluation)


def test_the_untrained_agent_is_the_one_that_training_began_with(tmp_path):
    import jax

    from kinetix_ued.training import Run, preset
    from kinetix_ued.training.build import build_curriculum, build_env, build_learner, build_network, build_sampler
    from kinetix_ued.training.run import TrainedPolicy
    from kinetix_ued.training.update import make_update

    config = preset("tiny-robust-plr", seed=11, curriculum="dr")
    env = build_env(config)
    network = build_network(config, env)
    curriculum = build_curriculum(config, build_sampler(config)[0])
    init, _ = make_update(config, env, network, build_learner(config, env, network), curriculum)
    begun = jax.jit(init)(jax.random.key(config.seed)).agent.params
    run = Run(tmp_path, config, env, TrainedPolicy(network, None, env.observation_space()))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), run.initial_policy().params, begun)
