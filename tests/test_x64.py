"""``JAX_ENABLE_X64``: every array keeps its 32 bits, and with them every number."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.agents import NETWORKS
from kinetix_ued.curricula import CURRICULA
from kinetix_ued.environment import ACTIONS, OBSERVATIONS, AutoReplay, make
from kinetix_ued.generators import EDITS, FILTERS, GENERATORS, mutate_levels, sample_levels
from kinetix_ued.levels import content_hash, summary
from kinetix_ued.training import method_preset
from kinetix_ued.training.build import build_curriculum, build_env, build_learner, build_network, build_sampler
from kinetix_ued.training.update import make_update
from kinetix_ued.world import Engine, empty_level, start, typed_level


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def sixty_four_bits(tree):
    """Leaves of more than 32 bits, by their path."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path): str(leaf.dtype)
        for path, leaf in leaves
        if not jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) and leaf.dtype.itemsize > 4
    }


def with_and_without(function, *arguments):
    """Types of what ``function`` returns, under the flag and without it; each by tracing alone."""
    describe = lambda tree: jax.tree.map(lambda x: (x.shape, str(x.dtype)), tree)
    found = []
    for flag in (False, True):
        with jax.enable_x64(flag):
            found.append(describe(jax.eval_shape(function, *arguments)))
    return found


@pytest.mark.parametrize("generator", GENERATORS)
def test_generators_make_levels_of_the_same_types(generator):
    plain, wide = with_and_without(lambda key: sample_levels(key, 2, "m", generator=generator), jax.random.key(0))
    assert plain == wide


@pytest.mark.parametrize("edit", EDITS)
def test_edits_make_the_same_types(edit):
    levels = jax.eval_shape(lambda: jax.tree.map(lambda x: x[None], empty_level("m")))
    plain, wide = with_and_without(lambda key, x: mutate_levels(key, x, 2, {edit: 1.0}), jax.random.key(0), levels)
    assert plain == wide


def test_what_is_read_of_levels_has_the_same_types():
    levels = jax.eval_shape(lambda: jax.tree.map(lambda x: x[None], empty_level("m")))
    looks = {**FILTERS, "hash": content_hash, "summary": jax.vmap(summary)}
    plain, wide = with_and_without(lambda levels: {name: look(levels) for name, look in looks.items()}, levels)
    assert plain == wide


VIEWS = [*itertools.product(OBSERVATIONS, ["discrete"]), *itertools.product(["entity"], ACTIONS)]


@pytest.mark.parametrize("observation, actions", VIEWS)
@pytest.mark.parametrize("engine", ["jax", "warp"])
def test_an_environment_has_the_same_types(observation, actions, engine):
    env = AutoReplay(make("s", observation=observation, actions=actions, engine=engine))
    level = jax.eval_shape(lambda: empty_level("s"))

    def play(key, level):
        params = env.default_params
        seen, state = env.reset_to_level(key, level, params)
        kind = env.action_space()
        action = kind.sample(key)
        controls = kind.controls(action), kind.controls(kind.noop()), kind.noop(), action
        return seen, state, controls, env.step(key, state, action, params)

    plain, wide = with_and_without(play, jax.random.key(0), level)
    assert plain == wide
    assert not sixty_four_bits(jax.eval_shape(play, jax.random.key(0), level))


def test_levels_of_64_bits_are_played_as_levels(x64):
    level = empty_level("s")
    wide = jax.tree.map(lambda x: np.asarray(x, np.float64 if x.dtype.kind == "f" else x.dtype), level)
    assert sixty_four_bits(wide)
    assert not sixty_four_bits(typed_level(wide))
    env = make("s", engine="jax")
    _, state = jax.eval_shape(env.reset_to_level, jax.random.key(0), wide, env.default_params)
    assert not sixty_four_bits(state)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64", "int8", "int64", "bool"])
@pytest.mark.parametrize("engine", ["jax", "warp"])
def test_actions_of_any_type_are_cast_once(engine, dtype, x64):
    level, engine = empty_level("s"), Engine(engine)
    state, shown = engine.step(level, start(level), jnp.ones(1, dtype), jnp.ones(1, dtype))
    expected, expected_shown = engine.step(level, start(level), jnp.ones(1, jnp.float32), jnp.ones(1, jnp.float32))
    assert not sixty_four_bits((state, shown))
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), (state, shown), (expected, expected_shown)))
    continuous = make("s", actions="continuous").actions
    for number in (1, 0):
        controls = continuous.controls(jnp.full(6, number, dtype))
        assert controls.dtype == jnp.float32 and (controls == number).all()


