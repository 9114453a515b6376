"""Whom a student imitates: a run, a saved agent, or proofs that levels can be solved.

A run keeps a copy of its teacher, so that it can be resumed whatever became of the original.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from kinetix_ued.agents import Agent, Distribution, Lesson, load, names_an_agent, save
from kinetix_ued.benchmarks.fitting import refuse_misfit
from kinetix_ued.benchmarks.policies import NetworkPolicy
from kinetix_ued.environment import make_observation
from kinetix_ued.environment.actions import driven_channels
from kinetix_ued.generators import ListedLevels
from kinetix_ued.world import size_of

from .build import build_env, decision_env
from .config import TrainConfig
from .proven import find_proofs
from .rollout import select
from .run import CONFIG, Run, seed_folders
from .saved_agent import agent_of
from .update import Guide

TEACHER = "teacher"
"""Folder of a run that holds a copy of its teacher."""

_AGENT = "agent.safetensors"


class Teacher(Protocol):
    """Whom a student imitates. Equal ones hash alike and are compiled once."""

    digest: str
    """SHA-256 of what it is, in hexadecimal digits."""
    levels: ListedLevels | None
    """The only levels that it knows anything about; None where it knows all."""
    note: str
    """What to tell whoever starts the run; may be empty."""

    def guide(self, config: TrainConfig) -> Guide:
        """The teacher at work beside the student that ``config`` trains.

        Raises:
            ValueError: where the two do not fit together, with the remedy.
        """

    def keep(self, folder: Path) -> None:
        """Write what ``find_teacher`` reads into a folder, unless it is there."""


def find_teacher(config: TrainConfig, resume: bool = False) -> Teacher | None:
    """The teacher that ``config`` names; with ``resume`` the copy that its run keeps, if there is one.

    Raises:
        ValueError: for a teacher that is not there or cannot be read, or whose actions are not the student's.
    """
    if not config.teacher:
        return None
    runs = (Path(config.out), *seed_folders(config.out)) if resume and config.out else ()
    kept = [folder / TEACHER for folder in runs]
    source = next((str(folder) for folder in kept if folder.is_dir()), config.teacher)
    if (Path(source) / _AGENT).is_file():
        source = str(Path(source) / _AGENT)
    if names_an_agent(source):
        return TeachingAgent(load(source), config.teacher)
    if not (Path(source) / CONFIG).is_file():
        return find_proofs(source, config)
    return TeachingAgent(agent_of(Run.load(source), name=Path(source).name), config.teacher)


@dataclasses.dataclass(frozen=True, eq=False)
class TeachingAgent:
    """An agent that looks at the student's states with its own eyes, when it is its turn to decide.

    It decides as often as it is used to, from the start of each episode on, and means each decision to last until its
    next one. What it says about one decision of the student's is the mean over the time that this one lasts: of all its
    own decisions in that time, or of the one that it still holds.
    """

    agent: Agent
    name: str
    levels = None
    note = ""

    @property
    def digest(self) -> str:
        return self.agent.card["hash"]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TeachingAgent) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[Any, ...]:
        return self.digest, self.agent.network, self.agent.env

    def keep(self, folder: Path) -> None:
        if (file := folder / _AGENT).exists():
            return
        folder.mkdir(parents=True, exist_ok=True)
        about = {name: self.agent.card[name] for name in ("name", "about", "network", "environment", "training")}
        save(file, self.agent.params, **about)

    def guide(self, config: TrainConfig) -> Guide:
        network, params, own = self.agent.network, self.agent.params, self.agent.env
        if own.actions.name != config.actions:
            raise ValueError(
                f"the teacher {self.name} has {own.actions.name} actions and the student {config.actions}: train the "
                f"student with actions={own.actions.name}"
            )
        if own.observation.name == "blind":
            raise ValueError(f"the teacher {self.name} is blind and acts by the clock alone: name one that looks")
        lasting = config.frame_skip * config.hold
        theirs = own.frame_skip * network.hold
        moment = min(lasting, theirs)
        if lasting % moment or theirs % moment:
            raise ValueError(
                f"the teacher {self.name} decides every {theirs} frames and the student every {lasting}: use "
                f"decision_frames={theirs}, or a multiple or a whole part of it"
            )
        rules = decision_env(config)
        count = lasting // moment
        env = dataclasses.replace(build_env(config), frame_skip=moment, max_steps=rules.max_steps * count)
        view = make_observation(own.observation.name, env.max_steps)
        seen = dataclasses.replace(env, observation=view, size=size_of(config.size))
        refuse_misfit(NetworkPolicy(network, params), seen, name=f"the teacher {self.name}")
        clock = _Clock(moments=count, hold=theirs // moment)
        return Guide(lambda levels: _begin(network, seen, levels), _stepping(network, params, rules, seen, clock))


_ENDS = ("goal", "truncated", "nonfinite")
"""What a step says of the end of an episode."""


class _Clock(NamedTuple):
    """Moments in a decision of the student's, and moments for which a decision of the teacher's lasts."""

    moments: int
    hold: int


class _Attention(NamedTuple):
    """What a teacher remembers of B episodes: its network's memory, its last decision, and how long that still lasts."""

    carry: Any
    distribution: Distribution
    action: jax.Array
    left: jax.Array


