"""Running moments of observations, and the policy that sees by them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.agents.normalisation import FLOOR, LIMIT, NormalisedPolicy, normalised
from kinetix_ued.training import Run, build, preset, resume, train

TINY = preset("tiny-robust-plr", progress=False, normalise_observations=True)


@pytest.fixture(scope="module")
def parts():
    env = build.build_env(TINY)
    network = build.build_network(TINY, env)
    return env, network, jax.jit(network.init)(jax.random.key(0), env.observation_space())


def observations(env, seed, steps=3, batch=4):
    """Random ones (T, B, ...) of the environment's shapes; numbers of inactive rows are NaN."""
    rng = np.random.default_rng(seed)

    def draw(x):
        shape = (steps, batch, *x.shape)
        return rng.normal(3, 2, shape).astype(x.dtype) if x.dtype == jnp.float32 else rng.random(shape) < 0.5

    found = jax.tree.map(draw, env.observation_space())
    for name in ("circle", "polygon", "joint", "thruster"):
        getattr(found, name + "s")[~getattr(found, name + "_mask")] = np.nan
    return found


def test_moments_are_those_of_all_active_rows_so_far(parts):
    env, network, params = parts
    seen, weights = [observations(env, seed) for seed in (1, 2)], [np.ones((3, 4), bool), np.zeros((3, 4), bool)]
    weights[1][1:] = True
    absorb = jax.jit(network.absorb)
    after = params
    for observation, weight in zip(seen, weights, strict=True):
        after = absorb(after, observation, weight)
    for name in ("circle", "polygon", "joint", "thruster"):
        active = [getattr(o, name + "_mask") & w[..., None] for o, w in zip(seen, weights, strict=True)]
        rows = np.concatenate([getattr(o, name + "s")[mask] for o, mask in zip(seen, active, strict=True)])
        moments = after["moments"][name + "s"]
        assert moments.count == len(rows) > 10
        np.testing.assert_allclose(moments.mean, rows.mean(0), rtol=1e-5)
        np.testing.assert_allclose(moments.m2 / moments.count, rows.var(0), rtol=1e-4)
        shown = np.asarray(getattr(normalised(after["moments"], seen[0]), name + "s"))
        expected = np.clip((getattr(seen[0], name + "s") - rows.mean(0)) / np.sqrt(rows.var(0) + FLOOR), -LIMIT, LIMIT)
        np.testing.assert_allclose(shown, expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(normalised(after["moments"], seen[0]).circle_mask, seen[0].circle_mask)
    assert jax.tree.all(jax.tree.map(jnp.array_equal, after["network"], params["network"]))


def test_before_anything_is_learned_observations_are_as_they_are(parts):
    env, _, params = parts
    observation = observations(env, 1)
    np.testing.assert_array_equal(normalised(params["moments"], observation).circles, observation.circles)


def test_a_flat_observation_and_a_feature_that_never_changes():
    config = preset("tiny-robust-plr", observation="symbolic_flat", network="flat_mlp", normalise_observations=True)
    env = build.build_env(config)
    network = build.build_network(config, env)
    params = jax.jit(network.init)(jax.random.key(0), env.observation_space())
    observation = np.random.default_rng(0).normal(size=(5, 6, *env.observation_space().shape)).astype(np.float32)
    observation[..., 0] = 7.0
    after = network.absorb(params, observation, jnp.ones((5, 6), bool))
    shown = np.asarray(normalised(after["moments"], observation))
    np.testing.assert_allclose(shown[..., 0], 0, atol=1e-3)
    np.testing.assert_allclose(shown[..., 1:].std((0, 1)), 1, rtol=1e-3)


def test_a_run_keeps_its_moments_and_resumes_bit_for_bit(tmp_path):
    def cut(run, metrics):
        if run.updates == 6:
            raise RuntimeError("power cut")

    whole = train(preset("tiny-robust-plr", **TINY.to_dict() | {"out": str(tmp_path / "whole")}))
    with pytest.raises(RuntimeError, match="power cut"):
        train(preset("tiny-robust-plr", **TINY.to_dict() | {"out": str(tmp_path / "cut")}), callbacks=[cut])
    run = resume(tmp_path / "cut")
    same = lambda a, b: jax.tree.all(jax.tree.map(jnp.array_equal, a, b))
    assert same(run.policy.params, whole.policy.params)
    loaded = Run.load(tmp_path / "whole").policy
    assert isinstance(loaded.network, NormalisedPolicy) and same(loaded.params, whole.policy.params)
    assert loaded.params["moments"]["polygons"].count >= TINY.steps  # every scene has the room's polygons
    assert all(float(x.count) == 0 for x in run.initial_policy().params["moments"].values())


@pytest.mark.parametrize("observation, network", [("pixels", "cnn"), ("symbolic_flat_padded", "permutation_invariant")])
def test_an_observation_that_cannot_be_normalised_is_refused(tmp_path, observation, network):
    config = preset("tiny-robust-plr", **TINY.to_dict() | {"observation": observation, "network": network, "network_width": 0})
    with pytest.raises(ValueError, match=f"does not go with observation '{observation}': use one of entity"):
        train(preset("tiny-robust-plr", **config.to_dict() | {"out": str(tmp_path / "run")}))
    assert not (tmp_path / "run").exists()
