"""The loss of imitation against plain loops and closed forms, and its place in PPO's."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.agents import (
    Batch,
    Categorical,
    DiagonalGaussian,
    Lesson,
    MultiCategorical,
    imitation_loss,
    make_policy,
    ppo_loss,
)

HEADS = (3, 2, 4)


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape) * 2


def softmax(logits):
    p = np.exp(np.asarray(logits, np.float64))
    return p / p.sum()


def split(logits):
    return np.split(np.asarray(logits), np.cumsum(HEADS)[:-1], axis=-1)


def test_the_loss_against_a_loop():
    teacher, student = normal(0, 5, 7, sum(HEADS)), normal(1, 5, 7, sum(HEADS))
    parts = jax.random.bernoulli(jax.random.key(2), 0.6, (5, 7, 3))
    weight = jax.random.bernoulli(jax.random.key(3), 0.7, (5, 7)).astype(jnp.float32)
    lesson = Lesson(MultiCategorical(teacher, HEADS), parts, weight, weight > 0)
    found = jax.jit(imitation_loss)(MultiCategorical(student, HEADS), lesson)
    total = same = count = 0.0
    for t, b in np.ndindex(5, 7):
        for head, (p, q) in enumerate(zip(split(teacher[t, b]), split(student[t, b]))):
            if weight[t, b] and parts[t, b, head]:
                p, q = softmax(p), softmax(q)
                total += (p * np.log(p / q)).sum()
                same, count = same + (p.argmax() == q.argmax()), count + 1
    np.testing.assert_allclose(found["imitation"], total / float(weight.sum()), rtol=1e-5)
    np.testing.assert_allclose(found["agreement"], same / count, rtol=1e-6)
    alike = imitation_loss(MultiCategorical(teacher + 3.0, HEADS), lesson)
    assert abs(alike["imitation"]) < 1e-5 and alike["agreement"] == 1


def test_a_certain_teacher_makes_it_cross_entropy():
    student, action = normal(0, 6, 4), jnp.array([0, 1, 2, 3, 1, 1])
    certain = Categorical(jnp.where(jnp.arange(4) == action[:, None], 0.0, -1e9))
    lesson = Lesson(certain, None, jnp.ones(6), jnp.ones(6, bool))
    loss = lambda logits: imitation_loss(Categorical(logits), lesson)["imitation"]
    np.testing.assert_allclose(loss(student), -Categorical(student).log_prob(action).mean(), rtol=1e-6)
    chosen = jax.nn.one_hot(action, 4)
    np.testing.assert_allclose(jax.grad(loss)(student), (jax.nn.softmax(student) - chosen) / 6, atol=1e-6)


def test_gaussians_against_an_integral():
    one = DiagonalGaussian(jnp.array([[0.3, -1.0]]), jnp.array([[-0.2, 0.4]]))
    other = DiagonalGaussian(jnp.array([[0.5, 0.2]]), jnp.array([[0.1, -0.3]]))
    x = np.linspace(-12, 12, 20001)
    expected = []
    for d in range(2):
        log = lambda g: (
            -0.5 * ((x - float(g.mean[0, d])) / np.exp(float(g.log_std[0, d]))) ** 2 - float(g.log_std[0, d])
        )
        p = np.exp(log(one)) / np.sqrt(2 * np.pi)
        expected.append((p * (log(one) - log(other))).sum() * (x[1] - x[0]))
    np.testing.assert_allclose(one.divergence(other), [sum(expected)], rtol=1e-4)
    np.testing.assert_allclose(one.divergence(other, jnp.array([[False, True]])), [expected[1]], rtol=1e-4)
    lesson = Lesson(one, None, jnp.ones(1), jnp.ones(1, bool))
    near = DiagonalGaussian(one.mean + jnp.array([0.05, 0.5]), one.log_std)
    assert imitation_loss(near, lesson)["agreement"] == 0.5


def test_an_average_is_the_mixture():
    logits, weight = normal(0, 3, 5, sum(HEADS)), jnp.array([[1.0] * 5, [1, 1, 0, 0, 1], [1, 0, 0, 1, 0]])
    found = MultiCategorical(logits, HEADS).average(weight)
    for b in range(5):
        for head in range(3):
            mean = np.average([softmax(split(logits[n, b])[head]) for n in range(3)], axis=0, weights=weight[:, b])
            np.testing.assert_allclose(softmax(split(found.logits[b])[head]), mean, rtol=1e-5)
    single = Categorical(normal(1, 3, 5, 4)).average(weight)
    assert single.logits.shape == (5, 4) and np.isfinite(single.logits).all()
    gaussian = DiagonalGaussian(jnp.array([[[1.0]], [[3.0]]]), jnp.zeros((2, 1, 1))).average(jnp.ones((2, 1)))
    np.testing.assert_allclose([gaussian.mean[0, 0], jnp.exp(2 * gaussian.log_std)[0, 0]], [2.0, 1.0 + 1.0], rtol=1e-6)


@pytest.mark.parametrize("imitating", [True, False])
def test_ppo_imitates_or_learns_by_itself(imitating):
    actions = SimpleNamespace(name="multi_discrete", heads=HEADS)
    policy = make_policy("flat_mlp", "symbolic_flat", actions, head_width=8, head_depth=1, width=8)
    observation, action = normal(0, 4, 6, 5), jnp.zeros((4, 6, 3), jnp.int32)
    params = policy.init(jax.random.key(1), observation[0, 0])
    own = jnp.arange(24).reshape(4, 6) % 3 > 0
    batch = Batch(
        observation, action, log_prob=normal(2, 4, 6), value=normal(3, 4, 6), advantage=normal(4, 4, 6),
        reset=jnp.zeros((4, 6), bool), weight=own,
    )  # fmt: skip
    teacher = MultiCategorical(normal(5, 4, 6, sum(HEADS)), HEADS)
    lesson = Lesson(teacher, None, jnp.ones((4, 6)), own)
    loss = jax.value_and_grad(
        lambda params, batch: ppo_loss(policy, params, batch, imitating=jnp.array(imitating)), has_aux=True
    )
    (total, metrics), gradient = loss(params, batch._replace(lesson=lesson))
    (alone, before), _ = loss(params, batch)
    assert all(metrics[name] == value for name, value in before.items() if name != "total")
    distribution, _ = policy.unroll(params, (), observation, batch.reset)
    expected = imitation_loss(distribution, lesson)
    if imitating:
        np.testing.assert_allclose(total, expected["imitation"] + 0.5 * before["value_loss"], rtol=1e-6)
        np.testing.assert_allclose(metrics["agreement"], expected["agreement"], rtol=1e-6)
    else:
        assert total == alone and np.isnan(metrics["imitation"])
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(gradient))
