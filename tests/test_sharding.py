"""``jax.shard_map`` with its check: what one device computes, several do, each for its share."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from kinetix_ued.environment import OBSERVATIONS

# Everything below runs on ``devices`` host devices, of which JAX must know before it starts; it prints what differs.
SCRIPT = """
import functools, json, sys
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, PartitionSpec as P
from kinetix_ued.agents import make_policy
from kinetix_ued.agents.advantage import generalised_advantages
from kinetix_ued.curricula.episodes import episode_mean
from kinetix_ued.environment import OBSERVATIONS, AutoReplay, make
from kinetix_ued.generators import (
    FILTERS, GENERATORS, filtered, hash_array, make_generator, mutate_level, sample_excluding, sampler
)
from kinetix_ued.training.rollout import Players, rollout
from kinetix_ued.world import Engine, size_of, start

devices, part = int(sys.argv[1]), sys.argv[2]
assert jax.device_count() == devices
axes = {1: (1, 1), 2: (2, 1), 4: (2, 2)}[devices]
mesh = jax.make_mesh(axes, ("rows", "columns"), axis_types=(AxisType.Auto,) * 2)
spread, everywhere, found = P(("rows", "columns")), P(), {}
keys = jax.random.split(jax.random.key(0), 8)
levels = jax.vmap(lambda key: make_generator("random")(key, size_of("s")))(keys)


def sharded(function, arguments, specs):
    specs = specs or (spread,) * len(arguments)
    return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=spread)


def traced(name, function, *arguments, specs=None):
    # The check is made in tracing.
    shapes = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    whole, shared = (jax.eval_shape(f, *arguments) for f in (function, sharded(function, arguments, specs)))
    found[name] = 0.0 if shapes(whole) == shapes(shared) else 1.0


def compare(name, function, *arguments, specs=None):
    # The numbers too.
    expected, got = jax.jit(function)(*arguments), jax.jit(sharded(function, arguments, specs))(*arguments)
    apart = lambda a, b: float(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)).max(initial=0.0))
    found[name] = max(jax.tree.leaves(jax.tree.map(apart, expected, got)))


def played(env, key, level):
    params = env.default_params

    def step(state, key):
        seen, state, *rest = env.step(key, state, env.action_space().sample(key), params)
        return state, (seen, state.world.position, rest)

    seen, state = env.reset_to_level(key, level, params)
    return seen, jax.lax.scan(step, state, jax.random.split(key, 4))


if part == "levels":
    for generator in GENERATORS:
        traced(generator, jax.vmap(lambda key: make_generator(generator)(key, size_of("m"))), keys)
    one = jax.vmap(lambda key, level: mutate_level(key, level, 3), (0, None))
    traced("edits of one level", one, keys, levels[0], specs=(spread, everywhere))
    for name in FILTERS:
        traced(name, FILTERS[name], levels)
    local = lambda sample: lambda keys: jax.lax.map(lambda key: sample(key, 2), keys)
    traced("sample_levels", local(sampler("mixture", "s")), keys)
    traced("filtered", local(filtered(sampler("random", "s"))), keys)
    traced("excluding", local(lambda key, n: sample_excluding(key, n, sampler("random", "s"), hash_array())[0]), keys)
    compare("random levels", jax.vmap(lambda key: make_generator("random")(key, size_of("m"))), keys)
    compare("edits", jax.vmap(lambda key, level: mutate_level(key, level, 3)), keys, levels)
else:
    for observation in OBSERVATIONS:
        env = AutoReplay(make("s", engine=part, observation=observation, actions="continuous"))
        traced(observation, jax.vmap(functools.partial(played, env)), keys, levels)
    one = jax.vmap(functools.partial(played, env), (0, None))
    traced("one level everywhere", one, keys, levels[0], specs=(spread, everywhere))
    engine = Engine(part)
    pushed = lambda motor, level: engine.step(level, start(level), motor, motor)
    several = jax.vmap(pushed, (0, None))
    traced("an action each", several, jnp.linspace(0, 1, 8)[:, None], levels[0], specs=(spread, everywhere))

    env = make("s", engine=part, observation="symbolic_flat", actions="continuous", max_steps=3)
    env, params = AutoReplay(env), env.default_params
    network = make_policy("flat_mlp", env.env.observation, env.action_space(), head_width=8, width=8)
    weights = network.init(jax.random.key(1), env.observation_space())

    def trained(key, level, weights):
        # A rollout draws one key for all its environments: here every environment has one of its own.
        batch = jax.tree.map(lambda x: x[None], level)
        fresh = jax.vmap(env.reset_to_level, (None, 0, None))(key, batch, params)[1]
        zero = jnp.zeros(1, jnp.int32)
        players = Players(fresh, jnp.ones(1, bool), network.initial_carry(1), jnp.zeros(1), zero, zero)
        _, seen, last, episodes = rollout(env, params, network, weights, key, players, fresh, jnp.array(False), 5)
        advantage = generalised_advantages(seen.reward, seen.done, seen.value, last, 0.99, 0.9)
        return seen.reward, seen.value, advantage, episode_mean(seen.done, seen.reward), episodes

    compare("rollout", jax.vmap(trained, (0, 0, None)), keys, levels, weights, specs=(spread, spread, everywhere))
print(json.dumps(found))
"""


def differences(devices, part):
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", SCRIPT, str(devices), part]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("part, devices", [("warp", 1), ("warp", 2), ("warp", 4), ("jax", 4)])
def test_playing_on_several_devices_is_playing_on_one(part, devices):
    found = differences(devices, part)
    assert len(found) == len(OBSERVATIONS) + 3 and all(difference <= 1e-5 for difference in found.values()), found


def test_levels_drawn_and_edited_on_several_devices_are_those_of_one():
    found = differences(4, "levels")
    assert len(found) == 26 and all(difference <= 1e-5 for difference in found.values()), found