def _begin(network: Any, env: Any, levels: Any) -> _Attention:
    """Before its first look."""
    batch = levels.gravity.shape[0]
    carry = network.initial_carry(batch)
    observation = jax.tree.map(lambda x: jax.ShapeDtypeStruct((batch, *x.shape), x.dtype), env.observation_space())

    def decided(observation: Any, params: Any) -> tuple[Any, jax.Array]:
        distribution = network.apply(params, carry, observation, jnp.zeros(batch, bool))[1]
        return distribution, distribution.mode()

    params = jax.eval_shape(network.init, jax.random.key(0), env.observation_space())
    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(decided, observation, params))
    return _Attention(carry, *nothing, jnp.zeros(batch, jnp.int32))


def _stepping(network: Any, params: Any, rules: Any, env: Any, clock: _Clock) -> Any:
    """The step of a ``Guide``: one decision of the student's under ``rules``, in moments of ``env``."""
    limits, moment_limits = rules.default_params, env.default_params

    def look(key: jax.Array, memory: _Attention, state: Any) -> _Attention:
        observation = jax.vmap(env.observe)(state)
        carry, distribution, _ = network.apply(params, memory.carry, observation, jnp.zeros(memory.left.shape, bool))
        new = _Attention(carry, distribution, distribution.sample(key), jnp.full_like(memory.left, clock.hold))
        new = new if clock.hold == 1 else select(memory.left == 0, new, memory)
        return new._replace(left=new.left - 1)

    def together(key: jax.Array, memory: _Attention, state: Any, action: jax.Array, leads: jax.Array):
        def moment(carry: tuple, key: jax.Array):
            memory, state, reward, done, ended = carry
            memory = look(key, memory, state)
            act = select(leads, memory.action, action)
            after, gain, over, info = jax.vmap(env.advance, in_axes=(0, 0, None))(state, act, moment_limits)
            ended = {name: before | (info[name] & ~done) for name, before in ended.items()}
            gain = jnp.where(first, info["goal"].astype(jnp.float32) - info["failure"], gain)
            reward = reward + jnp.where(done, 0.0, gain)
            state = select(done, state, after)
            return (memory, state, reward, done | over, ended), (memory.distribution, ~done)

        never = jnp.zeros(leads.shape, bool)
        first = (
            state.time == 0
        )  # nobody has come nearer than before in the first step of an episode, however long it is
        state = state.replace(time=state.time * clock.moments)
        carry = memory, state, jnp.zeros(leads.shape, jnp.float32), never, {name: never for name in _ENDS}
        carry, (said, counted) = jax.lax.scan(moment, carry, jax.random.split(key, clock.moments))
        memory, state, reward, done, ended = carry
        said = said.average(counted.astype(jnp.float32)) if clock.moments > 1 else jax.tree.map(lambda x: x[0], said)
        state = state.replace(time=-(-state.time // clock.moments))
        return memory, state, reward, done, ended, said

    def alone(key: jax.Array, memory: _Attention, state: Any, action: jax.Array, leads: jax.Array):
        after, reward, done, info = jax.vmap(rules.advance, in_axes=(0, 0, None))(state, action, limits)
        nothing = jax.tree.map(jnp.zeros_like, memory.distribution)
        return memory, after, reward, done, {name: info[name] for name in _ENDS}, nothing

    def step(key, memory: _Attention, state: Any, action: jax.Array, leads: jax.Array, imitating: jax.Array):
        memory, after, reward, done, ended, said = jax.lax.cond(
            imitating, together, alone, key, memory, state, action, leads
        )
        weight = jnp.broadcast_to(imitating.astype(jnp.float32), leads.shape)
        lesson = Lesson(said, parts_that_matter(said, state), weight, ~leads)
        return memory, after, reward, done, ended, lesson

    return step


def parts_that_matter(said: Distribution, state: Any) -> jax.Array | None:
    """Channels that something in each of B levels listens to (B, channels); None where an action has no channels."""
    return None if said.mode().ndim == 1 else jax.vmap(driven_channels)(state.level)
