"""One update, as one compiled function: the curriculum proposes, the agent plays and learns, the curriculum notes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from kinetix_ued.agents.advantage import generalised_advantages
from kinetix_ued.curricula import Curriculum, Plan, Rollout, group_slots
from kinetix_ued.environment.actions import driven_channels
from kinetix_ued.generators import emptied, hash_array
from kinetix_ued.levels import summary
from kinetix_ued.randomness import purposes

from .config import TrainConfig
from .rollout import Episodes, Guided, Players, on_own_level, restart, rollout, spoiled


class Learner(NamedTuple):
    """How an agent comes about and learns from a trajectory.

    Attributes:
        init: ``init(key) -> agent``, any pytree with an attribute ``params``
        learn: ``learn(key, agent, trajectory, last_value, carry, weight) -> (agent, losses)``; ``carry`` is the agents'
            memory (B, ...) before the trajectory, ``weight`` (T, B) bool says which of its transitions may be learned
            from, and losses are a flat dict of scalars with ``total`` among them
    """

    init: Callable[[jax.Array], Any]
    learn: Callable[..., tuple[Any, dict[str, jax.Array]]]


class Guide(NamedTuple):
    """A teacher beside B environments.

    Attributes:
        begin: ``begin(levels) -> memory``, what the teacher remembers at the start of B levels (B, ...)
        step: ``step(key, memory, state, action, leads, imitating)``, as of ``Guided``; ``leads`` (B) bool says where the
            teacher acts in the student's place, ``imitating`` () bool whether it is asked at all
    """

    begin: Callable[[Any], Any]
    step: Callable[..., Any]


class TrainState(NamedTuple):
    """Everything that training changes: with it a run continues exactly.

    Attributes:
        agent: what the learner made: parameters and optimiser
        curriculum: the curriculum's state
        players: environments and the agents' memories
        antagonist: the second student, where the curriculum has two; otherwise ``()``
        key: what every random number of the updates derives from, folded with ``update``; constant
        update: updates done () uint32
    """

    agent: Any
    curriculum: Any
    players: Players
    antagonist: Antagonist | tuple[()]
    key: jax.Array
    update: jax.Array


class Antagonist(NamedTuple):
    """The second student: it learns as the first does, and only its returns matter to the curriculum.

    Attributes:
        agent: what the learner made
        players: environments of its own, on the same levels
    """

    agent: Any
    players: Players


class Seen(NamedTuple):
    """What of a trajectory is kept until the curriculum takes note: small arrays, no observations.

    Attributes:
        reward, done, goal, truncated, value: as in ``Trajectory`` (T, B)
        spoiled: part of an episode that went non-finite (T, B) bool
        last_value: the critic's estimate after the last transition (B)
    """

    reward: jax.Array
    done: jax.Array
    goal: jax.Array
    truncated: jax.Array
    value: jax.Array
    spoiled: jax.Array
    last_value: jax.Array


def first_keys(key: jax.Array) -> Any:
    """The keys that a run's own key is split into, by name: ``updates`` counts them, the others are used once."""
    return purposes(key, "agent", "curriculum", "updates", "antagonist")


