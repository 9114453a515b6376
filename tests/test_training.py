"""Configuration, numbers, the update and the loop, end to end on a tiny run."""

import dataclasses
import inspect
import itertools
import json
import math
import os
import shutil
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.cli import main
from kinetix_ued.curricula import Curriculum, Plan, sfl
from kinetix_ued.generators import sample_levels
from kinetix_ued.training import (
    METHODS,
    PRESETS,
    Run,
    TrainConfig,
    TrainedPolicy,
    checkpoint,
    field_docs,
    loop,
    memory,
    method_preset,
    preset,
    resume,
    seed_folders,
    train,
    validate,
)
from kinetix_ued.training import build
from kinetix_ued.training.build import build_curriculum, build_env, build_learner, build_network, build_sampler
from kinetix_ued.training.config import NEUTRAL_FIELDS, decisive
from kinetix_ued.training.health import LossWatch
from kinetix_ued.training.lock import LOCK
from kinetix_ued.training.metrics import JsonLines, RunningSolveRate, finite, read_metrics
from kinetix_ued.training.rollout import Trajectory
from kinetix_ued.training.run import write_config
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


@pytest.mark.parametrize("asked", [False, True])
def test_the_learner_takes_truncation_as_bootstrap_where_it_is_asked(asked, monkeypatch):
    seen = []
    monkeypatch.setattr(build, "ppo_update", lambda key, agent, batch, *_, **__: (seen.append(batch.advantage), {}))
    learner = build_learner(preset("tiny", bootstrap_truncation=asked, gamma=0.5), None, None)
    known = {"reward": 0.0, "done": True, "truncated": jnp.array([[True, False]]), "value": 2.0}
    known = {name: jnp.broadcast_to(jnp.asarray(x), (1, 2)) for name, x in known.items()}
    trajectory = Trajectory(**{name: known.get(name) for name in Trajectory._fields})
    learner.learn(jax.random.key(0), None, trajectory, jnp.zeros(2), (), jnp.ones((1, 2), bool))
    np.testing.assert_allclose(seen[0], [[-1.0 if asked else -2.0, -2.0]])


def test_the_default_is_the_quick_preset():
    assert TrainConfig() == preset("quick") == preset()


