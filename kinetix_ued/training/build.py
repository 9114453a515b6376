"""From a configuration to the parts that it names."""

from __future__ import annotations

from typing import Any

import jax
import optax

from kinetix_ued.agents import Batch, Policy, TrainState, init_train_state, make_optimiser, make_policy, ppo_update
from kinetix_ued.agents.advantage import generalised_advantages
from kinetix_ued.curricula import Curriculum, Sampler, curriculum_options, make_curriculum
from kinetix_ued.environment import KinetixEnv, make
from kinetix_ued.generators import DRAW_RATIO, Generator, filtered, make_filter, sampler
from kinetix_ued.world import get_engine

from .config import TrainConfig
from .rollout import Trajectory
from .update import Learner


def build_env(config: TrainConfig) -> KinetixEnv:
    """The environment."""
    return make(
        config.size,
        observation=config.observation,
        actions=config.actions,
        engine=config.engine,
        physics=config.physics,
        frame_skip=config.frame_skip,
        dense_reward_scale=config.dense_reward_scale,
        max_steps=config.max_steps,
    )


def build_network(config: TrainConfig, env: KinetixEnv) -> Policy:
    """The policy's network, without parameters."""
    options = {"width": config.network_width} if config.network_width else {}
    return make_policy(
        config.network,
        env.observation,
        env.actions,
        recurrent=config.recurrent,
        recurrent_size=config.recurrent_size,
        head_width=config.head_width,
        head_depth=config.head_depth,
        **options,
    )


def build_sampler(config: TrainConfig, generator: Generator | None = None) -> tuple[Sampler, int]:
    """What makes new levels, ``sample(key, n)``, and how many environment steps it simulates for each of them.

    Args:
        config: names generator, size and filters.
        generator: used instead of the one that ``config`` names.
    """
    sample = sampler(config.generator if generator is None else generator, config.size)
    if not config.filter_names:
        return sample, 0
    engine = get_engine(config.engine, config.physics)
    chosen = {name: make_filter(name, engine, config.frame_skip) for name in config.filter_names}
    steps = sum(steps for _, steps in chosen.values())
    return filtered(sample, {name: marks for name, (marks, _) in chosen.items()}), DRAW_RATIO * steps


def build_curriculum(config: TrainConfig, sample: Sampler) -> Curriculum:
    """The curriculum over levels from ``sample``."""
    options = {
        "score": config.score,
        "capacity": config.buffer_size,
        "prioritisation": config.prioritisation,
        "temperature": config.temperature,
        "topk": config.top_k,
        "staleness_coefficient": config.staleness,
        "minimum_fill": config.minimum_fill,
        "replay_probability": config.replay_probability,
    }
    known = curriculum_options(config.curriculum)
    taken = {name: value for name, value in options.items() if name in known}
    return make_curriculum(config.curriculum, sample, config.environments, **taken)


def build_learner(config: TrainConfig, env: KinetixEnv, network: Policy) -> Learner:
    """PPO with the configuration's settings."""
    rate: Any = config.learning_rate
    if config.anneal:
        rate = optax.linear_schedule(rate, 0.0, config.gradient_steps)
    optimiser = make_optimiser(rate, config.max_grad_norm)

    def init(key: jax.Array) -> TrainState:
        return init_train_state(network.init(key, env.observation_space()), optimiser)

    def learn(
        key: jax.Array, agent: TrainState, seen: Trajectory, last_value: jax.Array, carry: Any, weight: jax.Array
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        batch = Batch(
            observation=seen.observation,
            action=seen.action,
            log_prob=seen.log_prob,
            parts=seen.parts,
            value=seen.value,
            advantage=generalised_advantages(
                seen.reward, seen.done, seen.value, last_value, config.gamma, config.gae_lambda
            ),
            reset=seen.reset,
            weight=weight,
            carry=carry,
        )
        return ppo_update(
            key,
            agent,
            batch,
            network,
            optimiser,
            epochs=config.epochs,
            minibatches=config.minibatches,
            clip=config.clip,
            value_coefficient=config.value_coefficient,
            entropy_coefficient=config.entropy,
        )

    return Learner(init, learn)
