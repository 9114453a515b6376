"""Held actions: decisions every few environment steps, learned from alone and scored by the environment's own rules."""

import json

import jax
import numpy as np
import pytest

from kinetix_ued.agents import make_policy
from kinetix_ued.benchmarks import evaluate
from kinetix_ued.benchmarks.policies import NetworkPolicy
from kinetix_ued.generators import sample_levels
from kinetix_ued.training import Run, TrainConfig, preset, train, validate
from kinetix_ued.training.build import build_env, build_network, decision_env
from kinetix_ued.training.checkpoint import refuse_other_config
from kinetix_ued.training.config import decisive
from kinetix_ued.training.run import read_config, write_config

HELD = TrainConfig(
    observation="scene", network="actuator", network_width=16, head_width=16, decision_frames=8, max_steps=64, seed=3
)


def test_a_decision_is_the_same_episode_in_fewer_steps():
    levels = sample_levels(jax.random.key(4), 48, size="s")
    rules, decisions = build_env(HELD), decision_env(HELD)
    assert (rules.frame_skip, rules.max_steps) == (2, 64) and (decisions.frame_skip, decisions.max_steps) == (8, 16)
    network = build_network(HELD, rules)
    params = network.init(jax.random.key(0), rules.observation_space())
    params = jax.tree.map(lambda x: x + 0.3 * jax.random.normal(jax.random.key(9), x.shape), params)
    held = NetworkPolicy(network, params)
    each = NetworkPolicy(build_network(HELD.__class__(**HELD.to_dict() | {"decision_frames": 0}), rules), params)
    play = lambda policy, env: evaluate(policy, levels, env=env, key=jax.random.key(1), attempts=1, greedy=True)
    by_rules, by_decisions = play(held, rules), play(each, decisions)
    np.testing.assert_array_equal(by_rules.solved, by_decisions.solved)
    np.testing.assert_array_equal(-(-by_rules.lengths // 4), by_decisions.lengths)
    assert 0 < by_rules.solved.mean() < 1 and (play(each, rules).lengths != by_rules.lengths).any()


@pytest.mark.parametrize("recurrent", [False, True])
def test_an_action_is_held_from_the_start_of_each_episode(recurrent):
    env = build_env(HELD)
    policy = make_policy("flat_mlp", "symbolic_flat", env.actions, hold=3, recurrent=recurrent, recurrent_size=8)
    seen = jax.random.normal(jax.random.key(0), (7, 5, 140))
    params = policy.init(jax.random.key(1), seen[0, 0])
    memory = policy.initial_memory(5)
    actions = []
    for step, observation in enumerate(seen):
        if step == 4:  # the episode of the second environment ends here
            start = policy.initial_memory(5)
            memory = jax.tree.map(lambda old, new: old.at[1].set(new[1]), memory, start)
        action, memory = policy.act(params, jax.random.key(step), observation, memory)
        actions.append(np.asarray(action))
    actions = np.stack(actions)
    np.testing.assert_array_equal(actions[0, 0], actions[2, 0])
    np.testing.assert_array_equal(actions[3, 0], actions[5, 0])
    assert (actions[2, 0] != actions[3, 0]).any()
    assert (actions[3, 1] != actions[4, 1]).any()
    np.testing.assert_array_equal(actions[4, 1], actions[6, 1])


def test_steps_are_counted_by_the_environments_rules(tmp_path):
    config = preset(
        "tiny", observation="scene", network="actuator", network_width=8, decision_frames=4, out=str(tmp_path / "run"),
        steps=8 * 16 * 2 * 2, eval_levels=0, max_steps=32, progress=False,
    )
    run = train(config)
    assert config.hold == 2 and config.update_steps == 8 * 16 * 2 * 2
    assert (run.updates, run.counts["learning"]) == (1, config.update_steps)
    assert 0 < run.metrics[-1]["episode_length"] <= 32
    assert Run.load(run.path).policy.network.hold == 2


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"decision_frames": 5}, "use 4 or 6"),
        ({"decision_frames": 8, "max_steps": 62}, "use max_steps=60"),
        ({"decision_frames": 8, "observation": "blind", "network": "flat_mlp"}, "counts single steps"),
        ({"decision_frames": -2}, "0 or more"),
    ],
)
def test_decisions_that_do_not_fit_the_steps_are_refused(changes, problem):
    with pytest.raises(ValueError, match=problem):
        validate(preset("quick", **changes))


def test_a_run_from_before_decisions_were_noted_decided_at_every_step(tmp_path):
    config = preset("tiny")
    write_config(tmp_path, config)
    saved = json.loads((tmp_path / "config.json").read_text())
    del saved["decision_frames"], saved["noise_decisions"]
    (tmp_path / "config.json").write_text(json.dumps(saved))
    assert preset("quick").decision_frames == 8 and read_config(tmp_path) == config
    refuse_other_config({name: saved[name] for name in decisive(config) if name in saved}, decisive(config), tmp_path)
    with pytest.raises(ValueError, match="decision_frames is 0 there, 8 here"):
        refuse_other_config(saved, decisive(preset("tiny", decision_frames=8)), tmp_path)
