"""The evaluation protocol, against episodes that are played one by one."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.benchmarks import (
    HELDOUT_SEED,
    Evaluation,
    NoopPolicy,
    RandomPolicy,
    Suite,
    as_json,
    evaluate,
    format_table,
    heldout_random,
    load_suite,
    write_json,
)
from kinetix_ued.benchmarks.policies import kind_of
from kinetix_ued.environment import AutoReplay, make
from kinetix_ued.generators import sample_levels
from kinetix_ued.levels import save_level
from kinetix_ued.world import Level

STEPS = 48
ENV = make("s", max_steps=STEPS)
PUSHED = 10


@pytest.fixture(scope="module")
def levels() -> Level:
    return sample_levels(jax.random.key(3), 12, "s")  # ends after 1, 22, 24, 25 and 48 steps


@jax.jit
def one_by_one(levels: Level, actions: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Solved, return and length of an episode of each level under given actions (T, 6), without evaluate."""

    def episode(level):
        def step(carry, action):
            state, going, solved, total, length = carry
            _, state, reward, done, info = ENV.step(jax.random.key(0), state, action, ENV.default_params)
            solved |= going & info["goal"]
            return (state, going & ~done, solved, total + going * reward, length + going), None

        _, state = ENV.reset_to_level(jax.random.key(0), level, ENV.default_params)
        start = (state, jnp.bool_(True), jnp.bool_(False), jnp.float32(0), jnp.int32(0))
        _, going, *outcome = jax.lax.scan(step, start, actions)[0]
        return *outcome, ~going

    *outcome, ended = jax.vmap(episode)(levels)
    return *outcome, ended


def same(evaluation: Evaluation, expected) -> None:
    solved, total, length, ended = map(np.asarray, expected)
    assert ended.all()
    for attempt in range(evaluation.attempts):
        np.testing.assert_array_equal(evaluation.solved[:, attempt], solved)
        np.testing.assert_allclose(evaluation.returns[:, attempt], total, atol=1e-5)
        np.testing.assert_array_equal(evaluation.lengths[:, attempt], length)


class PushThenStop:
    """Not a pytree; remembers how long its episode has lasted, and drives everything for the first steps of it."""

    def initial_carry(self, batch):
        return jnp.zeros(batch, jnp.int32)

    def act(self, key, observation, carry):
        action = jnp.where((carry < PUSHED)[:, None], jnp.ones(6, jnp.int32), 0)
        return action, carry + 1


def test_every_episode_is_played_as_if_alone_whatever_the_batch(levels):
    expected = one_by_one(levels, jnp.zeros((STEPS, 6), jnp.int32))
    lengths = np.asarray(expected[2])
    assert len(set(lengths.tolist())) > 2, "the levels must differ in length for the test to mean something"
    for batch in (5, 100):
        evaluation = evaluate(NoopPolicy(ENV.actions), levels, env=ENV, key=jax.random.key(0), attempts=2, batch=batch)
        same(evaluation, expected)
        assert evaluation.environment_steps == 2 * lengths.sum()
        slots = min(batch, 2 * len(levels))
        assert evaluation.idle_steps >= 0
        assert (evaluation.environment_steps + evaluation.idle_steps) % slots == 0
        assert not evaluation.nonfinite.any()
    np.testing.assert_allclose(evaluation.solve_rate, np.asarray(expected[0]).astype(float))
    np.testing.assert_allclose(evaluation.mean_length, lengths)


def test_memory_starts_anew_with_every_episode(levels):
    actions = jnp.where(jnp.arange(STEPS)[:, None] < PUSHED, jnp.ones((STEPS, 6), jnp.int32), 0)
    evaluation = evaluate(PushThenStop(), levels, env=ENV, key=jax.random.key(0), attempts=2, batch=5)
    same(evaluation, one_by_one(levels, actions))


def test_the_key_decides_random_actions(levels):
    play = lambda seed: evaluate(
        RandomPolicy(ENV.actions), levels, env=ENV, key=jax.random.key(seed), attempts=3, batch=5
    )
    first, again, other = play(0), play(0), play(1)
    np.testing.assert_array_equal(first.returns, again.returns)
    assert (first.returns != other.returns).any()
    assert (first.returns.std(axis=1) > 0).any(), "attempts at one level must differ"


def test_greedy_reaches_the_policy_and_progress_is_told(levels):
    class Greedy(PushThenStop):
        def act(self, key, observation, carry, *, greedy):
            assert greedy
            return super().act(key, observation, carry)

    told = []
    options = {"env": ENV, "key": jax.random.key(0), "attempts": 1, "greedy": True}
    evaluate(Greedy(), levels[:2], progress=lambda *counts: told.append(counts), **options)
    assert told[0] == (0, 2) and told[-1] == (2, 2)


def test_policies_with_equal_tree_structures_are_told_apart():
    noop, random = NoopPolicy(ENV.actions), RandomPolicy(ENV.actions)
    assert kind_of(noop) != kind_of(random)
    assert kind_of(noop) == kind_of(NoopPolicy(ENV.actions)) and hash(kind_of(noop))


