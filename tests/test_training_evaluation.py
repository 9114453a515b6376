"""The evaluations that a configuration asks for: the library makes them, whoever starts training."""

import json
import os
import signal

import jax
import numpy as np
import pytest

from kinetix_ued.benchmarks import HELDOUT_SEED, SELECTION_SEED, evaluate, random_suite, read_results
from kinetix_ued.randomness import stream
from kinetix_ued.training import Rating, Run, TrainConfig, preset, resume, train
from kinetix_ued.training.callbacks import configured
from kinetix_ued.training.evaluation import REPORT, evaluate_finished, is_evaluated

LEVELS, ATTEMPTS, EVERY = 3, 2, 2
NAMES = ["trained", "untrained", "noop", "random", "random:8", "random:32"]


def document(path) -> dict:
    """The report without its times and the path of the run."""
    found = read_results(path / REPORT)
    for scores in found["suites"][0]["policies"]:
        del scores["seconds"]
    for key in ("source", "seconds", "config"):
        del found["policies"][0]["runs"][0][key]
    return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run that was asked to stop in its last update, before the evaluation, and the same run resumed."""

    def stop(run, metrics):
        if run.counts["learning"] >= run.config.steps:
            os.kill(os.getpid(), signal.SIGINT)

    asked = {"eval_every": EVERY, "eval_levels": LEVELS, "selection_levels": 4, "eval_attempts": ATTEMPTS}
    out = tmp_path_factory.mktemp("runs") / "run"
    stopped = train(preset("tiny", progress=False, out=str(out), **asked), callbacks=[stop])
    was_there = (out / REPORT).exists()
    return stopped, was_there, resume(out)


def test_an_evaluation_that_was_interrupted_is_made_when_the_run_is_resumed(runs):
    stopped, was_there, run = runs
    assert stopped.interrupted and not was_there and stopped.updates == run.updates
    assert not run.interrupted and run.evaluation["policies"][0]["runs"][0]["updates"] == run.updates
    assert [policy["name"] for policy in run.evaluation["policies"]] == NAMES
    assert run.counts == Run.load(run.path).counts, "the final evaluation's steps stand in its document alone"


def test_the_final_evaluation_is_the_protocol_on_the_held_out_levels(runs):
    *_, run = runs
    suite = random_suite("s", LEVELS)
    (played,) = run.evaluation["suites"]
    assert [level["hash"] for level in played["levels"]] == list(suite.hashes)
    by_hand = evaluate(run.policy, suite, env=run.env, key=stream(HELDOUT_SEED, "EVAL"), attempts=ATTEMPTS)
    mean = played["policies"][0]["mean"]
    assert (mean["solve_rate"], mean["mean_length"]) == (by_hand.solve_rate.mean(), by_hand.mean_length.mean())
    assert mean["mean_return"] == pytest.approx(by_hand.mean_return.mean())
    assert (run.evaluation["seed"], run.evaluation["attempts"]) == (HELDOUT_SEED, ATTEMPTS)


def test_periodic_evaluations_play_the_selection_levels_and_choose_the_best_checkpoint(runs):
    *_, run = runs
    lines = run.metrics
    assert run.updates == 4 and ["evaluation/return" in line for line in lines] == [False, True, False, True]
    suite = random_suite("s", 4, SELECTION_SEED)
    key = jax.random.fold_in(stream(SELECTION_SEED, "PICK"), run.updates)
    by_hand = evaluate(run.policy, suite, env=run.env, key=key, attempts=ATTEMPTS)
    assert lines[-1]["evaluation/return"] == pytest.approx(by_hand.mean_return.mean())
    assert lines[-1]["evaluation/solve_rate"] == by_hand.solve_rate.mean()
    best = max(lines[1::2], key=lambda line: line["evaluation/solve_rate"])
    assert Run.load(run.path, "best").rating == Rating("evaluation/solve_rate", best["evaluation/solve_rate"])


def test_the_best_checkpoint_is_chosen_on_levels_that_no_report_scores():
    config = TrainConfig()
    assert (config.eval_seed, config.selection_seed) == (HELDOUT_SEED, SELECTION_SEED)
    assert config.eval_seed != config.selection_seed
    reported = random_suite("s", config.eval_levels, config.eval_seed)
    selecting = random_suite("s", config.selection_levels, config.selection_seed)
    assert reported.hashes == random_suite("s").hashes, "the final evaluation's levels are the suite random-s"
    assert len({*reported.hashes, *selecting.hashes}) == config.eval_levels + config.selection_levels


def test_what_is_there_and_whole_is_not_evaluated_again(runs, tmp_path):
    *_, run = runs
    file = run.path / REPORT
    before, stamp = document(run.path), file.stat().st_mtime_ns
    assert resume(run.path).evaluation and file.stat().st_mtime_ns == stamp
    whole = file.read_bytes()
    for damaged in (whole[:-100], b"[]", whole.replace(b'"seed": 1000000007,\n "att', b'"seed": 5,\n "att')):
        assert damaged != whole
        file.write_bytes(damaged)
        assert not is_evaluated(run.path, run.config, run.updates)
    answers = iter([False] * 3 + [True] * 100)
    assert not evaluate_finished(run, lambda: next(answers)) and file.read_bytes() == damaged, "whole or not at all"
    assert evaluate_finished(run) and document(run.path) == before, "the same run gives the same document"


def test_configuration_says_whether_there_is_an_evaluation():
    names = lambda config: [type(callback).__name__ for callback in configured(config, ())]
    assert names(preset("tiny", progress=False)) == []
    both = names(preset("tiny", progress=False, eval_every=3, csv=True))
    assert both == ["PeriodicEvaluation", "CsvFile"], "the table has the evaluation's numbers"
    nowhere = Run(None, preset("tiny", eval_levels=0), None, None)
    assert evaluate_finished(nowhere), "nothing is asked for, nothing is looked at"


def test_the_untouched_document_is_json_with_all_that_the_command_prints(runs, capsys):
    from kinetix_ued.commands.train import show

    *_, run = runs
    show(run)
    out, err = capsys.readouterr()
    table = out.splitlines()
    assert f"{LEVELS} held-out random s levels, {ATTEMPTS} attempts each" in out and str(run.path / REPORT) in err
    assert [line.split()[0] for line in table[-len(NAMES) :]] == NAMES
    means = [policy["mean"] for policy in json.loads((run.path / REPORT).read_text())["suites"][0]["policies"]]
    lengths = [float(line.split()[-1]) for line in table[-len(NAMES) :]]
    np.testing.assert_allclose(lengths, [mean["mean_length"] for mean in means], atol=0.051)