def make_update(
    config: TrainConfig,
    env: Any,
    network: Any,
    learner: Learner,
    curriculum: Curriculum,
    filter_steps: int = 0,
    guide: Guide | None = None,
) -> tuple[Callable[[jax.Array], TrainState], Callable[[TrainState], tuple[TrainState, dict[str, jax.Array]]]]:
    """The two functions of a run, for jax.jit: ``init(key) -> state`` and ``update(state) -> (state, metrics)``.

    Metrics are scalars. Steps are those of this update alone, so that no integer on the device grows without end.

    Args:
        config: as ``validate`` accepts it.
        env: the environment.
        network: the policy's network.
        learner: how it learns.
        curriculum: what proposes levels.
        filter_steps: environment steps that are simulated to find one new level.
        guide: the teacher; the learner's agent then says its gradient steps as ``step``.

    Raises:
        ValueError: for a curriculum with another number of students than one or two, or than one beside a teacher.
    """
    if curriculum.students not in (1, 2):
        raise ValueError(f"a curriculum has one student, or two with an antagonist; got {curriculum.students}")
    if guide is not None and curriculum.students == 2:
        raise ValueError(f"a teacher has one student, and curriculum {config.curriculum!r} has two: use another, as dr")
    batch, params = config.environments, env.default_params
    held_out = None if config.allow_holdout else hash_array()
    parts_of = (lambda state: driven_channels(state.level)) if config.skip_idle_channels else None

    def init(key: jax.Array) -> TrainState:
        keys = first_keys(key)
        curriculum_state = curriculum.init(keys.curriculum)
        # Placeholders: the first update starts every environment.
        states = jax.eval_shape(lambda key: fresh_states(*curriculum.propose(key, curriculum_state)[:1]), key)
        players = Players(
            state=jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), states),
            reset=jnp.ones(batch, bool),
            carry=network.initial_carry(batch),
            episode_return=jnp.zeros(batch, jnp.float32),
            episode_length=jnp.zeros(batch, jnp.int32),
            begun=jnp.zeros(batch, jnp.int32),
            teacher=jax.tree.map(
                lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(begin, states.level if guide is not None else ())
            ),
        )
        antagonist: Antagonist | tuple[()] = ()
        if curriculum.students == 2:
            antagonist = Antagonist(learner.init(keys.antagonist), players)
        return TrainState(learner.init(keys.agent), curriculum_state, players, antagonist, keys.updates, jnp.uint32(0))

    def fresh_states(levels: Any) -> Any:
        """Environment states (B, ...) at the start of each level."""
        keys = jax.random.split(jax.random.key(0), batch)  # the start of a level draws no random numbers
        return jax.vmap(env.reset_to_level, (0, 0, None))(keys, levels, params)[1]

    def begin(levels: Any) -> Any:
        """The teacher's memory at the start of each level (B, ...)."""
        return () if guide is None else guide.begin(levels)

    def guided_by(agent: Any, memory: Any) -> Guided | None:
        """Steps beside the teacher, with its part in them at this point of the run."""
        if guide is None:
            return None
        done = agent.step / config.imitation_gradient_steps
        leads = jnp.arange(batch) < config.teacher_share * (1 - done) * batch
        step = functools.partial(guide.step, leads=leads, imitating=agent.step < config.imitation_gradient_steps)
        return Guided(step, memory)

    def play(agent: Any, players: Players, fresh: Any, plan: Plan, first: jax.Array, key: jax.Array):
        """All rollouts of one student on the proposed levels, each learned from if the plan says so."""

        def once(carry: tuple[Any, Players], key: jax.Array):
            agent, players = carry
            rollout_key, learn_key = jax.random.split(key)
            before, guided = players.carry, guided_by(agent, memory)
            players, trajectory, last_value, episodes = rollout(
                env,
                params,
                network,
                agent.params,
                rollout_key,
                players,
                fresh,
                plan.restart,
                config.rollout_steps,
                parts_of,
                config.noise_decisions,
                guided,
            )
            bad = spoiled(trajectory.nonfinite, trajectory.done)
            learn = lambda agent: learner.learn(learn_key, agent, trajectory, last_value, before, ~bad)
            agent, losses = _only_if(plan.learn, learn, agent)
            kept = {name: getattr(trajectory, name) for name in ("reward", "done", "goal", "truncated", "value")}
            seen = Seen(**kept, spoiled=bad, last_value=last_value)
            return (agent, players), (seen, episodes, losses)

        players = players._replace(begun=jnp.zeros_like(players.begun))
        memory = begin(fresh.level) if guide is not None else ()
        players = restart(players, fresh, plan.restart | first, memory)
        (agent, players), (seen, episodes, losses) = jax.lax.scan(
            once, (agent, players), jax.random.split(key, config.outer_steps)
        )
        metrics = _metrics(jax.tree.map(lambda x: x.sum(0, dtype=x.dtype), episodes), config.hold)
        metrics |= {f"loss/{name}": value.mean() for name, value in losses.items()}
        return agent, players, _as_rollout(seen, plan, first, config), metrics

    def update(state: TrainState) -> tuple[TrainState, dict[str, jax.Array]]:
        keys = purposes(jax.random.fold_in(state.key, state.update), "propose", "play", "antagonist")
        levels, plan = curriculum.propose(keys.propose, state.curriculum)
        dropped = jnp.int32(0)
        if held_out is not None:
            levels, dropped = emptied(levels, held_out)
        fresh, first = fresh_states(levels), state.update == 0
        agent, players, played, metrics = play(state.agent, state.players, fresh, plan, first, keys.play)
        antagonist = state.antagonist
        if curriculum.students == 2:
            *second, also_played, noted = play(*antagonist, fresh, plan, first, keys.antagonist)
            antagonist, played = Antagonist(*second), played._replace(antagonist=also_played)
            metrics |= {f"antagonist/{name}": value for name, value in noted.items()}
        curriculum_state, noted = curriculum.update(state.curriculum, levels, played, plan)
        metrics |= {f"curriculum/{name}": value for name, value in noted.items()}
        metrics |= {f"levels/{name}": value.mean() for name, value in summary(levels).items()}
        metrics["levels/held_out"] = dropped
        sampled = (plan.slots < 0).sum(dtype=jnp.int32) if plan.sampled is None else plan.sampled
        metrics |= {
            "steps/learning": jnp.where(plan.learn, jnp.int32(config.update_steps), 0),
            "steps/scoring": jnp.where(plan.learn, 0, jnp.int32(config.update_steps)),
            "steps/antagonist": jnp.int32(config.update_steps * (curriculum.students - 1)),
            "steps/filter": sampled * filter_steps,
        }
        return TrainState(agent, curriculum_state, players, antagonist, state.key, state.update + 1), metrics

    return init, update


