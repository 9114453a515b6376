"""Pixel observations in the environment, and the network that reads them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.agents import make_policy
from kinetix_ued.benchmarks.rendering import RenderSettings, format_rendering, measure_rendering
from kinetix_ued.environment import make, make_actions
from kinetix_ued.environment.observations import Pixels, PixelsObservation
from kinetix_ued.levels import builder
from kinetix_ued.viewer import render
from kinetix_ued.world import SIZES, empty_level, start

MULTI_DISCRETE = make_actions("multi_discrete")


def falling_block():
    level, _ = builder.add_rectangle(empty_level("s"), (2.5, 3.0), 0.8, 0.8, role="green")
    return builder.set_gravity(level, -5.0)


def test_the_environment_shows_what_the_renderer_draws():
    env, level, key = make("s", observation="pixels"), falling_block(), jax.random.key(0)
    params = env.default_params
    space = env.observation_space(params)
    assert (space.image.shape, space.image.dtype) == ((125, 125, 3), jnp.float32)
    assert (space.gravity.shape, space.gravity.dtype) == ((1,), jnp.float32)

    @jax.jit
    def play(level):
        first, state = env.reset_to_level(key, level, params)
        act = lambda state, _: env.step_env(key, state, env.actions.noop(), params)[1::-1]
        last, seen = jax.lax.scan(act, state, None, length=10)
        return first, seen, last.world

    first, seen, world = play(level)
    np.testing.assert_allclose(first.image, render(level), atol=1e-6)
    np.testing.assert_allclose(seen.image[-1], render(level, world), atol=1e-6)
    np.testing.assert_allclose(first.gravity, [-0.5])
    lowest = [np.nonzero(image[62, 12:, 0] < 0.5)[0].min() for image in (first.image, seen.image[-1])]
    assert lowest[1] < lowest[0], "it falls"


def test_the_picture_of_a_broken_state_is_finite():
    level = falling_block()
    broken = jax.tree.map(lambda x: jnp.full_like(x, jnp.nan) if x.dtype == jnp.float32 else x, start(level))
    image = np.asarray(jax.jit(lambda: Pixels().observe(level, broken, jnp.int32(0)).image)())
    np.testing.assert_allclose(image, 1.0, atol=1e-6, err_msg="bodies nowhere leave the background")


def test_pixels_have_options():
    view = Pixels(pixels=20, supersample=2)
    assert view.space(SIZES["s"]).image.shape == (20, 20, 3)
    assert view == Pixels(20, 2) != Pixels(20) and hash(view) == hash(Pixels(20, 2))
    with pytest.raises(ValueError, match="pixels"):
        Pixels(pixels=0)


def random_pixels(seed, *batch, pixels=16):
    rng = np.random.default_rng(seed)
    return PixelsObservation(
        image=rng.random((*batch, pixels, pixels, 3), np.float32),
        gravity=rng.random((*batch, 1), np.float32),
    )


def test_the_default_network_is_as_large_as_the_references():
    policy = make_policy("cnn", "pixels", MULTI_DISCRETE)
    params = jax.eval_shape(policy.init, jax.random.key(0), Pixels().space(SIZES["s"]))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 2_243_265


@functools.cache
def small_policy(**options):
    return make_policy("cnn", "pixels", MULTI_DISCRETE, head_width=16, head_depth=1, features=(3, 4), **options)


@functools.cache
def params_of(policy):
    return jax.jit(policy.init)(jax.random.key(0), jax.tree.map(lambda x: x[0], random_pixels(0, 1)))


def test_a_rollout_is_its_steps():
    policy = small_policy()
    params, observations = params_of(policy), random_pixels(1, 3, 2)
    resets, carry = jnp.zeros((3, 2), bool), policy.initial_carry(2)
    distribution, values = jax.jit(policy.unroll)(params, carry, observations, resets)
    step = jax.jit(policy.apply)
    assert values.shape == (3, 2)
    for t in range(3):
        carry, now, value = step(params, carry, jax.tree.map(lambda x, t=t: x[t], observations), resets[t])
        np.testing.assert_allclose(values[t], value, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(distribution.logits[t], now.logits, rtol=1e-4, atol=1e-5)


def test_picture_and_gravity_are_both_read():
    policy = small_policy()
    params, seen, resets = params_of(policy), random_pixels(2, 4), jnp.zeros(4, bool)
    value = jax.jit(lambda observation: policy.apply(params, (), observation, resets)[2])
    before = value(seen)
    for other in (seen.replace(gravity=seen.gravity + 1), seen.replace(image=1 - seen.image)):
        assert np.abs(value(other) - before).min() > 1e-4


@pytest.mark.parametrize("dtype", [None, jnp.bfloat16])
def test_the_gradient_is_finite_and_reaches_every_weight(dtype):
    policy = small_policy(dtype=dtype)
    params, seen, resets = params_of(policy), random_pixels(3, 2, 4), jnp.zeros((2, 4), bool)

    def loss(params):
        distribution, values = policy.unroll(params, (), seen, resets)
        actions = jnp.zeros((2, 4, *MULTI_DISCRETE.shape), MULTI_DISCRETE.dtype)
        assert values.dtype == jnp.float32
        return -distribution.log_prob(actions).mean() + ((values - 1.0) ** 2).mean()

    for leaf in jax.tree.leaves(jax.jit(jax.grad(loss))(params)):
        assert leaf.dtype == jnp.float32 and np.isfinite(leaf).all() and np.abs(leaf).max() > 0


def test_rendering_is_measured_and_printed():
    settings = RenderSettings(batch=3, pixels=25, repeats=2, min_seconds=0.0)
    measured = measure_rendering(settings)
    (side,) = measured["results"][0]["sides"]
    assert len(side["rounds"]) == 2 and side["median"] > 0
    assert "25 pixels" in format_rendering(measured)
    with pytest.raises(ValueError, match="125"):
        measure_rendering(settings, reference=True)
    for wrong in ({"size": "xl"}, {"batch": 0}, {"pixels": 0}, {"repeats": 0}, {"min_seconds": -1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            RenderSettings(**wrong)
