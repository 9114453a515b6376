"""Configuration, numbers, the update and the loop, end to end on a tiny run."""

import dataclasses
import inspect
import itertools
import json
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.curricula import Curriculum, Plan, sfl
from kinetix_ued.generators import sample_levels
from kinetix_ued.training import (
    METHODS,
    PRESETS,
    Run,
    TrainConfig,
    TrainedPolicy,
    field_docs,
    method_preset,
    preset,
    resume,
    train,
    validate,
)
from kinetix_ued.training.build import build_curriculum, build_env, build_learner, build_network, build_sampler
from kinetix_ued.training.config import NEUTRAL_FIELDS, decisive
from kinetix_ued.training.metrics import JsonLines, finite, read_metrics
from kinetix_ued.training.schedule import SCHEDULES
from kinetix_ued.training.update import make_update

# Configuration


def test_every_field_has_a_docstring_and_a_plain_type():
    docs = field_docs(TrainConfig)
    fields = dataclasses.fields(TrainConfig)
    assert list(docs) == [field.name for field in fields]
    assert all(doc.endswith(".") and len(doc) > 10 for doc in docs.values())
    assert {type(field.default) for field in fields} <= {str, int, float, bool}
    assert NEUTRAL_FIELDS < set(docs)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid_and_know_their_name(name):
    config = preset(name)
    validate(config)
    assert config.preset == name
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("name", PRESETS)
def test_presets_can_be_built(name):
    config = preset(name)
    env = build_env(config)
    network = build_network(config, env)
    curriculum = build_curriculum(config, build_sampler(config)[0])
    init, _ = make_update(config, env, network, build_learner(config, env, network), curriculum)
    state = jax.eval_shape(init, jax.random.key(0))
    assert state.players.reset.shape == (config.environments,)
    assert (state.antagonist == ()) == (config.curriculum != "student-regret")


def test_the_default_is_the_quick_preset():
    assert TrainConfig() == preset("quick") == preset()