def _only_if(condition: jax.Array, change: Callable[[Any], tuple[Any, dict]], agent: Any) -> tuple[Any, dict]:
    """``change(agent)`` where ``condition`` holds; otherwise the agent as it is, and NaN for every loss."""
    _, losses = jax.eval_shape(change, agent)
    nothing = lambda agent: (agent, {name: jnp.full(x.shape, jnp.nan, x.dtype) for name, x in losses.items()})
    return jax.lax.cond(condition, change, nothing, agent)


def _as_rollout(seen: Seen, plan: Plan, first: jax.Array, config: TrainConfig) -> Rollout:
    """All outer steps in a row, as the curriculum reads them.

    The advantages are estimated anew over the whole length: only its very end is bootstrapped.
    """
    join = lambda x: x.reshape(-1, *x.shape[2:])
    reward, done, goal, truncated, value, bad = map(join, seen[:6])
    last_value = seen.last_value[-1]
    cut = truncated if config.bootstrap_truncation else None
    advantage = generalised_advantages(reward, done, value, last_value, config.gamma, config.gae_lambda, cut)
    return Rollout(
        reward=reward,
        done=done,
        goal=goal,
        value=value,
        last_value=last_value,
        advantage=jnp.where(bad, 0.0, advantage),
        own=on_own_level(done, plan.restart, plan.restart | first),
        max_steps=config.episode_decisions,
        group=group_slots(plan.slots),
    )


def _metrics(episodes: Episodes, hold: int) -> dict[str, jax.Array]:
    """Means over the episodes that ended; NaN where none did. Lengths are in environment steps, ``hold`` a decision."""
    count = jnp.where(episodes.finished > 0, episodes.finished.astype(jnp.float32), jnp.nan)
    mean = lambda total: total / count
    return {
        "return": mean(episodes.total_return),
        "solve_rate": mean(episodes.solved),
        "episode_length": mean(episodes.total_length) * hold,
        "episodes": episodes.finished,
        "nonfinite_episodes": episodes.nonfinite,
    }
