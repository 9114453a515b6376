"""How many steps a second: the physics alone, and the whole environment with what an agent sees of it.

Both run as they do in training: a batch of scenes under ``jax.vmap``, many steps in one compiled scan. Actions are
drawn beforehand, so that no random numbers are timed. Beside an installed kinetix-env the rounds alternate between the
two sides, each round gives one ratio, and both sides play the same levels with the same actions.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from kinetix_ued.environment import AutoReplay, make, make_actions
from kinetix_ued.generators import sample_levels
from kinetix_ued.world import Level, size_of, start
from kinetix_ued.world.engine import get_engine

from .report import machine, versions
from .timing import Program, check_settings, in_turns, table

SCHEMA = "kinetix-ued/throughput"
SCHEMA_VERSION = 1

PHYSICS, ENVIRONMENT = "physics", "environment"
UNITS = {PHYSICS: "frames of all scenes together", ENVIRONMENT: "environment steps"}

@dataclasses.dataclass(frozen=True)
class Settings:
    """What is measured.

    Raises:
        ValueError: for a number out of range or an unknown name.
    """

    engine: str = "auto"
    """Physics engine: auto, warp or jax."""
    size: str = "s"
    """Size of the levels."""
    batch: int = 512
    """Scenes side by side."""
    steps: int = 128
    """Steps of a call; every call begins at the levels' start."""
    frame_skip: int = 2
    """Frames in an environment step; the physics alone is measured frame by frame."""
    repeats: int = 5
    """Rounds."""
    min_seconds: float = 0.5
    """A round goes on for at least this long."""
    seed: int = 0
    """Of levels and actions."""

    def __post_init__(self):
        size_of(self.size)
        check_settings(self, "batch", "steps", "frame_skip", "repeats")
        get_engine(self.engine)


@dataclasses.dataclass(frozen=True)
class Workload:
    """The same work for both sides.

    Attributes:
        levels: (B)
        motor: for the physics alone, uniform in [-1, 1] (S, B, J)
        thruster: likewise in [0, 1] (S, B, T)
        actions: for the environment, uniform multi-discrete actions (S, B, 6)
    """

    levels: Level
    motor: jax.Array
    thruster: jax.Array
    actions: jax.Array