def test_kinetix_presets_are_the_published_hyperparameters():
    for size, method in itertools.product("sml", METHODS):
        c = method_preset(f"kinetix-{size}", method)
        assert (c.size, c.environments, c.rollout_steps, c.outer_steps, c.epochs, c.minibatches) == (
            size,
            2048,
            256,
            1,
            8,
            32,
        )
        assert (c.learning_rate, c.gamma, c.gae_lambda, c.clip, c.entropy) == (5e-5, 0.995, 0.9, 0.02, 0.01)
        assert (c.value_coefficient, c.max_grad_norm, c.steps, c.network) == (0.5, 1.0, 2**30, "entity_transformer")
        assert (c.frame_skip, c.dense_reward_scale, c.max_steps) == (2, 0.2, 256)
        assert (c.buffer_size, c.temperature, c.staleness, c.replay_probability, c.minimum_fill) == (
            4000,
            1,
            0.3,
            0.5,
            0.5,
        )
        assert (c.update_steps, c.gradient_steps) == (2048 * 256, 2**30 // (2048 * 256) * 8 * 32)
    own = inspect.signature(sfl).parameters  # the preset leaves SFL's own settings as they are
    published = {
        "scored_levels": 12288,
        "scoring_rollouts": 2,
        "kept_levels": 1024,
        "refresh_every": 128,
        "replayed_share": 0.5,
    }
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
        ({"max_steps": 33, "outer_steps": 2}, "shorter than an episode .*use outer_steps=3"),
        ({"curriculum": "plrr"}, "unknown curriculum 'plrr': use one of dr, plr, robust-plr"),
        ({"size": "xl"}, "unknown size 'xl': use one of s, m, l"),
        ({"network": "rnn"}, "unknown network 'rnn': use one of "),
        ({"score": "luck"}, "unknown score 'luck': use one of "),
        (
            {"score": "regret"},
            "compares the student with an antagonist, and curriculum 'robust-plr' has none: use curriculum student-regret",
        ),
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
        ({"eval_every": 1, "selection_seed": 1_000_000_007}, "selection_seed=1000000007 is that of eval_seed too"),
        (
            {"eval_every": 1, "eval_seed": 5, "selection_seed": 5},
            "selection_seed=5 is that of eval_seed too.*use another",
        ),
        (
            {"eval_every": 1, "eval_seed": 5, "selection_seed": 1_000_000_007},
            "is that of the suites random-s, -m and -l too.* such as selection_seed=1000000009",
        ),
        ({"eval_every": 1, "selection_levels": 0}, "selection_levels must be at least 1"),
        ({"selection_seed": 2**32}, r"selection_seed must be below 2\*\*32"),
        ({"learning_rate": float("inf")}, "learning_rate must be finite"),
        ({"entropy": -0.1}, "entropy must be 0 or more"),
        ({"epochs": 2.5}, "epochs must be of type int, got 2.5"),
        ({"epochs": True}, "epochs must be of type int, got True"),
        ({"progress": 1}, "progress must be of type bool, got 1"),
        ({"anneal": True}, "no field 'anneal'"),
        ({"noise_decisions": 0}, "noise_decisions must be at least 1"),
        ({"network_options": "mirror"}, "network_options holds 'mirror': write name=value"),
        ({"curriculum": "dr", "options": "restart=True", "outer_steps": 1}, "use outer_steps=2"),
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


@pytest.mark.filterwarnings("ignore:.*cannot be read")
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


BAD_LINES = [
    b"garbage",
    b"5",
    b"{}",
    b"null",
    b"[1, 2]",
    b'{"update": "3"}',
    b'{"update": true}',
    b'{"update": 3, "lo',
    b"\0" * 100,
    b'{"update": 3, "\xff": 1}',
    b"[" * 100_000,
    b'{"update": ' + b"9" * 5000 + b"}",
]


@pytest.mark.parametrize("place", [0, 2, 4])
@pytest.mark.parametrize("bad", BAD_LINES, ids=lambda bad: bad[:12].decode("latin-1"))
def test_a_bad_line_costs_no_good_one(tmp_path, bad, place):
    path = tmp_path / "metrics.jsonl"
    good = [b'{"update": %d, "return": 0.10}' % update for update in (1, 2, 3, 4)]
    path.write_bytes(b"\n".join([*good[:place], bad, *good[place:]]))
    with pytest.warns(UserWarning, match=f"metrics.jsonl: line {place + 1} cannot be read"):
        assert [line["update"] for line in read_metrics(path)] == [1, 2, 3, 4]
    with pytest.warns(UserWarning, match=rf"line {place + 1} cannot be read.* moved to .*metrics\.bad"):
        lines = JsonLines(path, update=3)
    lines.write({"update": 4, "return": 0.5})
    lines.close()
    assert path.read_bytes().splitlines() == [*good[:3], b'{"update": 4, "return": 0.5}']
    assert (tmp_path / "metrics.bad").read_bytes() == bad + b"\n"


def test_several_bad_lines_are_kept_from_every_resume(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for word in ("one", "two"):
        path.write_text(f'{word}\n{{"update": 1}}\n\n{word}\n')
        with pytest.warns(UserWarning, match="lines 1, 4 cannot be read"):
            JsonLines(path, update=1).close()
    assert (tmp_path / "metrics.bad").read_text().split() == ["one", "one", "two", "two"]
    assert path.read_text() == '{"update": 1}\n'


def test_numbers_that_a_file_does_not_have_are_no_numbers():
    running = RunningSolveRate(1, [{"update": 1}, {"update": 2, "solve_rate": "half", "steps/learning": 5}])
    assert running.value is None
    running.note({"update": 3, "solve_rate": 0.5, "steps/learning": 10})
    assert running.value == 0.5


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
    assert {p.name for p in run.path.iterdir()} - {LOCK} == {"config.json", "metrics.jsonl", "checkpoints"}
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


@pytest.fixture
def copied(finished, tmp_path):
    """The finished run, in a folder that a test may damage."""
    return shutil.copytree(finished[0].path, tmp_path / "run")


def test_a_damaged_newest_checkpoint_is_told_by_whoever_passes_it_over(finished, copied):
    run, seen = finished
    older, newest = (f"update_{n:09d}" for n in checkpoint.saved_updates(copied / "checkpoints"))
    (copied / "checkpoints" / newest / "arrays.npz").write_bytes(b"")
    said = pytest.warns(UserWarning, match=f"{newest} cannot be read.*{older} is used instead")
    with said:
        assert Run.load(copied).updates < run.updates
    with pytest.raises(ValueError, match=rf"no whole checkpoint of update {run.updates}: .* updates {int(older[7:])}$"):
        Run.load(copied, which=run.updates)
    with said:
        again = resume(copied)
    assert same(again.policy.params, run.policy.params)
    assert [line["update"] for line in again.metrics] == [line["update"] for line in seen]


def test_a_run_without_a_whole_checkpoint_is_not_begun_again_unasked(copied):
    numbers = (copied / "metrics.jsonl").read_bytes()
    for path in (copied / "checkpoints").iterdir():
        (path / "manifest.json").unlink()
    with pytest.raises(ValueError, match=r"every checkpoint in .* is damaged \(updates .*\): move them away"):
        resume(copied)
    assert (copied / "metrics.jsonl").read_bytes() == numbers


def edit(folder, **changes):
    values = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(values))


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"max_steps": 31}, "max_steps is 32 there, 31 here"),
        ({"allow_holdout": True}, "allow_holdout is False there, True here"),
        ({"head_width": 64}, "head_width is 32 there, 64 here"),
        ({"frame_skip": 4, "seed": 3}, "seed is 0 there, 3 here; frame_skip is 2 there, 4 here"),
    ],
)
def test_a_configuration_that_is_not_the_checkpoints_own_is_refused_by_all(copied, changes, told):
    edit(copied, **changes)
    with pytest.raises(ValueError, match=rf"{told}\. .*config\.json was changed after training: put it back"):
        Run.load(copied)
    with pytest.raises(ValueError, match=told):
        resume(copied)


