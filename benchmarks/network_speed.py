"""How near the actuator network comes to the speed of a plain matrix product: its FLOPs, by the time that they take."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from kinetix_ued.agents import Batch, Policy, make_policy, ppo_loss
from kinetix_ued.agents.ppo import CACHED
from kinetix_ued.environment import make_actions, make_observation
from kinetix_ued.generators import sample_levels
from kinetix_ued.randomness import purposes
from kinetix_ued.world import SIZES, start

from .report import machine, versions
from .timing import Program, check_settings, summary

SCHEMA = "kinetix-ued/network-speed"
SCHEMA_VERSION = 1

PRODUCT = (8192, 256, 128)
"""Rows, inputs and outputs of the matrix product that is the yardstick: wide enough for a core to reach its best."""

DTYPES = ("float32", "bfloat16")
"""Types in which a network can compute."""


@dataclasses.dataclass(frozen=True)
class NetworkSettings:
    """What is measured.

    Raises:
        ValueError: for an unknown size or type, a number below 1, or decisions that are no multiple of a microbatch.
    """

    sizes: tuple[str, ...] = tuple(SIZES)
    """Sizes of the levels."""
    dtypes: tuple[str, ...] = DTYPES
    """Types of the computation."""
    width: int = 64
    """Of the network, as in ``ActuatorEncoder``; the heads are those of the preset ``quick``."""
    decisions: int = 4096
    """Decisions of a minibatch, on as many random levels."""
    microbatch: int = CACHED
    """Decisions that are computed at once, as in ``ppo_update``."""
    repeats: int = 5
    """Rounds."""
    min_seconds: float = 0.5
    """Least length of each measurement in a round."""
    seed: int = 0
    """Of levels and parameters."""

    def __post_init__(self):
        check_settings(self, "width", "decisions", "microbatch", "repeats")
        for name, known in (("sizes", SIZES), ("dtypes", DTYPES)):
            if unknown := [value for value in getattr(self, name) if value not in known]:
                raise ValueError(f"{name} has {unknown[0]!r}: use {', '.join(known)}")
        if self.decisions % self.microbatch:
            raise ValueError(f"{self.decisions} decisions are no multiple of a microbatch of {self.microbatch}")


def measure_network(
    settings: NetworkSettings = NetworkSettings(), *, say: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """FLOP/s of the loss of PPO, with its gradient and without, beside those of a matrix product.

    Only FLOPs of dense layers count, two for each weight that a row meets: what else is computed, and what is computed
    twice, is time lost. On a CPU the clock is the CPU time of the process, whatever else the machine does.

    Args:
        settings: see ``NetworkSettings``.
        say: is told what goes on.

    Returns:
        A dict ready for JSON: ``rows``, one for each size and type, with the FLOPs of a decision (``flops``), FLOP/s
        (``rates``: of the product, forward, and both forward and backward) and ``ratios`` to the product in that type,
        each by round with its median.
    """
    rows = []
    for size in settings.sizes:
        for dtype in settings.dtypes:
            say(f"size {size}, {dtype}")
            rows.append({"size": size, "dtype": dtype, **_measured(settings, size, dtype)})
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "versions": versions(),
        "machine": machine(),
        "settings": dataclasses.asdict(settings) | {"product": PRODUCT},
        "rows": rows,
    }


def dense_flops(policy: Policy, observation: Any, key: jax.Array) -> dict[str, float]:
    """FLOPs of a decision in the dense layers: ``forward``, and ``both`` for what its gradient takes in all.

    A layer costs as much again for the gradient of its kernel and for that of its inputs. No gradient of features is
    needed: they are the inputs that are the same whatever the parameters.

    Args:
        policy: a feed-forward policy
        observation: of a few scenes (B, ...)
    """
    scenes = jax.tree.leaves(observation)[0].shape[0]

    def calls(key: jax.Array) -> list[tuple[jax.Array, int]]:
        found = []

        def note(call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], context: Any) -> Any:
            if isinstance(context.module, nn.Dense):
                found.append((args[0], context.module.features))
            return call(*args, **kwargs)

        params = policy.init(key, jax.tree.map(lambda x: x[0], observation))
        with nn.intercept_methods(note):
            policy.apply(params, (), observation, jnp.zeros(scenes, bool))
        return found

    flops = {"forward": 0.0, "both": 0.0}
    for (inputs, features), (others, _) in zip(*map(calls, jax.random.split(key)), strict=True):
        own = 2 * inputs.size * features / scenes
        flops["forward"] += own
        flops["both"] += own * (2 if (inputs == others).all() else 3)
    return flops


def _measured(settings: NetworkSettings, size: str, dtype: str) -> dict[str, Any]:
    keys = purposes(jax.random.key(settings.seed), "levels", "params", "product", "flops")
    options = {"head_depth": 2, "width": settings.width, "dtype": jnp.dtype(dtype)}
    policy = make_policy("actuator", "scene", make_actions("multi_discrete"), **options)
    levels = sample_levels(keys.levels, settings.decisions, size=size)
    observe = make_observation("scene", 64).observe
    scenes = jax.jit(jax.vmap(lambda level: observe(level, start(level), jnp.int32(0))))(levels)
    params = policy.init(keys.params, jax.tree.map(lambda x: x[0], scenes))
    flops = dense_flops(policy, jax.tree.map(lambda x: x[:8], scenes), keys.flops)
    work = {
        "product": 2.0 * PRODUCT[0] * PRODUCT[1] * PRODUCT[2],
        **{name: each * settings.decisions for name, each in flops.items()},
    }
    programs = {"product": _product(keys.product, dtype), **_passes(settings, policy, params, scenes)}
    for program in programs.values():
        jax.block_until_ready(program())
    rates: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(settings.repeats):
        for name, program in programs.items():
            rates[name].append(work[name] / _seconds(program, settings.min_seconds))
    ratios = {name: [own / plain for own, plain in zip(rates[name], rates["product"])] for name in flops}
    return {
        "flops": flops,
        "rates": {name: summary(numbers) for name, numbers in rates.items()},
        "ratios": {name: summary(numbers) for name, numbers in ratios.items()},
    }


def _product(key: jax.Array, dtype: str) -> Program:
    rows, inputs, outputs = PRODUCT
    one, other = jax.random.normal(key, (rows, inputs), dtype), jax.random.normal(key, (inputs, outputs), dtype)
    product = jax.jit(jnp.matmul)
    return lambda: product(one, other)


def _passes(settings: NetworkSettings, policy: Policy, params: Any, scenes: Any) -> dict[str, Program]:
    """The loss of a minibatch, and its gradient, summed over microbatches."""
    count = settings.decisions
    action = jnp.zeros((count, *policy.network.head.actions.shape), jnp.int32)
    numbers = jnp.linspace(-1.0, 1.0, count)
    batch = Batch(scenes, action, numbers - 5.0, numbers, numbers, jnp.zeros(count, bool), jnp.ones(count))
    parts = jax.tree.map(lambda x: x.reshape(-1, settings.microbatch, *x.shape[1:]), batch)
    loss = lambda params, part: ppo_loss(policy, params, part)[0]

    def summed(function: Callable[[Any, Batch], Any]) -> Program:
        def whole(params: Any, parts: Batch) -> Any:
            shapes = jax.eval_shape(function, params, jax.tree.map(lambda x: x[0], parts))
            nothing = jax.tree.map(jnp.zeros_like, shapes)
            add = lambda total, part: (jax.tree.map(jnp.add, total, function(params, part)), None)
            return jax.lax.scan(add, nothing, parts)[0]

        compiled = jax.jit(whole)
        return lambda: compiled(params, parts)

    return {"forward": summed(loss), "both": summed(jax.grad(loss))}


def _seconds(program: Program, least: float) -> float:
    """Seconds of a call, of CPU time where that computes, over as many calls as fill ``least`` seconds."""
    clock = time.process_time if jax.default_backend() == "cpu" else time.perf_counter
    began, calls = clock(), 0
    while calls == 0 or clock() - began < least:
        jax.block_until_ready(program())
        calls += 1
    return (clock() - began) / calls


def format_network(measured: dict[str, Any]) -> str:
    """The table for the terminal."""
    s, m = measured["settings"], measured["machine"]
    lines = [
        f"actuator network, width {s['width']}, {s['microbatch']} decisions at once; {m['device']} ({m['backend']}), "
        f"{m['cpu_cores']} CPU cores",
        f"{'':12}{'kFLOP a decision':>20}{'GFLOP/s':>38}{'share of the product':>26}",
        f"{'':12}{'forward':>10}{'both':>10}{'product':>12}{'forward':>12}{'both':>12}{'forward':>14}{'both':>10}",
    ]
    for row in measured["rows"]:
        flops = "".join(f"{row['flops'][name] / 1e3:10,.0f}" for name in ("forward", "both"))
        rates = "".join(f"{row['rates'][name]['median'] / 1e9:12,.1f}" for name in ("product", "forward", "both"))
        shares = f"{row['ratios']['forward']['median']:14.0%}{row['ratios']['both']['median']:10.0%}"
        lines.append(f"{row['size'].upper():2}{row['dtype']:10}{flops}{rates}{shares}")
    return "\n".join(lines)