def measure(
    settings: Settings = Settings(), *, reference: bool = False, say: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Measure both speeds on this machine, with those of an installed kinetix-env if ``reference``.

    Args:
        settings: see ``Settings``.
        reference: measure kinetix-env too.
        say: is told what goes on.

    Returns:
        A dict ready for JSON. For each of ``physics`` and ``environment``: the steps a second of every round, median,
        least and most, and how many seconds the first call took beyond a later one, which is tracing and compiling.
        With a reference also the ratio of every round.

    Raises:
        ValueError: where ``reference`` is asked for and cannot be imported.
    """
    sides = {"kinetix-ued": _own_programs}
    if reference:
        from .kinetix_reference import require, step_programs

        require(settings.size)
        sides["kinetix-env"] = step_programs
    say(f"sampling {settings.batch} levels of size {settings.size}")
    work = make_workload(settings)
    programs_of = {side: build(settings, work) for side, build in sides.items()}
    results = []
    for what in (PHYSICS, ENVIRONMENT):
        result = in_turns(
            {side: programs[what] for side, programs in programs_of.items()},
            settings.steps * settings.batch,
            repeats=settings.repeats,
            min_seconds=settings.min_seconds,
            say=say,
            what=what,
            compare=functools.partial(compare, what),
        )
        results.append(result | {"unit": UNITS[what]})
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "versions": versions(),
        "machine": machine(),
        "settings": dataclasses.asdict(settings) | {"engine": get_engine(settings.engine).name},
        "results": results,
    }


def make_workload(settings: Settings) -> Workload:
    """Levels and actions, all from the seed."""
    size, actions = size_of(settings.size), make_actions("multi_discrete")
    level_key, motor_key, thruster_key, action_key = jax.random.split(jax.random.key(settings.seed), 4)
    shape = (settings.steps, settings.batch)
    keys = jax.random.split(action_key, shape)
    return Workload(
        levels=sample_levels(level_key, settings.batch, settings.size),
        motor=jax.random.uniform(motor_key, (*shape, size.joints), np.float32, minval=-1.0),
        thruster=jax.random.uniform(thruster_key, (*shape, size.thrusters), np.float32),
        actions=jax.jit(jax.vmap(jax.vmap(actions.sample)))(keys),
    )


def _own_programs(settings: Settings, work: Workload) -> dict[str, Program]:
    """Calls of ``steps`` steps of the whole batch, from the levels' start; they return what ``compare`` reads."""
    engine = get_engine(settings.engine)
    env = AutoReplay(make(settings.size, engine=engine.name, frame_skip=settings.frame_skip))
    params, key = env.default_params, jax.random.key(0)  # neither steps nor restarts draw random numbers
    act = jax.vmap(lambda *arguments: engine.step(*arguments, frames=1)[0])
    env_step = jax.vmap(env.step, in_axes=(None, 0, 0, None))
    env_reset = jax.vmap(env.reset_to_level, in_axes=(None, 0, None))

    @jax.jit
    def physics(levels, motor, thruster):
        step = lambda state, action: (act(levels, state, *action), None)
        return jax.lax.scan(step, jax.vmap(start)(levels), (motor, thruster))[0].position

    @jax.jit
    def environment(levels, actions):
        def step(carry, action):
            observation, state, reward, done, info = env_step(key, carry[1], action, params)
            return (observation, state), (reward.sum(), done.sum(), info["goal"].sum())

        (observation, _), sums = jax.lax.scan(step, env_reset(key, levels, params), actions)
        return observation, sums

    return {
        PHYSICS: lambda: physics(work.levels, work.motor, work.thruster),
        ENVIRONMENT: lambda: environment(work.levels, work.actions),
    }


def compare(what: str, outcome: dict[str, Any]) -> dict[str, Any]:
    """What the sides' steps came to: a speed is worth nothing for work that was not done."""
    sides = list(outcome)
    if what == PHYSICS:
        finite = {side: bool(np.isfinite(np.asarray(outcome[side])).all()) for side in sides}
        compared: dict[str, Any] = {"finite": finite}
        if len(sides) > 1:
            own, other = (np.asarray(outcome[side]) for side in sides)
            apart = np.abs(own - other).max(axis=(1, 2))
            compared["position_difference_m"] = {
                "median": float(np.median(apart)),
                "p90": float(np.quantile(apart, 0.9)),
            }
        return compared
    named = ("reward", "episodes", "goals")
    return {side: {name: float(np.sum(x)) for name, x in zip(named, outcome[side][1])} for side in sides}


def format_measurement(measured: dict[str, Any]) -> str:
    """The table for the terminal."""
    s, m = measured["settings"], measured["machine"]
    lines = [
        f"size {s['size']}, batch {s['batch']}, engine {s['engine']}, {s['steps']} steps a call, "
        f"frame skip {s['frame_skip']}, "
        f"{s['repeats']} rounds; {m['device']} ({m['backend']}), {m['cpu_cores']} CPU cores",
        table(measured["results"], "steps/s"),
    ]
    for result in measured["results"]:
        outcome = result["outcome"]
        if apart := outcome.get("position_difference_m"):
            lines.append(
                f"positions after {s['steps']} frames differ by {apart['median']:.1e} m (median of scenes), "
                f"{apart['p90']:.1e} m (90%)"
            )
        elif result["what"] == ENVIRONMENT:
            lines += [
                f"{side}: {x['episodes']:.0f} episodes ended, {x['goals']:.0f} solved" for side, x in outcome.items()
            ]
    return "\n".join(lines)