def test_fields_that_touch_nothing_learned_may_differ(copied):
    edit(copied, eval_levels=3, out="elsewhere", keep_checkpoints=7)
    assert Run.load(copied).config.eval_levels == 3


def test_a_field_that_is_newer_than_the_checkpoint_has_its_default(tmp_path):
    config = decisive(TINY)
    old = {name: value for name, value in config.items() if name != "allow_holdout"}
    checkpoint.refuse_other_config(old, config, tmp_path)
    with pytest.raises(ValueError, match="allow_holdout is False there, True here"):
        checkpoint.refuse_other_config(old, config | {"allow_holdout": True}, tmp_path)


BROKEN_CONFIGS = {
    "[]": "must hold the fields",
    "null": "must hold the fields",
    "5": "must hold the fields",
    "": "cannot be read",
    "{": "cannot be read",
    "[" * 100_000: "cannot be read",
    '{"seed": ' + "9" * 5000 + "}": "cannot be read",
    '{"colour": "red"}': "no field 'colour'",
    '{"environments": "8"}': "environments must be of type int, got '8'",
    '{"environments": null}': "environments must be of type int, got None",
    '{"size": ["s"]}': "size must be of type str",
    '{"gamma": NaN}': "gamma must be between 0 and 1",
    '{"max_steps": 1e400}': "max_steps must be of type int",
    '{"max_steps": 1000000000000}': "max_steps must be at most 2147483647",
    '{"head_width": 1000000000000}': "head_width must be at most 65536",
    '{"head_depth": 1000000}': "head_depth must be at most 256",
    '{"seeds": 1000000000}': "seeds must be at most 4096",
    '{"network": "rnn"}': "unknown network 'rnn'",
}


@pytest.mark.parametrize("text", BROKEN_CONFIGS, ids=lambda text: text[:24])
def test_a_broken_configuration_is_refused_by_file_and_field(tmp_path, text, capsys):
    (tmp_path / "config.json").write_text(text)
    for command in (["eval", str(tmp_path)], ["train", "--resume", str(tmp_path)]):
        assert main(command) == 2
        out, err = capsys.readouterr()
        (line,) = err.splitlines()
        assert not out and str(tmp_path / "config.json") in line and BROKEN_CONFIGS[text] in line
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_configuration_of_other_bytes_is_refused(tmp_path):
    (tmp_path / "config.json").write_bytes(b'{"size": "\xff"}')
    with pytest.raises(ValueError, match="config.json cannot be read"):
        Run.load(tmp_path)


def test_what_does_not_fit_the_memory_is_refused_before_it_is_allocated(tmp_path, finished, monkeypatch):
    huge = tiny(tmp_path / "run", head_width=2**16, head_depth=64)  # two times 64 layers of 16 GiB
    with pytest.raises(ValueError, match="its training state would take .* GiB, and there are .* GiB of memory"):
        train(huge)
    assert not (tmp_path / "run").exists()
    write_config(tmp_path / "run", huge)
    with pytest.raises(ValueError, match="its parameters would take .* GiB"):
        Run.load(tmp_path / "run")
    monkeypatch.setattr(memory, "device_memory", lambda: None)  # a device that does not tell
    assert Run.load(finished[0].path).updates == finished[0].updates


