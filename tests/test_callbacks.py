"""Callbacks, the best checkpoint and a start from another run's parameters, on a tiny run."""

import csv
import json
import sys
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from kinetix_ued.curricula import BufferState
from kinetix_ued.levels import load_level
from kinetix_ued.training import PeriodicEvaluation, Rating, Run, checkpoint, preset, resume, train
from kinetix_ued.training.callbacks import CsvFile, EarlyStop, ProgressBar, TensorBoard, WeightsAndBiases
from kinetix_ued.training.callbacks.snapshots import buffers
from kinetix_ued.training.lock import LOCK
from kinetix_ued.training.metrics import RunningSolveRate

SHARED = dict(progress=False, checkpoint_every=3, solve_rate_window=2, csv=True, snapshot_every=2)
UPDATES = {0: 0.25, 1: 0.5, 2: 0.125, 3: 0.75, 4: 0.5}
"""Solve rates that a stand-in for an evaluation gives, by the number of the evaluation, from 1 on."""


def tiny(path, **changes):
    return preset("tiny-robust-plr", **SHARED | {"out": str(path)} | changes)


def evaluation():
    """An evaluation that plays nothing, yet counts steps; it depends on the run alone."""

    def evaluate(run):
        run.counts["evaluation"] += 100
        return {"solve_rate": UPDATES[run.updates // 2 % 5], "return": float(run.updates)}

    return PeriodicEvaluation(evaluate, every=2)


class Params:
    """A callback that keeps the parameters after each update."""

    def __init__(self):
        self.after = {}

    def __call__(self, run, metrics):
        self.after[run.updates] = jax.tree.map(np.array, run.policy.params)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    params = Params()
    run = train(tiny(tmp_path_factory.mktemp("runs") / "finished"), callbacks=[evaluation(), params])
    return run, params.after


def same(a, b):
    leaves = lambda tree: [np.asarray(x).tobytes() for x in jax.tree.leaves(tree)]
    return leaves(a) == leaves(b)


def rows(run):
    """The table without columns of times, which differ from run to run."""
    with open(run.path / "metrics.csv", newline="") as file:
        return [{k: v for k, v in row.items() if "second" not in k} for row in csv.DictReader(file)]


# The best checkpoint


def test_an_evaluation_is_counted_and_written_with_its_update(finished):
    run, _ = finished
    for line in run.metrics:
        evaluated = line["update"] % 2 == 0
        assert ("evaluation/solve_rate" in line) == ("evaluation/seconds" in line) == evaluated
        assert line["steps/evaluation"] == 100 * (line["update"] // 2)
        if evaluated:
            assert line["evaluation/return"] == line["update"]
    assert run.counts["evaluation"] == 100 * (run.updates // 2)


def test_the_best_and_the_last_checkpoints_are_kept(finished):
    run, params = finished
    folder = run.path / "checkpoints"
    rated = {n: UPDATES[n // 2 % 5] for n in range(2, run.updates + 1, 2)}
    best = max(rated, key=rated.get)
    assert run.updates >= 7 and best == 6
    assert checkpoint.saved_updates(folder)[-1] == run.updates
    assert best in checkpoint.saved_updates(folder)
    assert len(checkpoint.saved_updates(folder)) <= run.config.keep_checkpoints + 1
    loaded = Run.load(run.path, which="best")
    assert (loaded.updates, loaded.rating) == (best, Rating("evaluation/solve_rate", 0.75))
    assert same(loaded.policy.params, params[best])
    assert same(Run.load(run.path, which=best).policy.params, params[best])
    assert same(Run.load(run.path).policy.params, params[run.updates])
    with pytest.raises(ValueError, match="no whole checkpoint of update 1: use which='latest', or one of the updates"):
        Run.load(run.path, which=1)
    with pytest.raises(ValueError, match="unknown checkpoint 'first': use 'latest', 'best' or the number"):
        Run.load(run.path, which="first")


def test_an_interrupted_run_with_callbacks_ends_like_an_uninterrupted_one(finished, tmp_path):
    whole, _ = finished

    def crash(run, metrics):
        if run.updates == 5:  # after the checkpoints of 2, 3 and 4
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        train(tiny(tmp_path / "run"), callbacks=[evaluation(), crash])
    run = resume(tmp_path / "run", callbacks=[evaluation()])
    assert same(run.policy.params, whole.policy.params) and run.counts == whole.counts
    assert rows(run) == rows(whole) and len(rows(run)) == run.updates
    names = lambda run: sorted(str(p.relative_to(run.path)) for p in run.path.rglob("*"))
    assert names(run) == names(whole)
    for file in (run.path / "snapshots").rglob("*.json"):
        assert file.read_bytes() == (whole.path / file.relative_to(run.path)).read_bytes()


@pytest.mark.parametrize("error", [RuntimeError("mistake"), SystemExit(3), KeyboardInterrupt(), BrokenPipeError(32, "")])
def test_an_error_of_a_callback_is_raised_after_saving_and_loses_nothing(finished, tmp_path, error, capsys):
    """The update whose callbacks were not all called is saved; resuming calls them, so that nothing is left out."""
    whole, params = finished
    at = 6  # an evaluation, the best one, and a snapshot are due, and no other checkpoint since 4

    def fail(run, metrics):
        if run.updates == at:
            metrics["half"] = 1.0
            raise error

    path = tmp_path / "run"
    with pytest.raises(type(error)):
        train(tiny(path, checkpoint_every=100), callbacks=[evaluation(), fail])
    assert "saved after update 6" in capsys.readouterr().err
    saved = Run.load(path)
    assert saved.updates == at and same(saved.policy.params, params[at])
    assert saved.counts["evaluation"] == 200 and [line["update"] for line in saved.metrics] == [1, 2, 3, 4, 5]
    with pytest.raises(type(error)):  # as long as it is not mended, it comes again at once, and costs nothing
        resume(path, callbacks=[evaluation(), fail])
    run = resume(path, callbacks=[evaluation()])
    assert same(run.policy.params, whole.policy.params) and run.counts == whole.counts
    assert rows(run) == rows(whole) and (path / "snapshots" / "update_000000006" / "levels.png").exists()
    assert Run.load(path, "best").rating == Rating("evaluation/solve_rate", 0.75)
    assert checkpoint.saved_updates(path / "checkpoints")[0] == at


def test_callbacks_that_cannot_be_closed_keep_no_other_from_it(tmp_path):
    closed = []

    class Stuck:
        def __call__(self, run, metrics):
            run.stop("enough")

        def close(self):
            closed.append(self)
            raise OSError("no connection")

    with pytest.raises(OSError, match="no connection"):
        train(tiny(tmp_path / "run", csv=False, snapshot_every=0), callbacks=[Stuck(), Stuck()])
    assert len(closed) == 2 and Run.load(tmp_path / "run").updates == 1


def test_without_an_evaluation_the_running_solve_rate_tells_the_best(tmp_path):
    lines = []
    run = train(
        tiny(tmp_path / "run", solve_rate_window=1, csv=False, snapshot_every=0, checkpoint_every=1),
        callbacks=[lambda run, metrics: lines.append((run.updates, run.solve_rate))],
    )
    known = [(update, rate) for update, rate in lines if rate is not None]
    best = max(known, key=lambda line: line[1])  # the first of equals
    loaded = Run.load(run.path, which="best")
    assert (loaded.updates, loaded.rating) == (best[0], Rating("running_solve_rate", best[1]))
    assert {p.name for p in run.path.iterdir()} - {LOCK} == {"config.json", "metrics.jsonl", "checkpoints"}


def test_an_evaluation_without_the_rating_number_is_refused(tmp_path):
    odd = PeriodicEvaluation(lambda run: {"return": 0.0}, every=1)
    with pytest.raises(ValueError, match="no number 'solve_rate': set best_by to one of return"):
        odd(SimpleNamespace(updates=1), {})
    metrics = {}
    unrated = PeriodicEvaluation(lambda run: {"return": 0.5}, every=1, best_by="")
    unrated(SimpleNamespace(updates=1, counts={"evaluation": 7}), metrics)
    assert metrics["evaluation/return"] == 0.5 and metrics["steps/evaluation"] == 7
    with pytest.raises(ValueError, match="at least 1 update apart"):
        PeriodicEvaluation(lambda run: {}, every=0)


# The table


def test_the_table_is_that_of_the_json_lines(finished):
    run, _ = finished
    lines = run.metrics
    with open(run.path / "metrics.csv", newline="") as file:
        table = list(csv.DictReader(file))
    columns = list(dict.fromkeys(name for line in lines for name in line))
    assert list(table[0]) == columns and "evaluation/return" in columns
    for row, line in zip(table, lines, strict=True):
        assert row == {name: "" if line.get(name) is None else str(line[name]) for name in columns}


def test_a_table_is_cut_back_and_widened(tmp_path):
    run = SimpleNamespace(path=tmp_path, metrics=[{"update": 1, "a": 0.5}, {"update": 2, "a": None}])
    (tmp_path / "metrics.csv").write_text("update,a\n1,0.5\n2,\n3,0.1\n4,0.")
    table = CsvFile()
    table.begin(run)
    assert (tmp_path / "metrics.csv").read_text().split() == ["update,a", "1,0.5", "2,"]
    table(run, {"update": 3, "a": float("nan")})
    run.metrics.append({"update": 3, "a": None})
    table(run, {"update": 4, "b": 7})
    table.close()
    assert (tmp_path / "metrics.csv").read_text().split() == ["update,a,b", "1,0.5,", "2,,", "3,,", "4,,7"]


# Early stop


def test_the_running_solve_rate_counts_updates_that_learned_and_ended_episodes():
    line = lambda learning, rate: {"steps/learning": learning, "solve_rate": rate}
    running = RunningSolveRate(2, [line(10, 0.5), line(10, 0.9), line(20, None), line(30, float("nan"))])
    assert running.value is None
    running.note(line(40, 0.25))
    assert running.value == 0.375
    running.note(line(50, 1.0))
    assert running.value == 0.625


def test_a_run_that_reaches_its_target_is_saved_and_finished(finished, tmp_path, capsys):
    whole, _ = finished

    class Solved:
        """Stands for an agent that solves everything from the third update on."""

        def __call__(self, run, metrics):
            run.solve_rate = 0.9 if run.updates >= 3 else 0.1

    path = tmp_path / "run"
    config = tiny(path, stop_at_solve_rate=0.9, checkpoint_every=100, csv=False, snapshot_every=0)
    run = train(config, callbacks=[Solved()])
    assert (run.updates, run.interrupted) == (3, False)
    assert run.stopped == "solve rate 0.900 has reached the target 0.9"
    assert "finished after 3 updates: solve rate" in capsys.readouterr().err
    assert Run.load(path).updates == 3
    again = resume(path, stop_at_solve_rate=0.0)  # without a target it goes on as if it had not stopped
    assert (again.updates, again.stopped) == (whole.updates, "") and same(again.policy.params, whole.policy.params)


def test_a_resumed_run_that_had_reached_its_target_does_not_go_on():
    run = Run(None, tiny("run"), None, None)
    run.solve_rate = 0.5
    EarlyStop(0.6).begin(run)
    assert not run.stopped
    EarlyStop(0.5).begin(run)
    assert run.stopped


# Snapshots


def test_snapshots_hold_the_top_levels_and_a_sheet(finished):
    run, _ = finished
    folders = sorted((run.path / "snapshots").iterdir())
    assert [p.name for p in folders] == [f"update_{n:09d}" for n in range(2, run.updates + 1, 2)]
    for folder in folders:
        files = sorted(folder.glob("*.json"))
        assert 1 <= len(files) <= 16 and (folder / "levels.png").stat().st_size > 1000
        scores = [float(json.loads(file.read_text())["description"].removeprefix("Score ")) for file in files]
        assert scores == sorted(scores, reverse=True)
    assert load_level(files[0]).size == run.env.size


def test_a_snapshot_is_of_the_buffer_as_it_is(finished, tmp_path):
    run, _ = finished
    kept = []

    def keep(run, metrics):
        if run.updates == 2:
            kept.append(jax.device_get(run.state.curriculum))

    train(tiny(tmp_path / "run", csv=False), callbacks=[keep])
    (buffer,) = buffers(kept[0]).values()
    top = int(np.argmax(np.where(np.arange(len(buffer.score)) < buffer.size, buffer.score, -np.inf)))
    saved = load_level(tmp_path / "run" / "snapshots" / "update_000000002" / "01.json")
    np.testing.assert_allclose(saved.position, buffer.levels.position[top], rtol=1e-6)


def test_buffers_are_found_wherever_they_are(finished):
    run, _ = finished
    levels = load_level(next((run.path / "snapshots").rglob("01.json")))
    number = np.zeros(())
    buffer = BufferState(levels, number, number, (), number, number, number)
    toy = BufferState(number, number, number, (), number, number, number)
    assert list(buffers(buffer)) == [""]
    assert list(buffers({"states": {"plr": buffer, "toy": toy, "dr": ()}, "two": (number, buffer)})) == [
        "states-plr",
        "two-1",
    ]
    assert buffers(toy) == {}


def test_snapshots_of_a_curriculum_without_a_buffer_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="snapshot_every=2 needs a curriculum with a level buffer"):
        train(tiny(tmp_path / "run", curriculum="dr"))
    assert not (tmp_path / "run").exists()


# Elsewhere


def test_tensorboard_files_are_written_where_it_is_installed(tmp_path):
    pytest.importorskip("tensorboardX")
    board = TensorBoard()
    for update in (1, 2):
        board(SimpleNamespace(path=tmp_path), {"update": update, "solve_rate": 0.5, "loss/total": None})
    board.close()
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"solve_rate" in events.read_bytes() and b"loss" not in events.read_bytes()


class FakeWandb(SimpleNamespace):
    """As much of the package as is used; notes what it is told."""

    def __init__(self):
        super().__init__(begun=[], logged=[], finished=0)

    def init(self, **arguments):
        self.begun.append(arguments)
        return self

    def log(self, numbers, step):
        self.logged.append((step, numbers))

    def finish(self):
        self.finished += 1


def test_weights_and_biases_gets_the_numbers_under_one_identity(tmp_path, monkeypatch):
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    run = SimpleNamespace(path=tmp_path, config=preset("tiny-robust-plr"))
    for update in (1, 2):  # a run, and the same one resumed
        logger = WeightsAndBiases("levels")
        logger.begin(run)
        logger(run, {"update": update, "solve_rate": 0.5, "return": float("nan"), "loss/total": None})
        logger.close()
    first, second = fake.begun
    assert first == second and first["id"] and first["resume"] == "allow"
    assert (first["project"], first["name"], first["dir"]) == ("levels", tmp_path.name, str(tmp_path))
    assert first["config"]["preset"] == "tiny-robust-plr"
    assert fake.logged == [(n, {"update": n, "solve_rate": 0.5}) for n in (1, 2)]
    assert fake.finished == 2


def test_weights_and_biases_is_refused_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ValueError, match=r"wandb='levels' needs the package wandb: pip install kinetix-ued\[wandb\]"):
        train(tiny(tmp_path / "run", wandb="levels"))
    assert not (tmp_path / "run").exists()


def test_the_bar_shows_solve_rate_and_speed(capsys):
    bar = ProgressBar()
    bar.begin(SimpleNamespace(config=preset("tiny-robust-plr", steps=1000), counts={"learning": 100}))
    bar(None, {"solve_rate": float("nan"), "steps_per_second": 10.0, "steps/learning": 400})
    bar(None, {"solve_rate": 0.25, "steps_per_second": 2345.6, "steps/learning": 1024})
    bar.close()
    text = capsys.readouterr().err
    assert "1.00k/1.00k" in text and "solved 25.0%, 2346 steps/s" in text


def test_callbacks_begin_in_order_and_are_closed_whatever_happens(tmp_path):
    told = []

    class Note:
        def begin(self, run):
            told.append(("begin", run.updates))

        def __call__(self, run, metrics):
            told.append(("update", run.updates))
            raise RuntimeError("of the user's own")

        def close(self):
            told.append(("close",))

    with pytest.raises(RuntimeError, match="of the user's own"):
        train(tiny(tmp_path / "run"), callbacks=[Note()])
    assert told == [("begin", 0), ("update", 1), ("close",)]


# Another run's parameters


def test_a_run_starts_from_another_ones_parameters_alone(finished, tmp_path):
    source, _ = finished
    params = Params()
    config = tiny(tmp_path / "run", init_from=str(source.path), seed=5, snapshot_every=0)
    with pytest.raises(RuntimeError, match="power cut"):
        train(config, callbacks=[cut])
    assert Run.load(source.path).updates == source.updates
    whole = train(tiny(tmp_path / "whole", init_from=str(source.path), seed=5, snapshot_every=0), callbacks=[params])
    moved = source.path.rename(tmp_path / "moved")
    try:
        run = resume(tmp_path / "run")  # needs the other run no longer
    finally:
        moved.rename(source.path)
    assert same(run.initial_policy().params, source.policy.params)
    assert same(run.policy.params, whole.policy.params) and not same(run.policy.params, source.policy.params)
    assert run.counts["learning"] == source.counts["learning"]
    with pytest.raises(ValueError, match="another configuration: init_from is '.*finished' there, '' here"):
        resume(tmp_path / "run", init_from="")


def cut(run, metrics):
    raise RuntimeError("power cut")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"network_width": 64}, r"\.agent\.params\['encoder'\].* has shape and type .*, here it has "),
        ({"recurrent": True}, r"\.agent\.params\['memory'\].* is missing there"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_by_name(finished, tmp_path, changes, message):
    source, _ = finished
    with pytest.raises(ValueError, match=message):
        train(tiny(tmp_path / "run", init_from=str(source.path), **changes))
    assert not (tmp_path / "run").exists()


def test_a_start_from_no_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no run: there is no config.json"):
        train(tiny(tmp_path / "run", init_from=str(tmp_path / "nothing")))
    assert not (tmp_path / "run").exists()
