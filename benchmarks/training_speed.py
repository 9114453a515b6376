"""How fast training is, where its time goes and what memory it takes: whole PPO updates, and their parts alone."""

from __future__ import annotations

import dataclasses
import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from kinetix_ued.curricula import LevelBuffer, domain_randomisation
from kinetix_ued.generators import sampler
from kinetix_ued.randomness import purposes
from kinetix_ued.training import TrainConfig, preset, validate
from kinetix_ued.training.build import build_env, build_learner, build_network
from kinetix_ued.training.rollout import rollout
from kinetix_ued.training.update import make_update
from kinetix_ued.world import empty_level

from .report import machine, versions

SCHEMA = "kinetix-ued/training-speed"
SCHEMA_VERSION = 1

NOTHING = 1e-12
"""Times the step's number is added to what a part is timed on, so that no step is computed once for all."""


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """What is measured.

    Raises:
        ValueError: for a configuration that cannot run, or a number below 1.
    """

    preset: str = "kinetix-s"
    """Agent and hyperparameters; levels are drawn without filters, under domain randomisation."""
    environments: int = 256
    """Environments side by side; the reference's runs have 2048."""
    rollout_steps: int = 64
    """Steps of each in an update."""
    engine: str = "auto"
    """Physics engine: auto, warp or jax."""
    repeats: int = 3
    """Updates, and rounds of each part."""
    seed: int = 0
    """Of everything random."""

    def __post_init__(self):
        if self.repeats < 1:
            raise ValueError(f"repeats must be at least 1; got {self.repeats}")
        validate(self.config)

    @property
    def config(self) -> TrainConfig:
        """The configuration of the run that is timed."""
        steps = self.environments * self.rollout_steps
        changes = {"environments": self.environments, "rollout_steps": self.rollout_steps, "outer_steps": 1}
        changes |= {"curriculum": "dr", "filters": "", "engine": self.engine, "seed": self.seed}
        whole = self.environments if preset(self.preset).recurrent else steps
        minibatches = max(n for n in range(1, preset(self.preset).minibatches + 1) if whole % n == 0)
        return preset(self.preset, **changes, minibatches=minibatches, steps=steps * (self.repeats + 1))


