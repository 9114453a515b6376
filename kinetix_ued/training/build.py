"""From a configuration to the parts that it names."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from typing import Any

import jax

from kinetix_ued.agents import (
    NETWORKS,
    Batch,
    Policy,
    TrainState,
    init_train_state,
    make_network,
    make_optimiser,
    ppo_update,
)
from kinetix_ued.agents.advantage import generalised_advantages
from kinetix_ued.agents.normalisation import NORMALISABLE, NormalisedPolicy
from kinetix_ued.curricula import Curriculum, Sampler, curriculum_options, make_curriculum
from kinetix_ued.environment import KinetixEnv, make
from kinetix_ued.generators import (
    DRAW_RATIO,
    GENERATORS,
    Generator,
    ListedLevels,
    excluding,
    filtered,
    hash_array,
    listed_levels,
    make_filter,
    refuse_held_out,
    sampler,
)
from kinetix_ued.user_code import UserFunction, check_call, load_function, names_a_file, refuse
from kinetix_ued.world import get_engine

from .config import TrainConfig, refuse_small_buffer
from .rollout import Trajectory
from .schedule import SCHEDULES
from .update import Learner


def environment_settings(config: TrainConfig) -> dict[str, Any]:
    """The arguments of ``kinetix_ued.make`` for the environment with the rules that the agent is scored by."""
    names = "size observation actions engine physics frame_skip dense_reward_scale max_steps".split()
    return {name: getattr(config, name) for name in names}


def build_env(config: TrainConfig) -> KinetixEnv:
    """The environment, with the rules that the agent is scored by."""
    return make(**environment_settings(config))


def decision_env(config: TrainConfig) -> KinetixEnv:
    """The environment in which a step is one decision of the agent: the same episodes in fewer, longer steps."""
    frames, steps = config.frame_skip * config.hold, config.episode_decisions
    return build_env(dataclasses.replace(config, frame_skip=frames, max_steps=steps))


def network_settings(config: TrainConfig) -> dict[str, Any]:
    """The arguments of ``agents.make_network`` for the policy's network."""
    return {
        "network": config.network,
        "normalised": config.normalise_observations,
        "dtype": config.dtype,
        "recurrent": config.recurrent,
        "recurrent_size": config.recurrent_size,
        "head_width": config.head_width,
        "head_depth": config.head_depth,
        "hold": config.hold,
        **({"width": config.network_width} if config.network_width else {}),
        **config.encoder_options,
    }


def build_network(config: TrainConfig, env: KinetixEnv) -> Policy:
    """The policy's network, without parameters.

    Raises:
        ValueError: for a width that the network does not have, an observation that cannot be normalised, and as
            ``make_policy``.
    """
    if config.normalise_observations and config.observation not in NORMALISABLE:
        raise ValueError(
            f"normalise_observations does not go with observation {config.observation!r}: use one of "
            f"{', '.join(NORMALISABLE)}, or normalise_observations=False"
        )
    encoder, _ = NETWORKS[config.network]
    if config.network_width and "width" not in encoder.__dataclass_fields__:
        raise ValueError(f"network {config.network!r} has no width to set: use network_width=0")
    return make_network(env, **network_settings(config))


def build_sampler(config: TrainConfig, generator: Generator | None = None) -> tuple[Sampler, int]:
    """What makes new levels, ``sample(key, n)``, and how many environment steps it simulates for each of them.

    Levels of the holdout suites are drawn again, unless ``config`` allows them; listed ones are refused.

    Args:
        config: names the generator or the levels, size and filters.
        generator: used instead of what ``config`` names.

    Raises:
        ValueError: for a generator of the user's that makes levels of the holdout suites, or a list that holds some.
    """
    if generator is None:
        generator = listed_levels(config.level_paths, config.size) if config.levels else config.generator
    sample = sampler(generator, config.size)
    if isinstance(generator, ListedLevels):
        if not config.allow_holdout:
            refuse_held_out(generator.levels, generator.names, "the levels to train on")
    elif not config.allow_holdout:
        if generator not in GENERATORS:
            _refuse_holdout(sample)
        sample = excluding(sample, hash_array())
    if not config.filter_names:
        return sample, 0
    engine = get_engine(config.engine, config.physics)
    chosen = {name: make_filter(name, engine, config.frame_skip) for name in config.filter_names}
    steps = sum(steps for _, steps in chosen.values())
    return filtered(sample, {name: marks for name, (marks, _) in chosen.items()}), DRAW_RATIO * steps