def test_mistakes_are_named_before_anything_compiles(levels):
    policy, options = NoopPolicy(ENV.actions), {"env": ENV, "key": jax.random.key(0)}
    with pytest.raises(ValueError, match="not a wrapper"):
        evaluate(policy, levels, **options | {"env": AutoReplay(ENV)})
    with pytest.raises(ValueError, match="add an axis"):
        evaluate(policy, levels[0], **options)
    with pytest.raises(ValueError, match="size='s'"):
        evaluate(policy, levels, **options | {"env": make("m")})
    for wrong in ({"attempts": 0}, {"batch": 0}):
        with pytest.raises(ValueError, match="at least 1"):
            evaluate(policy, levels, **options, **wrong)

    class Unhashable(PushThenStop):
        __hash__ = None

    with pytest.raises(ValueError, match="hashable"):
        evaluate(Unhashable(), levels, **options)


def test_held_out_levels_are_the_same_for_everyone_and_nobody_solves_them_by_waiting():
    levels = heldout_random("s", 32)
    jax.tree.map(np.testing.assert_array_equal, levels, heldout_random("s", 32))
    seeds = {seed: sample_levels(jax.random.key(seed), 64, "s").position for seed in (0, HELDOUT_SEED)}
    for drawn in seeds.values():  # no level is one that a run with this seed could begin with
        assert not (np.asarray(levels.position)[:, None] == np.asarray(drawn)[None]).all(axis=(2, 3)).any()
    env = make("s", max_steps=64)
    waiting = evaluate(NoopPolicy(env.actions), levels, env=env, key=jax.random.key(0), attempts=1)
    assert waiting.solve_rate.sum() == 0


def made_up(solved) -> Evaluation:
    solved = np.array(solved, bool)
    return Evaluation(
        solved=solved,
        returns=np.where(solved, 1.0, -1.0),
        lengths=np.where(solved, 10, 30),
        nonfinite=np.zeros_like(solved),
        environment_steps=int(np.where(solved, 10, 30).sum()),
        idle_steps=3,
        seconds=1.5,
    )


@pytest.fixture(scope="module")
def suite(levels) -> Suite:
    return Suite(levels[:3], ("car", "arm", "fly"), ("s", "s", "m"), "somewhere")


def test_table_has_a_row_a_level_and_means(suite):
    scores = {"ours": made_up([[1, 1], [1, 0], [0, 0]]), "a policy with a rather long name": made_up([[0, 0]] * 3)}
    lines = format_table(suite, scores).splitlines()
    assert lines[0].split("  ")[-1] == "a policy with a rather long name"
    row = {line.split()[0] + ("" if line.startswith(" ") else "/"): line.split() for line in lines[1:]}
    assert row["car"] == ["car", "100.0%", "1.000", "10.0", "0.0%", "-1.000", "30.0"]
    assert row["arm"][1:4] == ["50.0%", "0.000", "20.0"]
    means = [line.split()[-6] for line in lines if "mean of" in line]
    assert means == ["75.0%", "0.0%"]
    assert lines[-1].split()[:4] == ["all", "3", "levels", "50.0%"]
    assert len({len(line) for line in lines if "%" in line}) == 1, "columns are aligned"
    short = format_table(suite, scores, rows=False)
    assert "car" not in short and len(short.splitlines()) == 5


def test_json_repeats_the_numbers_and_is_never_overwritten(tmp_path, suite):
    scores = {"ours": made_up([[1, 1], [1, 0], [0, 0]])}
    about = {"ours": {"source": "runs/x"}}
    report = as_json(suite, scores, env=ENV, seed=7, greedy=False, sources=about)
    path = tmp_path / "report.json"
    write_json(path, report)
    read = json.loads(path.read_text())
    assert read == report and (read["schema_version"], read["seed"], read["attempts"]) == (1, 7, 2)
    assert read["engine"] == ENV.engine and read["environment"]["max_steps"] == STEPS
    (ours,) = read["policies"]
    assert ours["source"] == "runs/x" and ours["mean"]["solve_rate"] == 0.5
    assert [(f["folder"], f["solve_rate"]) for f in ours["folders"]] == [("s", 0.75), ("m", 0.0)]
    assert [level["solved_attempts"] for level in ours["levels"]] == [2, 1, 0]
    with pytest.raises(ValueError, match="--overwrite"):
        write_json(path, report)
    write_json(path, {"other": 1}, overwrite=True)
    assert json.loads(path.read_text()) == {"other": 1}
    with pytest.raises(ValueError, match="create it first"):
        write_json(tmp_path / "nowhere" / "report.json", report)
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_suites_of_files_are_named_by_folder_and_padded(tmp_path, levels):
    for folder, name in (("easy", "b"), ("easy", "a"), ("hard", "c")):
        save_level(levels[0], tmp_path / folder / f"{name}.json")
    loaded = load_suite([tmp_path])
    assert loaded.names == ("a", "b", "c") and loaded.folders == ("easy", "easy", "hard")
    assert loaded.levels.size.name == "s" and loaded.resized(make("m").size).levels.size.name == "m"
    np.testing.assert_array_equal(loaded.levels.position[2], levels[0].position)
    with pytest.raises(ValueError, match="holds"):
        loaded.resized(make("m").size).resized(make("s").size)