def test_kinetix_presets_are_the_published_hyperparameters():
    for size, method in itertools.product("sml", METHODS):
        c = method_preset(f"kinetix-{size}", method)
        assert (c.size, c.environments, c.rollout_steps, c.outer_steps, c.epochs, c.minibatches) == (size, 2048, 256, 1, 8, 32)
        assert (c.learning_rate, c.gamma, c.gae_lambda, c.clip, c.entropy) == (5e-5, 0.995, 0.9, 0.02, 0.01)
        assert (c.value_coefficient, c.max_grad_norm, c.steps, c.network) == (0.5, 1.0, 2**30, "entity_transformer")
        assert (c.frame_skip, c.dense_reward_scale, c.max_steps) == (2, 0.2, 256)
        assert (c.buffer_size, c.temperature, c.staleness, c.replay_probability, c.minimum_fill) == (4000, 1, 0.3, 0.5, 0.5)
        assert (c.update_steps, c.gradient_steps) == (2048 * 256, 2**30 // (2048 * 256) * 8 * 32)
    own = inspect.signature(sfl).parameters  # the preset leaves SFL's own settings as they are
    published = {"scored_levels": 12288, "scoring_rollouts": 2, "kept_levels": 1024, "refresh_every": 128, "replayed_share": 0.5}
    assert {name: own[name].default for name in published} == published and not preset("kinetix-s-sfl").options


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"minibatches": 3}, "3 minibatches do not divide 128 .*use minibatches=2"),
        ({"minibatches": 256}, "256 minibatches do not divide 128 .*use minibatches=128"),
        ({"minibatches": 16, "recurrent": True}, "do not divide 8 environments.*use minibatches=8"),
        ({"steps": 255}, "steps=255 is less than one update .*use steps=256"),
        ({"steps": 2**45}, "more than the optimiser can count"),
        ({"buffer_size": 7}, "buffer_size=7 cannot hold .*use buffer_size=8"),
        ({"max_steps": 33}, "shorter than an episode .*use outer_steps=3"),
        ({"curriculum": "plrr"}, "unknown curriculum 'plrr': use one of dr, plr, robust-plr"),
        ({"size": "xl"}, "unknown size 'xl': use one of s, m, l"),
        ({"network": "rnn"}, "unknown network 'rnn': use one of "),
        ({"score": "luck"}, "unknown score 'luck': use one of "),
        ({"score": "regret"}, "compares the student with an antagonist, and curriculum 'robust-plr' has none: use curriculum student-regret"),
        ({"score": "max_mc", "curriculum": "dr"}, "curriculum 'dr' has no score to choose .*leave score empty"),
        ({"score": "regret", "curriculum": "student-regret"}, "has no score to choose .*set options=regret=NAME"),
        ({"prioritisation": "best"}, "unknown prioritisation 'best': use one of rank, topk"),
        ({"observation": "sound"}, "unknown observation 'sound': use one of "),
        ({"actions": "none"}, "unknown actions 'none': use one of "),
        ({"physics": "newton"}, "unknown physics 'newton': use one of kinetix, fixed"),
        ({"engine": "v8"}, "unknown engine 'v8': use one of auto, jax, warp"),
        ({"environments": 0}, "environments must be at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"gamma": 1.5}, "gamma must be between 0 and 1"),
        ({"clip": float("nan")}, "clip must be above 0, got nan"),
        ({"learning_rate": float("inf")}, "learning_rate must be finite"),
        ({"entropy": -0.1}, "entropy must be 0 or more"),
        ({"epochs": 2.5}, "epochs must be of type int, got 2.5"),
        ({"epochs": True}, "epochs must be of type int, got True"),
        ({"progress": 1}, "progress must be of type bool, got 1"),
        ({"anneal": True}, "no field 'anneal'"),
        ({"schedule": "step"}, "unknown schedule 'step': use one of constant, linear, cosine, warmup-cosine"),
        ({"warmup": 1.5}, "warmup must be between 0 and 1"),
        ({"dtype": "float16"}, "unknown dtype 'float16': use one of float32, bfloat16"),
        ({"stop_at_solve_rate": 2.0}, "stop_at_solve_rate must be between 0 and 1"),
        ({"snapshot_every": -1}, "snapshot_every must be 0 or more"),
        ({"seed": 2**32}, r"seed must be below 2\*\*32"),
        ({"learningrate": 1.0}, "no field 'learningrate'; it has preset, seed"),
    ],
)
def test_static_mistakes_are_refused_with_a_remedy(changes, message):
    with pytest.raises(ValueError, match=message):
        validate(preset("tiny-robust-plr", **changes))


def test_the_former_name_of_a_curriculum_and_its_presets_works_with_a_note():
    """In Python, in the configuration of a run that is already there, and by method or preset."""
    now = preset("quick-student-regret")
    for make in (
        lambda: preset("quick-paired"),
        lambda: method_preset("quick", "paired"),
        lambda: dataclasses.replace(now, curriculum="paired"),
        lambda: TrainConfig.from_dict(now.to_dict() | {"curriculum": "paired"}),
    ):
        with pytest.warns(FutureWarning, match="'paired' is called 'student-regret' now"):
            assert make() == now
    with pytest.warns(FutureWarning):
        assert preset("kinetix-s-paired", seed=3).preset == "kinetix-s-student-regret"
    assert not any("paired" in name for name in PRESETS)


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="unknown preset 'fast': use one of quick"):
        preset("fast")


def test_only_a_run_at_a_constant_rate_may_grow():
    fixed = preset("tiny-robust-plr", schedule="constant")
    assert decisive(fixed) == decisive(dataclasses.replace(fixed, steps=2**20, out="x", keep_checkpoints=9))
    falling = preset("tiny-robust-plr", schedule="linear")
    assert decisive(falling) != decisive(dataclasses.replace(falling, steps=2**20))


