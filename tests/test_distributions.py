"""Action distributions against closed forms."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.agents import Categorical, DiagonalGaussian, MultiCategorical
from kinetix_ued.agents.distributions import distribution_of, outputs_of

HEADS = (3, 2, 4)


def test_categorical_against_its_probabilities():
    p = jnp.array([[0.5, 0.25, 0.25], [0.1, 0.9, 0.0]])
    distribution = Categorical(jnp.log(p + 1e-30) + 7.0)  # logits need no normalisation
    np.testing.assert_allclose(jnp.exp(distribution.log_prob(jnp.array([1, 0]))), [0.25, 0.1], rtol=1e-5)
    expected = [1.5 * np.log(2), -0.1 * np.log(0.1) - 0.9 * np.log(0.9)]
    np.testing.assert_allclose(distribution.entropy(), expected, rtol=1e-5)
    np.testing.assert_array_equal(distribution.mode(), [0, 1])
    samples = jax.vmap(distribution.sample)(jax.random.split(jax.random.key(0), 20_000))
    assert samples.shape == (20_000, 2) and samples.dtype == jnp.int32
    frequency = (np.array(samples)[..., None] == np.arange(3)).mean(0)
    np.testing.assert_allclose(frequency, p, atol=0.015)


def test_multi_categorical_is_independent_categoricals():
    logits = jax.random.normal(jax.random.key(0), (5, sum(HEADS))) * 2
    distribution = MultiCategorical(logits, HEADS)
    parts = [Categorical(part) for part in jnp.split(logits, np.cumsum(HEADS)[:-1], axis=-1)]
    actions = jnp.array([[2, 1, 3], [0, 0, 0], [1, 1, 1], [2, 0, 2], [0, 1, 3]])
    expected = sum(part.log_prob(actions[:, i]) for i, part in enumerate(parts))
    np.testing.assert_allclose(distribution.log_prob(actions), expected, rtol=1e-5)
    np.testing.assert_allclose(distribution.entropy(), sum(part.entropy() for part in parts), rtol=1e-5)
    np.testing.assert_array_equal(distribution.mode(), jnp.stack([part.mode() for part in parts], axis=-1))

    samples = np.array(jax.vmap(distribution.sample)(jax.random.split(jax.random.key(1), 20_000)))
    assert samples.shape == (20_000, 5, 3) and samples.dtype == np.int32
    for i, part in enumerate(parts):
        frequency = (samples[:, :, i, None] == np.arange(HEADS[i])).mean(0)
        np.testing.assert_allclose(frequency, jax.nn.softmax(part.logits), atol=0.015)
    np.testing.assert_allclose(np.corrcoef(samples[:, 0].T) - np.eye(3), 0, atol=0.03)


def test_multi_categorical_gradients_are_finite_for_extreme_logits():
    logits = jnp.array([80.0, -80.0, 0.0, 50.0, -50.0, 0.0, 0.0, 0.0, 90.0])

    def loss(logits):
        distribution = MultiCategorical(logits, HEADS)
        return distribution.entropy() + distribution.log_prob(jnp.array([1, 1, 0]))

    assert np.isfinite(loss(logits)) and np.isfinite(jax.grad(loss)(logits)).all()


def test_gaussian_against_scipy():
    mean, log_std = jnp.array([[0.0, 1.0], [2.0, -1.0]]), jnp.array([0.3, -0.7])
    distribution = distribution_of(SimpleNamespace(heads=(), shape=(2,)), mean, log_std)
    assert isinstance(distribution, DiagonalGaussian)
    actions = jnp.array([[0.5, 3.0], [2.0, -1.5]])
    expected = jax.scipy.stats.norm.logpdf(actions, mean, jnp.exp(log_std)).sum(-1)
    np.testing.assert_allclose(distribution.log_prob(actions), expected, rtol=1e-5)
    expected = (0.5 * np.log(2 * np.pi * np.e * np.exp(2 * np.array(log_std)))).sum()
    np.testing.assert_allclose(distribution.entropy(), [expected, expected], rtol=1e-5)
    np.testing.assert_array_equal(distribution.mode(), mean)
    samples = jax.vmap(distribution.sample)(jax.random.split(jax.random.key(0), 20_000))
    np.testing.assert_allclose(samples.mean(0), mean, atol=0.03)
    np.testing.assert_allclose(samples.std(0), jnp.broadcast_to(jnp.exp(log_std), (2, 2)), rtol=0.03)


def test_distributions_pass_through_transformations():
    distribution = MultiCategorical(jnp.zeros((4, sum(HEADS))), HEADS)
    taken = jax.jit(lambda d: jax.tree.map(lambda x: x[:2], d))(distribution)
    assert taken.heads == HEADS and taken.entropy().shape == (2,)
    np.testing.assert_allclose(taken.entropy(), np.log(np.prod(HEADS)), rtol=1e-5)


def test_actions_decide_the_distribution():
    assert outputs_of(SimpleNamespace(heads=(11,))) == 11
    assert isinstance(distribution_of(SimpleNamespace(heads=(11,)), jnp.zeros(11), None), Categorical)
    assert outputs_of(SimpleNamespace(heads=HEADS)) == 9
    assert isinstance(distribution_of(SimpleNamespace(heads=HEADS), jnp.zeros(9), None), MultiCategorical)
    assert outputs_of(SimpleNamespace(heads=(), shape=(6,))) == 6
    with pytest.raises(ValueError, match="needs heads, as"):
        outputs_of(SimpleNamespace(heads=(), shape=()))


def test_parts_left_out_count_for_nothing():
    logits = jax.random.normal(jax.random.key(3), (4, sum(HEADS)))
    actions = jnp.array([[2, 1, 3], [0, 0, 0], [1, 1, 1], [2, 0, 2]])
    whole = MultiCategorical(logits, HEADS)
    parts = jnp.array([[True, True, True], [False, False, False], [True, False, True], [False, True, False]])
    heads = [Categorical(part) for part in jnp.split(logits, np.cumsum(HEADS)[:-1], axis=-1)]
    log_probs = jnp.stack([head.log_prob(actions[:, i]) for i, head in enumerate(heads)], -1)
    entropies = jnp.stack([head.entropy() for head in heads], -1)
    np.testing.assert_allclose(whole.log_prob(actions, parts), (log_probs * parts).sum(-1), rtol=1e-5)
    np.testing.assert_allclose(whole.entropy(parts), (entropies * parts).sum(-1), rtol=1e-5)
    np.testing.assert_allclose(whole.log_prob(actions, parts)[0], whole.log_prob(actions)[0], rtol=1e-6)
    gaussian = DiagonalGaussian(jnp.zeros((4, 3)), jnp.zeros((4, 3)))
    assert gaussian.log_prob(jnp.ones((4, 3)), parts)[1] == 0
