"""How many steps a second: the physics alone, and the whole environment with what an agent sees of it.

Both run as they do in training: a batch of scenes under ``jax.vmap``, many steps in one compiled scan. Actions are
drawn beforehand, so that no random numbers are timed. Beside an installed kinetix-env the rounds alternate between the
two sides, each round gives one ratio, and both sides play the same levels with the same actions.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from kinetix_ued.environment import AutoReplay, make, make_actions
from kinetix_ued.generators import sample_levels
from kinetix_ued.world import Level, size_of, start
from kinetix_ued.world.engine import get_engine

from .report import machine, versions

SCHEMA = "kinetix-ued/throughput"
SCHEMA_VERSION = 1

PHYSICS, ENVIRONMENT = "physics", "environment"
UNITS = {PHYSICS: "frames of all scenes together", ENVIRONMENT: "environment steps"}

Program = Callable[[], Any]
"""A compiled call of ``steps`` steps of the whole batch, from the levels' start; returns what ``compare`` reads."""


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
        for name in ("batch", "steps", "frame_skip", "repeats"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        if not 0 <= self.min_seconds < float("inf"):
            raise ValueError(f"min_seconds must be 0 or more; got {self.min_seconds}")
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
        from .kinetix_reference import programs, require

        require(settings.size)
        sides["kinetix-env"] = programs
    say(f"sampling {settings.batch} levels of size {settings.size}")
    work = make_workload(settings)
    results = []
    for what in (PHYSICS, ENVIRONMENT):
        calls, compiling, outcome = {}, {}, {}
        for side, build in sides.items():
            say(f"{what}: compiling {side}")
            calls[side] = build(settings, work)[what]
            compiling[side], outcome[side] = _warm(calls[side])
        rates: dict[str, list[float]] = {side: [] for side in sides}
        for turn in range(settings.repeats):
            say(f"{what}: round {turn + 1} of {settings.repeats}")
            for side, call in calls.items():
                rates[side].append(_rate(call, settings))
        result = {"what": what, "unit": UNITS[what], "sides": [], "outcome": compare(what, outcome)}
        for side in sides:
            result["sides"].append({"name": side, "compile_seconds": compiling[side], **_summary(rates[side])})
        if reference:
            ratios = [own / other for own, other in zip(rates["kinetix-ued"], rates["kinetix-env"])]
            result["ratio"] = _summary(ratios)
        results.append(result)
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
        motor=jax.random.uniform(motor_key, (*shape, size.joints), minval=-1.0),
        thruster=jax.random.uniform(thruster_key, (*shape, size.thrusters)),
        actions=jax.jit(jax.vmap(jax.vmap(actions.sample)))(keys),
    )


def _own_programs(settings: Settings, work: Workload) -> dict[str, Program]:
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


def _warm(call: Program) -> tuple[float, Any]:
    """Seconds that the first call takes beyond the second, and what it returned."""
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        outcome = jax.block_until_ready(call())
        seconds.append(time.perf_counter() - began)
    return round(max(seconds[0] - seconds[1], 0.0), 3), outcome


def _rate(call: Program, settings: Settings) -> float:
    """Steps of all scenes a second, over as many calls as fill the round."""
    began, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - began < settings.min_seconds:
        jax.block_until_ready(call())
        calls += 1
    return calls * settings.steps * settings.batch / (time.perf_counter() - began)


def _summary(numbers: list[float]) -> dict[str, Any]:
    """Median, least and most, to five digits."""
    digits = lambda x: float(f"{x:.5g}")
    found = {"median": statistics.median(numbers), "min": min(numbers), "max": max(numbers)}
    return {name: digits(x) for name, x in found.items()} | {"rounds": [digits(x) for x in numbers]}


def format_measurement(measured: dict[str, Any]) -> str:
    """The table for the terminal."""
    s, m = measured["settings"], measured["machine"]
    lines = [
        f"size {s['size']}, batch {s['batch']}, engine {s['engine']}, {s['steps']} steps a call, "
        f"frame skip {s['frame_skip']}, "
        f"{s['repeats']} rounds; {m['device']} ({m['backend']}), {m['cpu_cores']} CPU cores",
        f"{'':12}  {'':12}  {'steps/s':>12}  {'least':>12}  {'most':>12}  {'compiling':>10}",
    ]
    for result in measured["results"]:
        for side in result["sides"]:
            rates = "  ".join(f"{side[name]:12,.0f}" for name in ("median", "min", "max"))
            lines.append(f"{result['what']:12}  {side['name']:12}  {rates}  {side['compile_seconds']:8.1f} s")
        if ratio := result.get("ratio"):
            rates = "  ".join(f"{ratio[name]:11.1f}x" for name in ("median", "min", "max"))
            lines.append(f"{result['what']:12}  {'ratio':12}  {rates}")
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