@pytest.mark.parametrize("text", ["\u00b2", "\u0663", "12\u00b2", "9" * 5000, "-1", "1.0", ""])
def test_what_is_no_number_of_an_update_is_refused_as_a_checkpoint(finished, text, capsys):
    assert main(["eval", str(finished[0].path), f"--checkpoint={text}"]) == 2
    assert "use 'latest', 'best' or the number of an update" in capsys.readouterr().err


def test_only_plain_numbers_are_seeds(tmp_path):
    for name in ("seed-3", "seed-10", "seed-\u00b2", "seed-x", "seed-", "seed--1"):
        write_config(tmp_path / name, TINY)
    assert [path.name for path in seed_folders(tmp_path)] == ["seed-3", "seed-10"]


# Health


def failing(monkeypatch, change):
    """Updates as they are, but for what ``change(state, numbers, update)`` makes of them."""
    program = loop._program

    def changed(*arguments):
        real, count = program(*arguments), itertools.count(1)

        def update(states):
            (state,), (numbers,) = real.update(states)
            state, numbers = change(state, numbers, next(count))
            return (state,), (numbers,)

        return real._replace(update=update)

    monkeypatch.setattr(loop, "_program", changed)


@pytest.mark.parametrize("at, there", [(1, "nothing was saved yet"), (3, "the checkpoints in .* are from before")])
def test_a_loss_that_is_not_finite_ends_the_run_and_points_to_what_is_there(finished, tmp_path, monkeypatch, at, there):
    learned = {"loss/total": jnp.float32(jnp.nan), "steps/learning": jnp.int32(TINY.update_steps)}
    failing(monkeypatch, lambda state, numbers, n: (state, numbers | learned if n == at else numbers))
    with pytest.raises(FloatingPointError, match=f"loss/total of update {at} is not finite: .*in a new run; {there}"):
        train(tiny(tmp_path / "run", checkpoint_every=1))
    assert checkpoint.whole_updates(tmp_path / "run" / "checkpoints") == list(range(1, at))


def test_parameters_that_are_not_finite_are_never_saved(finished, tmp_path, monkeypatch):
    """A gradient that overflows may leave them so while the loss of that update is finite."""

    def spoil(state, numbers, n):
        params = jax.tree.map(lambda x: x * jnp.nan if n == 3 else x, state.agent.params)
        return state._replace(agent=state.agent._replace(params=params)), numbers

    failing(monkeypatch, spoil)
    with pytest.raises(FloatingPointError, match="a parameter after update 3 is not finite: .* are from before"):
        train(tiny(tmp_path / "run", checkpoint_every=1))
    loaded = Run.load(tmp_path / "run")
    assert loaded.updates == 2 and all(np.isfinite(x).all() for x in jax.tree.leaves(loaded.policy.params))


def test_a_loss_beyond_all_measure_is_told_while_it_happens(finished, tmp_path, monkeypatch):
    failing(monkeypatch, lambda state, numbers, n: (state, numbers | {"loss/total": jnp.float32(3e6)}))
    with pytest.warns(RuntimeWarning, match=r"^update 1: loss/total is 3e\+06, .*: training diverges") as told:
        train(tiny(tmp_path / "run"))
    assert len(told) == 1


def test_the_watch_measures_losses_by_the_returns_and_does_not_repeat_itself(recwarn):
    def told(watch, update, **numbers):
        recwarn.clear()
        watch.note({"update": update} | {name.replace("_", "/", 1): value for name, value in numbers.items()})
        return [str(warning.message) for warning in recwarn]

    usual = LossWatch(0.5, [{"update": 1, "return": None}, {"update": 2}])
    assert not told(usual, 3, loss_total=999.0, loss_grad_norm=1e5) and not told(usual, 4, loss_total=None)
    (line,) = told(usual, 5, loss_total=-1001.0)
    assert line.startswith("update 5: loss/total is -1e+03")
    assert not told(usual, 6, loss_total=1e9) and not told(usual, 104, loss_total=1e9)
    assert told(usual, 105, loss_total=1e9)
    scaled = LossWatch(2.0, [{"update": 1, "return": -100.0}])  # rewards of another size
    assert not told(scaled, 2, loss_total=1.9e7) and told(scaled, 3, loss_total=2.1e7)
    assert "loss/grad_norm is not finite" in told(LossWatch(1, []), 1, loss_total=0.1, loss_grad_norm=math.inf)[0]


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
