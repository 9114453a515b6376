"""JaxUED over this package's environment: its wrapper and its level sampler drive it, and nothing imports it here."""

import inspect
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kinetix_ued
from kinetix_ued.environment import AutoReplay, AutoReset
from kinetix_ued.environment.underspecified import UnderspecifiedEnv
from kinetix_ued.generators import sample_levels

BATCH, STEPS = 4, 6


@pytest.fixture
def old_jax(monkeypatch):
    """jaxued 0.0.1 uses jax.tree_map and an argument of softmax, which current JAX has removed."""
    softmax = jax.nn.softmax
    monkeypatch.setattr(jax, "tree_map", jax.tree.map, raising=False)
    monkeypatch.setattr(jax.nn, "softmax", lambda x, axis=-1, where=None, initial=None: softmax(x, axis, where=where))


def test_the_package_is_imported_without_jaxued():
    """Nor with what JaxUED brings: all of the package, and its environment as it is used."""
    code = (
        "import sys, kinetix_ued\n"
        "for name in kinetix_ued.__all__: getattr(kinetix_ued, name)\n"
        "import kinetix_ued.training.loop, kinetix_ued.commands.train\n"
        "env = kinetix_ued.make()\n"
        "found = {'jaxued', 'gymnax', 'pandas', 'seaborn', 'scipy', 'chex'} & set(sys.modules)\n"
        "print(*sorted(found))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"jaxued", "gymnax", "pandas", "seaborn"} & set(done.stdout.split()), done.stdout


def test_the_base_class_has_jaxueds_methods_and_signatures():
    from jaxued.environments import UnderspecifiedEnv as Theirs

    names = [name for name in vars(Theirs) if not name.startswith("_")]
    assert sorted(names) == sorted(name for name in vars(UnderspecifiedEnv) if not name.startswith("_"))
    for name in names:
        if name == "default_params":
            assert isinstance(vars(UnderspecifiedEnv)[name], property)
            continue
        ours, theirs = (inspect.signature(getattr(cls, name)).parameters for cls in (UnderspecifiedEnv, Theirs))
        assert [(p.name, p.kind, p.default) for p in ours.values()] == [
            (p.name, p.kind, p.default) for p in theirs.values()
        ]
    env = kinetix_ued.make()
    for made in (env, AutoReplay(env), AutoReset(env, lambda key: None)):
        for name in names:
            assert (
                name == "default_params"
                or len(inspect.signature(getattr(made, name)).parameters)
                == len(inspect.signature(getattr(Theirs, name)).parameters) - 1
            )


def test_jaxueds_sampler_and_wrapper_drive_the_environment(old_jax):
    """A whole loop of prioritised level replay, all of it JaxUED's but the environment and the levels."""
    from jaxued.level_sampler import LevelSampler
    from jaxued.wrappers import AutoReplayWrapper

    env = AutoReplayWrapper(kinetix_ued.make(size="s", engine="jax", observation="symbolic_flat", max_steps=3))
    params, actions = env.default_params, env.action_space(env.default_params)
    levels = sample_levels(jax.random.key(0), BATCH, "s", generator="sparse")
    sampler = LevelSampler(capacity=8, prioritization="rank", duplicate_check=True)
    one = jax.tree.map(lambda x: x[0], levels)

    @jax.jit
    def play(key, levels):
        key_reset, key = jax.random.split(key)
        _, state = jax.vmap(env.reset_to_level, (0, 0, None))(jax.random.split(key_reset, BATCH), levels, params)

        def step(state, key):
            key_act, key_step = jax.random.split(key)
            action = jax.vmap(actions.sample)(jax.random.split(key_act, BATCH))
            seen, state, reward, done, _ = jax.vmap(env.step, (0, 0, 0, None))(
                jax.random.split(key_step, BATCH), state, action, params
            )
            return state, (seen, reward, done)

        return jax.lax.scan(step, state, jax.random.split(key, STEPS))[1]

    seen, reward, done = play(jax.random.key(1), levels)
    assert seen.shape[:2] == (STEPS, BATCH) and np.isfinite(seen).all()
    assert np.asarray(done).any(axis=0).all(), "an episode lasts three steps at most, and the next one follows"
    scores = jnp.abs(reward).sum(axis=0) + jnp.arange(BATCH)
    held, slots = sampler.insert_batch(sampler.initialize(one), levels, scores)
    assert int(held["size"]) == BATCH
    again, _ = sampler.insert_batch(held, levels, scores)
    assert int(again["size"]) == BATCH, "equal levels are one level to JaxUED too"
    held, (slots, replayed) = sampler.sample_replay_levels(held, jax.random.key(2), BATCH)
    seen, _, _ = play(jax.random.key(3), replayed)
    assert np.isfinite(seen).all()
    for found, kept in zip(jax.tree.leaves(replayed), jax.tree.leaves(levels)):
        np.testing.assert_array_equal(found, np.asarray(kept)[np.asarray(slots)])