@pytest.mark.parametrize(
    "name, rates",
    [
        ("constant", [1.0, 1.0, 1.0, 1.0, 1.0]),
        ("linear", [1.0, 0.9, 0.5, 0.1, 0.0]),
        ("cosine", [1.0, 0.5 + 0.5 * np.cos(0.1 * np.pi), 0.5, 0.5 + 0.5 * np.cos(0.9 * np.pi), 0.0]),
        ("warmup-cosine", [0.0, 0.5, 0.5 + 0.5 * np.cos(0.375 * np.pi), 0.5 + 0.5 * np.cos(0.875 * np.pi), 0.0]),
    ],
)
def test_schedules_have_their_shape(name, rates):
    schedule = SCHEDULES[name](2.0, 100, 0.2)
    np.testing.assert_allclose([schedule(step) for step in (0, 10, 50, 90, 100)], 2 * np.array(rates), atol=1e-6)


@pytest.mark.parametrize("warmup", [0.0, 0.001, 1.0])
def test_a_warm_up_of_nothing_or_everything_is_a_schedule_too(warmup):
    rates = [float(SCHEDULES["warmup-cosine"](1.0, 10, warmup)(step)) for step in range(11)]
    assert np.isfinite(rates).all() and max(rates) == pytest.approx(1.0) and rates[10] == pytest.approx(0, abs=1e-6)


def test_bfloat16_computes_in_bfloat16_and_keeps_parameters_in_float32():
    config = preset("tiny-robust-plr", dtype="bfloat16", recurrent=True)
    env = build_env(config)
    network = build_network(config, env)
    example = env.observation_space()
    params = jax.eval_shape(network.init, jax.random.key(0), example)
    assert {x.dtype for x in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}
    observation = jax.tree.map(lambda x: jnp.zeros((2, *x.shape), x.dtype), example)
    act = lambda params: network.apply(params, network.initial_carry(2), observation, jnp.zeros(2, bool))
    carry, distribution, value = jax.eval_shape(act, params)
    assert carry.dtype == network.initial_carry(2).dtype  # a scan over steps needs the same at both ends
    assert value.dtype == jnp.float32
    products = [line for line in str(jax.make_jaxpr(act)(params)).splitlines() if "dot_general" in line]
    assert products and all("bf16" in line for line in products)


# Numbers


def test_lines_after_the_checkpoint_and_a_cut_off_line_are_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = JsonLines(path)
    for update in range(1, 6):
        lines.write({"update": update, "loss": float("nan") if update == 2 else 0.5})
    lines.close()
    with open(path, "a") as file:
        file.write('{"update": 6, "lo')
    assert [line["update"] for line in read_metrics(path)] == [1, 2, 3, 4, 5]
    assert read_metrics(path)[1] == {"update": 2, "loss": None}
    lines = JsonLines(path, update=3)
    lines.write({"update": 4, "loss": 0.25})
    lines.sync()
    lines.close()
    assert [line["update"] for line in read_metrics(path)] == [1, 2, 3, 4]
    assert read_metrics(path)[-1]["loss"] == 0.25


def test_finite_leaves_numbers_and_takes_the_rest():
    assert finite({"a": 1, "b": 0.5, "c": float("inf"), "d": None}) == {"a": 1, "b": 0.5, "c": None, "d": None}


# The loop, on a tiny run

TINY = preset("tiny-robust-plr", progress=False, filters="noop_solves")


def tiny(path, **changes):
    return preset("tiny-robust-plr", **TINY.to_dict() | {"out": str(path)} | changes)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    seen = []
    run = train(tiny(tmp_path_factory.mktemp("runs") / "finished"), callbacks=[lambda run, m: seen.append(dict(m))])
    return run, seen


def same(a, b):
    leaves = lambda tree: [np.asarray(x).tobytes() for x in jax.tree.leaves(tree)]
    return leaves(a) == leaves(b)