def measure_training(
    settings: TrainingSettings = TrainingSettings(), *, say: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Environment steps a second of whole updates; seconds of each part of one; memory.

    Args:
        settings: see ``TrainingSettings``.
        say: is told what goes on.

    Returns:
        A dict ready for JSON: ``update`` and ``parts`` (physics, observation, forward: alone, for as many steps as an update
        has; rollout: all three together; learning: all epochs, and of it the passes forward and backward, by one epoch) in seconds, medians; ``memory``: bytes an update holds for
        each environment, by the compiler's count, and of a slot of a level buffer.
    """
    config = settings.config
    env, sample = build_env(config), sampler(config.generator, config.size)
    network = build_network(config, env)
    learner = build_learner(config, env, network)
    init, update = make_update(config, env, network, learner, domain_randomisation(sample, config.environments))
    say("compiling the update")
    state = jax.jit(init)(jax.random.key(config.seed))
    compiled = jax.jit(update, donate_argnums=0).lower(state).compile()
    memory = compiled.memory_analysis()
    seconds = []
    for turn in range(settings.repeats + 1):
        say(f"update {turn} of {settings.repeats}")
        began = time.perf_counter()
        state, numbers = compiled(state)
        jax.block_until_ready((state, numbers))
        seconds.append(time.perf_counter() - began)
    whole = statistics.median(seconds[1:])
    parts = {}
    for name, program in _parts(config, env, network, learner, state).items():
        say(f"part: {name}")
        parts[name] = _median_seconds(program, settings.repeats)
    say("part: learning, forward and backward")
    one = {name: _median_seconds(run, settings.repeats) for name, run in _passes(config, env, network, state).items()}
    parts["learning, forward"] = config.epochs * one["forward"]
    parts["learning, backward"] = config.epochs * (one["both"] - one["forward"])
    level = empty_level(config.size)
    slot = jax.eval_shape(LevelBuffer(capacity=1).init, level)
    nbytes = lambda tree: sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
    held = None
    if memory is not None:
        held = memory.argument_size_in_bytes + memory.temp_size_in_bytes
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "versions": versions(),
        "machine": machine(),
        "settings": dataclasses.asdict(settings) | {"engine": env.engine, "minibatches": config.minibatches},
        "config": config.to_dict(),
        "update": {"seconds": whole, "steps_per_second": config.update_steps / whole},
        "parts": parts,
        "memory": {
            "bytes_per_environment": None if held is None else held / config.environments,
            "bytes_per_buffer_slot": nbytes(slot),
        },
    }


def _parts(config: TrainConfig, env: Any, network: Any, learner: Any, state: Any) -> dict[str, Callable[[], Any]]:
    """Programs that compute one part of an update each, for all its steps."""
    steps, batch, params = config.rollout_steps, config.environments, env.default_params
    keys = purposes(jax.random.key(1), "actions", "rollout", "learning")
    scenes, carry = state.players.state, state.players.carry
    actions = jax.jit(jax.vmap(jax.vmap(env.actions.sample)))(jax.random.split(keys.actions, (steps, batch)))
    observe = jax.vmap(env.observe)
    resets = jnp.zeros(batch, bool)
    nudged = lambda tree, i: jax.tree.map(lambda x: x + NOTHING * i if x.dtype == jnp.float32 else x, tree)

    def many(body: Callable[[jax.Array], Any]) -> Any:
        """``body(i)`` for each step, reduced to a number so that nothing piles up and nothing is left out."""
        total = lambda tree: sum(jnp.sum(leaf.astype(jnp.float32)) for leaf in jax.tree.leaves(tree))
        return jax.lax.scan(lambda s, i: (s + total(body(i)), None), 0.0, jnp.arange(steps, dtype=jnp.float32))[0]

    @jax.jit
    def physics(scenes, actions):
        act = jax.vmap(env.advance, in_axes=(0, 0, None))
        return jax.lax.scan(lambda s, a: (act(s, a, params)[0], None), scenes, actions)[0]

    @jax.jit
    def observation(scenes):
        return many(lambda i: observe(scenes.replace(world=nudged(scenes.world, i))))

    @jax.jit
    def forward(weights, seen):
        return many(lambda i: network.apply(weights, carry, nudged(seen, i), resets)[2])

    play = functools.partial(rollout, env, params, network)

    @jax.jit
    def together(weights, key, players):
        repeat = jnp.array(False)
        return play(weights, key, players, players.state, repeat, steps)

    learn = jax.jit(learner.learn)
    seen = jax.jit(observe)(scenes)
    _, trajectory, last_value, _ = together(state.agent.params, keys.rollout, state.players)
    weight = jnp.ones((steps, batch), bool)
    return {
        "physics": lambda: physics(scenes, actions),
        "observation": lambda: observation(scenes),
        "forward": lambda: forward(state.agent.params, seen),
        "rollout": lambda: together(state.agent.params, keys.rollout, state.players),
        "learning": lambda: learn(keys.learning, state.agent, trajectory, last_value, carry, weight),
    }


def _passes(config: TrainConfig, env: Any, network: Any, state: Any) -> dict[str, Callable[[], Any]]:
    """One epoch of learning, its minibatches one after the other: forward alone, and forward with gradients."""
    steps, batch, count = config.rollout_steps, config.environments, config.minibatches
    observation = jax.jit(jax.vmap(env.observe))(state.players.state)
    # A recurrent agent's minibatches hold whole environments, others' any transitions.
    leading = (steps, batch // count) if config.recurrent else (steps * batch // count,)
    rows = jnp.arange(batch).reshape(count, -1) if config.recurrent else jnp.arange(steps * batch).reshape(count, -1) % batch
    resets = jnp.zeros(leading, bool)

    def loss(weights: Any, which: jax.Array) -> jax.Array:
        take = lambda x: jnp.broadcast_to(x[which], (*leading, *x.shape[1:]))
        carry = jax.tree.map(lambda x: x[which], state.players.carry)
        distribution, value = network.unroll(weights, carry, jax.tree.map(take, observation), resets)
        return value.mean() + distribution.entropy(None).mean()

    def epoch(of: Callable[[Any, jax.Array], Any]) -> Callable[[], Any]:
        total = lambda tree: sum(leaf.sum() for leaf in jax.tree.leaves(tree))
        whole = jax.jit(lambda weights: jax.lax.scan(lambda s, r: (s + total(of(weights, r)), None), 0.0, rows)[0])
        return lambda: whole(state.agent.params)

    return {"forward": epoch(loss), "both": epoch(jax.grad(loss))}


def _median_seconds(program: Callable[[], Any], repeats: int) -> float:
    """Seconds of a call, without the first, which compiles."""
    seconds = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        jax.block_until_ready(program())
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


def format_training(measured: dict[str, Any]) -> str:
    """The table for the terminal."""
    s, m, c = measured["settings"], measured["machine"], measured["config"]
    whole = measured["update"]["seconds"]
    lines = [
        f"{c['network']} on {c['observation']}, size {c['size']}, {s['environments']} environments x {s['rollout_steps']} steps, "
        f"{c['epochs']} epochs of {s['minibatches']} minibatches, engine {s['engine']}; {m['device']} ({m['backend']}), "
        f"{m['cpu_cores']} CPU cores",
        f"whole update        {whole:9.3f} s   {measured['update']['steps_per_second']:,.0f} environment steps/s",
    ]
    lines += [f"{name:18}  {seconds:9.3f} s   {seconds / whole:6.1%}" for name, seconds in measured["parts"].items()]
    held = measured["memory"]["bytes_per_environment"]
    lines.append(
        f"memory: {'unknown' if held is None else f'{held / 1024:,.0f} KiB'} for each environment, "
        f"{measured['memory']['bytes_per_buffer_slot'] / 1024:.1f} KiB for each slot of a level buffer"
    )
    return "\n".join(lines)
