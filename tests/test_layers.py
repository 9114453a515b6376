"""Products, sums and maxima that are quick to differentiate give what the plain ones give."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.agents.layers import Dense, group_maxima, weighted_sums


def numbers(*shape):
    return jnp.asarray(np.random.default_rng(len(shape)).normal(size=shape), jnp.float32)


def assert_same_gradients(function, plain, *inputs):
    """Results of two functions, and their gradients by all inputs."""
    summed = lambda f: jax.value_and_grad(lambda *x: (f(*x) ** 2).sum(), argnums=tuple(range(len(inputs))))
    one, other = (jax.jit(summed(f))(*inputs) for f in (function, plain))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), one, other)


@pytest.mark.parametrize("width", [64, 20])  # rows that are lengthened for the kernel's gradient, and others
def test_a_dense_layer_is_a_product(width):
    layer = Dense(8)
    params = {"kernel": numbers(width, 8), "bias": numbers(8)}
    product = lambda params, x: x @ params["kernel"] + params["bias"]
    assert_same_gradients(lambda params, x: layer.apply({"params": params}, x), product, params, numbers(3, 5, width))


def test_weighted_sums_are_products():
    weights = numbers(6, 4, 3)
    plain = lambda rows: weights @ rows
    assert_same_gradients(lambda rows: weighted_sums(weights, rows), plain, numbers(2, 6, 3, 5)[0])


@pytest.mark.parametrize("scenes", [6, 3])  # computed by halves, and at once
def test_maxima_of_groups(scenes):
    groups = numbers(scenes, 7, 4) > 0
    plain = lambda rows: jnp.where(groups[..., None], rows[..., None, :], 0).max(-3)
    assert_same_gradients(lambda rows: group_maxima(groups, rows), plain, numbers(1, scenes, 7, 5)[0])