def test_a_run_counts_its_steps_honestly(finished):
    run, seen = finished
    assert run.metrics == [finite(m) for m in seen]
    c = run.config
    learned = sum(m["curriculum/replayed"] for m in seen)
    assert run.updates == len(seen) == seen[-1]["update"]
    assert run.counts["learning"] == learned * c.update_steps == c.steps
    assert run.counts["scoring"] == (len(seen) - learned) * c.update_steps > 0
    # A new batch is chosen among twice as many levels, each left alone for 64 steps; a replayed one is not filtered.
    assert run.counts["filter"] == (len(seen) - learned) * c.environments * 2 * 64
    assert run.counts["evaluation"] == 0
    assert not run.interrupted
    for line in seen:
        assert {"return", "solve_rate", "episode_length", "episodes", "nonfinite_episodes", "seconds"} <= set(line)
        assert {"loss/total", "loss/grad_norm", "curriculum/buffer_size", "curriculum/buffer_score_p50"} <= set(line)
        assert line["episodes"] >= c.environments * c.outer_steps * c.rollout_steps // c.max_steps
        assert 0 <= line["solve_rate"] <= 1 and 1 <= line["episode_length"] <= c.max_steps
        assert line["steps_per_second"] > 0
        assert np.isfinite(line["loss/total"]) == bool(line["curriculum/replayed"])


def test_the_folder_holds_what_it_should(finished):
    run, _ = finished
    assert {p.name for p in run.path.iterdir()} == {"config.json", "metrics.jsonl", "checkpoints"}
    assert len(list((run.path / "checkpoints").iterdir())) == run.config.keep_checkpoints  # none is rated yet
    assert TrainConfig.from_dict(json.loads((run.path / "config.json").read_text())) == run.config


def test_a_loaded_run_has_the_same_policy_and_acts(finished):
    run, _ = finished
    loaded = Run.load(run.path)
    assert same(loaded.policy.params, run.policy.params)
    assert (loaded.config, loaded.updates, loaded.counts) == (run.config, run.updates, run.counts)
    key = jax.random.key(3)
    levels = sample_levels(key, 8, size="s")
    reset = jax.jit(jax.vmap(run.env.reset_to_level, (None, 0, None)))
    observations, _ = reset(key, levels, run.env.default_params)
    actions, carry = loaded.policy.act(key, observations)
    assert actions.shape == (8, 6)
    one = jax.tree.map(lambda x: x[2], observations)
    action, _ = loaded.policy.act(key, one, loaded.policy.initial_carry())
    assert action.shape == (6,)
    greedy, _ = loaded.policy.act(key, observations, loaded.policy.initial_carry(8), greedy=True)
    greedy_one, _ = run.policy.act(key, one, greedy=True)
    np.testing.assert_array_equal(greedy[2], greedy_one)


def test_a_folder_with_a_run_is_refused_unless_resumed(finished):
    run, _ = finished
    with pytest.raises(ValueError, match="already holds a run: resume it, or choose another folder"):
        train(run.config)
    again = resume(run.path)
    assert again.updates == run.updates and same(again.policy.params, run.policy.params)
    with pytest.raises(ValueError, match="another configuration: seed is 0 there, 1 here"):
        resume(run.path, seed=1)
    with pytest.raises(ValueError, match="holds no run: there is no config.json"):
        resume(run.path / "checkpoints")
    with pytest.raises(ValueError, match="holds no run"):
        Run.load(run.path.parent)


def test_an_interrupted_run_saves_and_goes_on_to_the_same_end(finished, tmp_path):
    run, seen = finished
    stop = lambda run, metrics: run.updates == 3 and os.kill(os.getpid(), signal.SIGINT)
    first = train(tiny(tmp_path / "run"), callbacks=[stop])
    assert first.interrupted and first.updates == 3
    rest = resume(tmp_path / "run")
    assert not rest.interrupted
    assert same(rest.policy.params, run.policy.params) and rest.counts == run.counts
    timeless = lambda lines: [{k: v for k, v in line.items() if "second" not in k} for line in lines]
    assert timeless(rest.metrics) == timeless(run.metrics)