_PROBED = 64  # levels of a user's generator that are looked at before training


def _refuse_holdout(sample: Sampler) -> None:
    levels = jax.jit(sample, static_argnums=1)(jax.random.key(0), _PROBED)
    refuse_held_out(levels, [f"level {n}" for n in range(_PROBED)], "the generator")


def build_curriculum(config: TrainConfig, sample: Sampler) -> Curriculum:
    """The curriculum over levels from ``sample``.

    Raises:
        ValueError: for an option that it does not have, or a function of the user's that makes no curriculum or cannot
            be called with (sample, batch).
    """
    fields = {
        **({"score": config.score} if config.score else {}),
        "capacity": config.buffer_size,
        "prioritisation": config.prioritisation,
        "temperature": config.temperature,
        "topk": config.top_k,
        "staleness_coefficient": config.staleness,
        "minimum_fill": config.minimum_fill,
        "replay_probability": config.replay_probability,
    }
    if names_a_file(config.curriculum):
        construct = load_function(config.curriculum)
        known = tuple(inspect.signature(construct).parameters)[2:]
    else:
        construct, known = functools.partial(make_curriculum, config.curriculum), curriculum_options(config.curriculum)
    taken = {name: value for name, value in fields.items() if name in known}
    own = config.curriculum_options
    for name in own:
        if name in fields:
            raise ValueError(f"options has {name!r}, which is a field of its own: set that instead")
        if name not in known:
            remedy = f"it has {', '.join(known)}" if known else "it has none"
            raise ValueError(f"curriculum {config.curriculum!r} has no option {name!r}: {remedy}")
    if not isinstance(construct, UserFunction):
        return construct(sample, config.environments, **taken, **own)
    if taken.get("capacity", config.environments) < config.environments:
        refuse_small_buffer(config)
    check_call(construct, "what makes a curriculum", "sample", "batch", options=taken | own)
    curriculum = construct(sample, config.environments, **taken, **own)
    if not isinstance(curriculum, Curriculum):
        refuse(construct, f"it must return a Curriculum(init, propose, update), got {type(curriculum).__name__}")
    functions = (curriculum.init, curriculum.propose, curriculum.update)
    return Curriculum(*map(construct.guard, functions), curriculum.students)


def build_learner(config: TrainConfig, env: KinetixEnv, network: Policy) -> Learner:
    """PPO with the configuration's settings."""
    rate = SCHEDULES[config.schedule](config.learning_rate, config.gradient_steps, config.warmup)
    optimiser = make_optimiser(rate, config.max_grad_norm)

    def init(key: jax.Array) -> TrainState:
        return init_train_state(network.init(key, env.observation_space()), optimiser)

    def learn(
        key: jax.Array, agent: TrainState, seen: Trajectory, last_value: jax.Array, carry: Any, weight: jax.Array
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        lesson, imitating, known = seen.lesson, False, weight
        if lesson is not None:
            # The critic, and PPO after the imitation, learn from what the student did itself.
            imitating = agent.step < config.imitation_gradient_steps
            lesson, weight = lesson._replace(weight=lesson.weight * weight), weight & lesson.own
        batch = Batch(
            observation=seen.observation,
            action=seen.action,
            log_prob=seen.log_prob,
            parts=seen.parts,
            value=seen.value,
            advantage=generalised_advantages(
                seen.reward,
                seen.done,
                seen.value,
                last_value,
                config.gamma,
                config.gae_lambda,
                seen.truncated if config.bootstrap_truncation else None,
            ),
            reset=seen.reset,
            weight=weight,
            carry=carry,
            lesson=lesson,
        )
        agent, losses = ppo_update(
            key,
            agent,
            batch,
            network,
            optimiser,
            epochs=config.epochs,
            minibatches=config.minibatches,
            clip=config.clip,
            value_clipping=config.value_clipping,
            value_coefficient=config.value_coefficient,
            entropy_coefficient=config.entropy,
            imitating=imitating,
        )
        if isinstance(network, NormalisedPolicy):
            # After learning: until then the policy sees what it saw when it acted, or its ratios would not start at 1.
            agent = agent._replace(params=network.absorb(agent.params, seen.observation, known))
        return agent, losses

    return Learner(init, learn)