READERS = [(network, observation) for network, (_, readable) in NETWORKS.items() for observation in readable]
RUNS = [
    *((curriculum, {}) for curriculum in CURRICULA),
    *(("dr", {"network": n, "observation": o, "network_width": 0}) for n, o in READERS),
    *(("dr", {"actions": actions}) for actions in ACTIONS),
    ("dr", {"recurrent": True}),
    ("dr", {"normalise_observations": True}),
    ("dr", {"dtype": "bfloat16"}),
]


@pytest.mark.parametrize("curriculum, changes", RUNS)
def test_training_keeps_its_types(curriculum, changes, x64):
    config = method_preset("tiny", curriculum, size="s", **changes)
    env = build_env(config)
    network = build_network(config, env)
    parts = build_curriculum(config, build_sampler(config)[0])
    init, update = make_update(config, env, network, build_learner(config, env, network), parts)
    state = jax.eval_shape(init, jax.random.key(0))
    after, metrics = jax.eval_shape(update, state)
    assert not sixty_four_bits(state)
    assert not sixty_four_bits({name: x for name, x in metrics.items() if x.dtype.kind == "f"})
    assert jax.tree.map(lambda x: x.dtype, after) == jax.tree.map(lambda x: x.dtype, state)


# What a process prints: digests of random levels, of edited ones, of trajectories on both engines, of an evaluation;
# and what a short run learned.
SCRIPT = """
import hashlib, json, sys
import jax, numpy as np
from kinetix_ued import train
from kinetix_ued.benchmarks import RandomPolicy, evaluate
from kinetix_ued.environment import AutoReplay, make
from kinetix_ued.generators import mutate_levels, sample_levels
from kinetix_ued.training import preset

def digest(tree):
    whole = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        whole.update(str(leaf.dtype).encode() + np.asarray(leaf).tobytes())
    return whole.hexdigest()

key, found = jax.random.key(3), {}
found["mixture"] = digest(sample_levels(key, 4, "m", generator="mixture"))
levels = sample_levels(key, 4, "s")
found["edited"] = digest(mutate_levels(key, levels, 4))
for engine in ("jax", "warp"):
    env = AutoReplay(make("s", engine=engine, observation="symbolic_flat", actions="continuous"))
    params = env.default_params

    def play(key, level):
        def step(state, key):
            seen, state, *rest = env.step(key, state, env.action_space().sample(key), params)
            return state, (seen, state.world, rest)
        return jax.lax.scan(step, env.reset_to_level(key, level, params)[1], jax.random.split(key, 12))[1]

    found[engine] = digest(jax.jit(jax.vmap(play))(jax.random.split(key, 4), levels))
scores = evaluate(RandomPolicy(env.action_space()), levels, key=key, attempts=2, env=make("s", actions="continuous"))
found["evaluation"] = digest([scores.solved, scores.returns, scores.lengths])
short = dict(max_steps=8, rollout_steps=8, outer_steps=1, steps=256, minibatches=1)
agent = dict(observation="symbolic_flat", network="flat_mlp", network_width=16, head_width=16)
run = train(preset("tiny", size="s", progress=False, out=sys.argv[1], **short, **agent))
learned = evaluate(run, levels, key=key, attempts=2)
found["learned"] = [[str(x.dtype), float(abs(x).sum())] for x in jax.tree.leaves(run.policy.params)]
found["returns"] = str(learned.returns.dtype)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("x64")

    def run(flag):
        environment = os.environ | {"JAX_ENABLE_X64": flag}
        command = [sys.executable, "-c", SCRIPT, str(folder / flag)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run("0"), run("1")


def test_numbers_are_the_same_bit_for_bit(printed):
    plain, wide = (dict(found) for found in printed)
    learned, widely_learned = plain.pop("learned"), wide.pop("learned")
    assert plain == wide
    # Optax takes powers of Adam's decay rates in 64 bits where it may: what was learned differs by rounding alone.
    assert [dtype for dtype, _ in widely_learned] == ["float32"] * len(learned)
    np.testing.assert_allclose([size for _, size in learned], [size for _, size in widely_learned], rtol=1e-4, atol=1e-6)