# The update


def alternating(learn_first):
    """A curriculum of one's own: fixed levels, learning from every other update."""
    levels = sample_levels(jax.random.key(1), TINY.environments, size="s")

    def propose(key, state):
        plan = Plan(learn=state % 2 == (0 if learn_first else 1), restart=state == 0, slots=jnp.full(8, -1, jnp.int32))
        return levels, plan

    def update(state, levels, rollout, plan):
        shape = (TINY.rollout_steps * TINY.outer_steps, TINY.environments)
        assert all(getattr(rollout, name).shape == shape for name in ("reward", "done", "goal", "value", "advantage"))
        return state + 1, {"age": state}

    return Curriculum(lambda key: jnp.int32(0), propose, update)


def test_a_curriculum_of_ones_own_plugs_in_and_only_learning_updates_change_the_policy(tmp_path):
    params = []
    note = lambda run, metrics: params.append(jax.tree.map(np.array, run.policy.params))
    config = tiny(tmp_path / "run", steps=2 * TINY.update_steps)
    run = train(config, alternating(learn_first=True), callbacks=[note])
    assert [m["curriculum/age"] for m in run.metrics] == [0, 1, 2]
    assert [m["steps/learning"] for m in run.metrics] == [256, 256, 512]
    assert [m["steps/scoring"] for m in run.metrics] == [0, 256, 256]
    assert same(params[0], params[1]) and not same(params[1], params[2])
    with pytest.raises(ValueError, match="pass the same one as curriculum="):
        resume(tmp_path / "run")
    assert Run.load(tmp_path / "run").updates == 3


@dataclasses.dataclass(frozen=True)
class Exploding:
    """The environment, but every fourth step ends the episode in a state that is not finite."""

    env: object

    def __getattr__(self, name):
        return getattr(self.env, name)

    def step(self, key, state, action, params):
        observation, state, reward, _, info = self.env.step(key, state, action, params)
        broken = state.time >= 4
        world = jax.tree.map(lambda x: jnp.where(broken, x * jnp.nan, x).astype(x.dtype), state.world)
        state = state.replace(world=world)
        return observation, state, jnp.where(broken, jnp.nan, reward), broken, info | {"nonfinite": broken}


def test_episodes_that_go_non_finite_are_counted_and_never_reach_the_optimiser():
    def update(state, levels, rollout, plan):
        finite = jnp.stack([jnp.isfinite(x).all() for x in jax.tree.leaves(rollout)]).all()
        return state, {"finite": finite, "advantage": jnp.abs(rollout.advantage).max()}

    env = Exploding(build_env(TINY))
    network = build_network(TINY, env)
    curriculum = alternating(learn_first=True)._replace(update=update)
    init, update = make_update(TINY, env, network, build_learner(TINY, env, network), curriculum)
    before = jax.jit(init)(jax.random.key(0))
    example = env.observation_space()
    run = Run(None, TINY, env, TrainedPolicy(network, None, example))
    assert same(run.initial_policy().params, before.agent.params)
    after, metrics = jax.jit(update)(before)
    episodes = TINY.update_steps // 4
    assert int(metrics["nonfinite_episodes"]) == int(metrics["episodes"]) == episodes
    assert int(metrics["steps/learning"]) == TINY.update_steps and float(metrics["solve_rate"]) == 0
    assert bool(metrics["curriculum/finite"]) and float(metrics["curriculum/advantage"]) == 0
    assert np.isfinite(metrics["loss/total"]) and np.isfinite(metrics["return"])
    assert same(after.agent.params, before.agent.params)
    assert int(after.agent.step) == TINY.outer_steps * TINY.epochs * TINY.minibatches
