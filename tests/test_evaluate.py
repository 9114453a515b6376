"""The evaluation protocol, against episodes that are played one by one."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.agents import make_policy
from kinetix_ued.benchmarks import (
    HELDOUT_SEED,
    Evaluation,
    NoopPolicy,
    RandomPolicy,
    Suite,
    baseline,
    evaluate,
    heldout_random,
    load_suite,
    random_suite,
)
from kinetix_ued.benchmarks.fitting import environment_for, policy_and_environment, refuse_misfit
from kinetix_ued.benchmarks.policies import kind_of
from kinetix_ued.environment import AutoReplay, make, make_actions
from kinetix_ued.generators import sample_levels
from kinetix_ued.levels import save_level
from kinetix_ued.world import Level, empty_level, size_of

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


def test_random_actions_are_held_for_whole_steps_and_drawn_again():
    """Of each environment on its own: one that begins another episode draws then, and holds for as long again."""
    batch, steps, restart = 3, 4, 6
    policy = RandomPolicy(ENV.actions, np.int32(steps))
    carry, actions = policy.initial_carry(batch), []
    keys = jax.random.split(jax.random.key(0), 14)
    for t, key in enumerate(keys):
        if t == restart:  # as evaluate does where an episode ended
            fresh = policy.initial_carry(batch)
            carry = jax.tree.map(lambda old, new: old.at[1].set(new[1]), carry, fresh)
        action, carry = policy.act(key, jnp.zeros((batch, 1)), carry)
        actions.append(np.asarray(action))
    actions = np.stack(actions, axis=1)  # (B, T, 6)
    drawn = np.stack([jax.vmap(ENV.actions.sample)(jax.random.split(key, batch)) for key in keys], axis=1)
    for row, starts in enumerate(([0, 4, 8, 12], [0, 4, 6, 10], [0, 4, 8, 12])):
        held = [max(start for start in starts if start <= t) for t in range(len(keys))]
        np.testing.assert_array_equal(actions[row], drawn[row, held])
    always = RandomPolicy(ENV.actions)
    action, _ = always.act(keys[0], jnp.zeros((batch, 1)), always.initial_carry(batch))
    np.testing.assert_array_equal(action, drawn[:, 0])


def test_a_held_action_is_a_number_of_frames_whatever_the_frame_skip(levels):
    for skip, frames, steps in ((1, 8, 8), (2, 8, 4), (4, 32, 8), (8, 8, 1)):
        assert baseline(f"random:{frames}", make("s", frame_skip=skip)).steps == steps
    assert baseline("random", make("s", frame_skip=3)).steps == 1
    assert kind_of(baseline("random:8", ENV)) == kind_of(baseline("random:32", ENV)), "one program for all"
    with pytest.raises(ValueError, match="random:8 cannot hold an action for 8 frames .* has 3: use random:6 or random:9"):
        baseline("random:8", make("s", frame_skip=3))
    with pytest.raises(ValueError, match="has 16: use random:16$"):
        baseline("random:8", make("s", frame_skip=16))
    for wrong in ("random:0", "random:-8", "random:08", "random:", "random:1.5", "random:1000001", "random:x"):
        with pytest.raises(ValueError, match="from 1 to 1000000: write random:8 or random:32"):
            baseline(wrong, ENV)
    with pytest.raises(ValueError, match="unknown baseline 'nothing': use noop, random, random:8, random:32"):
        baseline("nothing", ENV)
    # A hold as long as an episode is one constant action for each.
    still = evaluate(baseline("random:96", ENV), levels[:4], env=ENV, key=jax.random.key(0), attempts=3, batch=5)
    assert (still.returns.std(axis=1) > 0).any() and still.lengths.max() == STEPS


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


def test_a_policy_is_played_in_what_it_fits_and_told_what_would(levels):
    noop = NoopPolicy(make_actions("discrete"))
    found = environment_for(noop, None, size_of("m"))
    assert (found.size, found.actions.name, found.observation.name) == (size_of("m"), "discrete", "entity")
    for network, observation, sizes in (
        ("permutation_invariant", "entity", ("s", "m", "l")),
        ("flat_mlp", "symbolic_flat", ("m",)),
    ):
        made = make("m", observation=observation, actions="continuous")
        agent = make_policy(network, observation, made.actions, head_width=8, head_depth=1)
        shapes = jax.eval_shape(agent.init, jax.random.key(0), made.observation_space())
        params = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
        policy, own = policy_and_environment(SimpleNamespace(network=agent, params=params))
        assert own is None
        for size in ("s", "m"):
            env = environment_for(policy, None, size_of(size))
            wanted = size if size in sizes else "m"
            assert (env.size.name, env.observation.name, env.actions.name) == (wanted, observation, "continuous")
        refuse_misfit(policy, made)
        with pytest.raises(
            ValueError, match=f"my run does not fit.*'multi_discrete'.*plays.*{observation}.*'continuous'"
        ):
            refuse_misfit(policy, make("m", observation=observation), name="my run")
    run = SimpleNamespace(policy=SimpleNamespace(network=agent, params=params), env=made)
    assert environment_for(*policy_and_environment(run), size_of("s")) == made, "a run's own size, where it is larger"
    large = jax.tree.map(lambda x: x[None], empty_level("l"))
    with pytest.raises(ValueError, match="does not fit size 'l'.*in size 'm'"):
        evaluate(run, Suite(large, ("a",), ("b",), "c"), key=jax.random.key(0))

    class Wrong(PushThenStop):
        def act(self, key, observation, carry):
            return jnp.zeros((len(carry), 17)), carry

    with pytest.raises(ValueError, match=r"nor in any other.*float32\[17\]"):
        evaluate(Wrong(), levels, env=ENV, key=jax.random.key(0))


def test_a_suite_is_evaluated_by_itself_or_by_name(levels, tmp_path):
    save_level(levels[0], tmp_path / "levels" / "a.json", metadata={"family": "flight"})
    save_level(levels[1], tmp_path / "levels" / "b.json")
    options = {"env": ENV, "key": jax.random.key(0), "attempts": 2, "batch": 4}
    by_name = evaluate(NoopPolicy(ENV.actions), str(tmp_path / "levels"), **options)
    plain = evaluate(NoopPolicy(ENV.actions), levels[:2], **options)
    np.testing.assert_array_equal(by_name.returns, plain.returns)
    assert by_name.suite.names == ("a", "b") and by_name.suite.families == ("flight", "") and by_name.env == ENV
    assert plain.suite is None
    for (low, high), rate in zip(by_name.intervals, by_name.solve_rate):
        assert low <= rate <= high and high - low > 0.5, "two attempts tell little"
    with pytest.raises(ValueError, match="holdoutt.*holdout-s"):
        evaluate(NoopPolicy(ENV.actions), "holdoutt", key=jax.random.key(0))


def test_suites_of_files_are_named_by_folder_and_padded(tmp_path, levels):
    for folder, name in (("easy", "b"), ("easy", "a"), ("hard", "c")):
        save_level(levels[0], tmp_path / folder / f"{name}.json")
    loaded = load_suite([tmp_path])
    assert loaded.names == ("a", "b", "c") and loaded.folders == ("easy", "easy", "hard")
    assert loaded.levels.size.name == "s" and loaded.resized(make("m").size).levels.size.name == "m"
    np.testing.assert_array_equal(loaded.levels.position[2], levels[0].position)
    again = loaded.resized(make("m").size).resized(make("s").size)
    assert again.levels.size.name == "s" and again.hashes == loaded.hashes
    with pytest.raises(ValueError, match=r"size 's' holds too little for random-m:2/0000 \(m\), random-m:2/0001 \(m\): use 'm'"):
        random_suite("m", 2).resized(make("s").size)
