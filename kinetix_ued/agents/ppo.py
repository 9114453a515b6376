"""Proximal policy optimisation (Schulman et al. 2017, arXiv:1707.06347): the loss, and epochs of minibatches."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from kinetix_ued.world import varying_like

from .imitation import Lesson, imitation_loss
from .policy import Carry, Params, Policy

Metrics = dict[str, jax.Array]

CACHED = 256
"""Transitions whose gradient is computed at once on a CPU. The layers' outputs for more of them do not fit its caches:
a network of 64 numbers a body then waits for memory most of the time. Fewer would each cost more calls."""


class TrainState(NamedTuple):
    """What an update changes.

    Attributes:
        params: of the policy's network
        opt_state: of the optimiser
        step: minibatches learnt from so far () int32
    """

    params: Params
    opt_state: Any
    step: jax.Array


class Batch(NamedTuple):
    """T steps of B environments to learn from.

    Attributes:
        observation: before each transition, each leaf (T, B, ...)
        action: (T, B, ...)
        log_prob: of the action, by the policy that took it (T, B)
        value: the critic's estimate then (T, B)
        advantage: see ``advantage.generalised_advantages`` (T, B)
        reset: the transition before this one ended its episode (T, B) bool
        weight: of each transition in all losses and metrics; 0 keeps it from the optimiser entirely, whatever
            numbers it holds, NaN included; anything that broadcasts to (T, B)
        carry: the policy's before the first step, (B, ...) or ()
        parts: parts of the action that can matter, and that ``log_prob`` counts (T, B, parts) bool; None: all
        lesson: what a teacher says about the same decisions, to imitate it; None without a teacher
    """

    observation: Any
    action: jax.Array
    log_prob: jax.Array
    value: jax.Array
    advantage: jax.Array
    reset: jax.Array
    weight: jax.Array | float = 1.0
    carry: Carry = ()
    parts: jax.Array | None = None
    lesson: Lesson | None = None


def make_optimiser(learning_rate: optax.ScalarOrSchedule, max_grad_norm: float = 1.0) -> optax.GradientTransformation:
    """Adam (epsilon 1e-5) on gradients clipped to a global norm."""
    return optax.chain(optax.clip_by_global_norm(max_grad_norm), optax.adam(learning_rate, eps=1e-5))


def init_train_state(params: Params, optimiser: optax.GradientTransformation) -> TrainState:
    """The state before the first update."""
    return TrainState(params, optimiser.init(params), jnp.int32(0))


def ppo_loss(
    policy: Policy,
    params: Params,
    batch: Batch,
    *,
    clip: float = 0.2,
    value_clipping: bool = True,
    value_coefficient: float = 0.5,
    entropy_coefficient: float = 0.01,
    imitating: jax.Array | bool = False,
) -> tuple[jax.Array, Metrics]:
    """The loss of a (mini)batch, and what it is made of. Advantages are normalised within the batch.

    A feed-forward policy takes any leading axes, a recurrent one (T, B). Where the batch has a lesson, metrics have
    ``imitation`` and ``agreement`` too, see ``imitation_loss``; they are NaN while the teacher is not imitated.

    Args:
        clip: how far the probability ratio may leave 1, and the value its old estimate, before gradients stop
        value_clipping: the value is clipped at all
        value_coefficient: weight of the value loss
        entropy_coefficient: weight of the entropy bonus
        imitating: imitate the teacher of ``batch.lesson`` instead of raising the returns; the value loss stays () bool
    """
    return _share_of_loss(
        policy,
        params,
        batch,
        _totals(batch),
        clip=clip,
        value_clipping=value_clipping,
        value_coefficient=value_coefficient,
        entropy_coefficient=entropy_coefficient,
        imitating=imitating,
    )


class _Totals(NamedTuple):
    """What the loss of each transition needs to know of its whole minibatch: scalars.

    Attributes:
        weight: sum of the weights
        mean: of the advantages
        deviation: likewise, the standard deviation
    """

    weight: jax.Array
    mean: jax.Array
    deviation: jax.Array


def _totals(batch: Batch) -> _Totals:
    """Totals of a minibatch, for which its fields ``log_prob``, ``advantage`` and ``weight`` are read."""
    weight = _weights(batch)
    advantage = jnp.where(weight > 0, batch.advantage, 0)
    total = jnp.maximum(weight.sum(), 1e-8)
    mean = (weight * advantage).sum() / total
    return _Totals(total, mean, jnp.sqrt((weight * (advantage - mean) ** 2).sum() / total))


def _share_of_loss(
    policy: Policy,
    params: Params,
    batch: Batch,
    totals: _Totals,
    *,
    clip: float,
    value_clipping: bool,
    value_coefficient: float,
    entropy_coefficient: float,
    imitating: jax.Array | bool,
) -> tuple[jax.Array, Metrics]:
    """What some transitions add to the loss and the metrics of the minibatch that has these totals."""
    weight = _weights(batch)
    batch = _without_unweighted(batch, _used(batch))
    mean = lambda x: (weight * x).sum() / totals.weight

    distribution, value = policy.unroll(params, batch.carry, batch.observation, batch.reset)
    log_ratio = distribution.log_prob(batch.action, batch.parts) - batch.log_prob
    ratio = jnp.exp(log_ratio)
    advantage = (batch.advantage - totals.mean) / (totals.deviation + 1e-8)
    policy_loss = -mean(jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - clip, 1 + clip) * advantage))

    target = batch.value + batch.advantage
    error = (value - target) ** 2
    if value_clipping:
        near_old = batch.value + jnp.clip(value - batch.value, -clip, clip)
        error = jnp.maximum(error, (near_old - target) ** 2)
    value_loss = 0.5 * mean(error)
    entropy = mean(distribution.entropy(batch.parts))
    loss = policy_loss + value_coefficient * value_loss - entropy_coefficient * entropy
    taught = {}
    if batch.lesson is not None:
        taught = imitation_loss(distribution, batch.lesson)
        loss = jnp.where(imitating, taught["imitation"] + value_coefficient * value_loss, loss)
        taught = {name: jnp.where(imitating, value, jnp.nan) for name, value in taught.items()}
    metrics = {
        "total": loss,
        "policy_loss": policy_loss,
        "value_loss": value_loss,
        "entropy": entropy,
        "approx_kl": mean(ratio - 1 - log_ratio),
        "clip_fraction": mean((jnp.abs(ratio - 1) > clip).astype(jnp.float32)),
        **taught,
    }
    return loss, metrics


def ppo_update(
    key: jax.Array,
    state: TrainState,
    batch: Batch,
    policy: Policy,
    optimiser: optax.GradientTransformation,
    *,
    epochs: int = 8,
    minibatches: int = 32,
    clip: float = 0.2,
    value_clipping: bool = True,
    value_coefficient: float = 0.5,
    entropy_coefficient: float = 0.01,
    imitating: jax.Array | bool = False,
    microbatch: int | None = None,
) -> tuple[TrainState, Metrics]:
    """The state after ``epochs`` passes over a batch, each in ``minibatches`` parts shuffled anew, and mean metrics.

    A feed-forward policy learns from shuffled transitions, a recurrent one from whole environments.

    Metrics: total (the loss), policy_loss, value_loss, entropy, approx_kl, clip_fraction, grad_norm (before clipping),
    and explained_variance: the share of the returns' variance that the old values explain. With a teacher also
    imitation and agreement, see ``ppo_loss``.

    Args:
        microbatch: transitions whose gradient a feed-forward policy computes at once, at most; a minibatch's gradient
            is the sum over these parts of it. None: as many as a CPU's caches hold, on other devices all of a minibatch

    Raises:
        ValueError: for minibatches that do not divide the transitions (the environments, where recurrent).
    """
    steps, environments = batch.log_prob.shape
    batch = batch._replace(weight=_weights(batch))
    if policy.recurrent:
        axis, count, what = 1, environments, "environments"
    else:
        axis, count, what = 0, steps * environments, "transitions"
    if minibatches < 1 or count % minibatches:
        raise ValueError(f"{minibatches} minibatches do not divide {count} {what}: choose a divisor of {count}")
    carry, data = batch.carry, batch._replace(carry=())
    if not policy.recurrent:
        data = jax.tree.map(lambda x: x.reshape(count, *x.shape[2:]), data)

    coefficients = {
        "clip": clip,
        "value_clipping": value_clipping,
        "value_coefficient": value_coefficient,
        "entropy_coefficient": entropy_coefficient,
        "imitating": imitating,
    }
    if microbatch is None:
        microbatch = CACHED if jax.default_backend() == "cpu" else count
    rows = count // minibatches
    # The loss of an imitation is a mean over the lessons of a whole minibatch.
    whole = policy.recurrent or batch.lesson is not None
    pieces = 1 if whole else _pieces(rows, microbatch)

    def gradient_of(params: Params, index: jax.Array, totals: _Totals) -> tuple[Params, Metrics]:
        # Gathered by index: a shuffled copy of all data would double the memory.
        part = jax.tree.map(lambda x: jnp.take(x, index, axis=axis), data)
        part = part._replace(carry=jax.tree.map(lambda x: x[index], carry))
        loss = lambda params: _share_of_loss(policy, params, part, totals, **coefficients)
        return jax.grad(loss, has_aux=True)(params)

    def minibatch(state: TrainState, index: jax.Array) -> tuple[TrainState, Metrics]:
        scalars = (data.log_prob, data.advantage, data.weight)
        log_prob, advantage, weight = (jnp.take(x, index, axis=axis) for x in scalars)
        totals = _totals(data._replace(log_prob=log_prob, advantage=advantage, weight=weight))
        if pieces == 1:
            gradient, metrics = gradient_of(state.params, index, totals)
        else:
            add = lambda total, index: (jax.tree.map(jnp.add, total, gradient_of(state.params, index, totals)), None)
            shapes = jax.eval_shape(gradient_of, state.params, index[: rows // pieces], totals)
            nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
            nothing = varying_like(nothing, state.params, data, index)
            (gradient, metrics), _ = jax.lax.scan(add, nothing, index.reshape(pieces, -1))
        updates, opt_state = optimiser.update(gradient, state.opt_state, state.params)
        metrics["grad_norm"] = optax.tree.norm(gradient)
        return TrainState(optax.apply_updates(state.params, updates), opt_state, state.step + 1), metrics

    def epoch(state: TrainState, key: jax.Array) -> tuple[TrainState, Metrics]:
        return jax.lax.scan(minibatch, state, jax.random.permutation(key, count).reshape(minibatches, -1))

    state, metrics = jax.lax.scan(epoch, state, jax.random.split(key, epochs))
    metrics = jax.tree.map(jnp.mean, metrics)
    metrics["explained_variance"] = _explained_variance(batch)
    return state, metrics


def _pieces(rows: int, most: int) -> int:
    """The least number of equal pieces of ``rows`` with at most ``most`` in each; 1 where that would make them tiny."""
    least = next(n for n in range(-(-rows // most), rows + 1) if rows % n == 0)
    return least if rows // least >= most // 4 else 1


def _weights(batch: Batch) -> jax.Array:
    return jnp.broadcast_to(batch.weight, batch.log_prob.shape).astype(jnp.float32)


def _used(batch: Batch) -> jax.Array:
    """Transitions that any part of the loss counts, bool."""
    own = jnp.broadcast_to(batch.weight, batch.log_prob.shape) > 0
    return own if batch.lesson is None else own | (batch.lesson.weight > 0)


def _without_unweighted(batch: Batch, keep: jax.Array) -> Batch:
    """``batch`` with zeros for all numbers of transitions not kept: NaN times a weight of zero would still be NaN."""

    def clean(x: jax.Array) -> jax.Array:
        return jnp.where(keep.reshape(keep.shape + (1,) * (x.ndim - keep.ndim)), x, jnp.zeros_like(x))

    cleaned = jax.tree.map(clean, batch._replace(weight=(), carry=(), reset=()))
    return cleaned._replace(weight=batch.weight, carry=batch.carry, reset=batch.reset)


def _explained_variance(batch: Batch) -> jax.Array:
    batch = _without_unweighted(batch, batch.weight > 0)
    mean = lambda x: (batch.weight * x).sum() / jnp.maximum(batch.weight.sum(), 1e-8)
    variance = lambda x: mean((x - mean(x)) ** 2)
    return 1 - variance(batch.advantage) / (variance(batch.value + batch.advantage) + 1e-8)
