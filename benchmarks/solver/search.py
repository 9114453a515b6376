"""The solver: which level is searched when, in which way, and until when."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.environment import KinetixEnv
from kinetix_ued.world import Level, driven_channels

from .cross_entropy import Beliefs, generation, leaning, replay_disturbed, unbiased
from .explore import Archive, empty_archive, explore
from .mending import mend, trial
from .settings import SearchSettings, Solution

CROSS_ENTROPY, EXPLORATION, REFINEMENT, MENDING = "cross-entropy", "exploration", "refinement", "mending"
"""Phases of a search. Two look for a sequence that solves the level, two make it short and robust."""

TEST = "test"
"""Name of the program that plays the best sequence from disturbed starts."""


class Attempt(NamedTuple):
    """A way to begin: ``hold`` steps a segment, and the horizon of an episode [steps] or the width of a cell [m]."""

    phase: str
    hold: int
    extent: float


ATTEMPTS = (
    Attempt(CROSS_ENTROPY, 4, 128),
    Attempt(EXPLORATION, 4, 0.25),
    Attempt(CROSS_ENTROPY, 8, 256),
    Attempt(EXPLORATION, 4, 0.5),
    Attempt(CROSS_ENTROPY, 2, 128),
    Attempt(EXPLORATION, 4, 0.12),
    Attempt(CROSS_ENTROPY, 4, 256),
    Attempt(EXPLORATION, 8, 0.25),
)
"""Beginnings, one after the other as each gets stuck, and then over again with other random numbers."""

TILTS = (1.5, 0.7, 0.4)
"""How much sequences differ in taste in the generations of an attempt; the last one stays."""

ITERATIONS = 16
"""Iterations of the exploration in a generation, which then costs about as much as one of the other kind."""

PROGRESS = 0.01
"""Gain in fitness, or in distance [m], that counts as progress."""

SLACK = 8, 8
"""Steps, and a part of the sequence's, that episodes of the refinement may last longer than the sequence takes."""

LEAST_REFINEMENTS = 4
"""Generations that shorten a sequence even where it is robust at once."""


@dataclasses.dataclass
class _Task:
    """The search of one level, between two generations."""

    index: int
    level: Level
    key: jax.Array
    solution: Solution
    driven: bool  # something in the level listens to the agent
    attempt: int = -1
    age: int = 0  # generations in this phase
    stale: int = 0  # of them, the last ones without progress
    phase: str = ""
    beliefs: Beliefs | None = None
    archive: Archive | None = None
    horizon: int = 0
    sequence: np.ndarray | None = None  # that is being mended, (T, 6) int8
    best: float = -np.inf  # fitness, or nearness, of this attempt
    over: bool = False

    @property
    def way(self) -> Attempt:
        return ATTEMPTS[self.attempt % len(ATTEMPTS)]

    @property
    def group(self) -> tuple:
        """Tasks of one group share a program's call."""
        return (self.phase, *(self.way[1:] if self.phase == EXPLORATION else ()))


def solve_levels(
    levels: Level,
    *,
    env: KinetixEnv,
    key: jax.Array,
    settings: SearchSettings = SearchSettings(),
    progress: Callable[[int, Solution, bool], None] | None = None,
) -> list[Solution]:
    """Search every level for a sequence that solves it. The same key gives the same result, unless time runs out.

    Args:
        levels: L levels of the environment's size.
        env: with multi-discrete actions; its observation does not matter.
        key: of all randomness.
        settings: see there.
        progress: called after each generation of a level with the level's index, what is known of its solution, and
            whether its search is over.

    Raises:
        ValueError: for a single level, levels of another size, or an environment with other actions.
    """
    _refuse(levels, env)
    levels = jax.device_get(levels)
    count = len(levels)
    width = min(settings.width, count)
    driven = jax.device_get(_driven(levels))
    tasks = [_Task(i, _at(levels, i), jax.random.fold_in(key, i), Solution(), bool(driven[i])) for i in range(count)]
    waiting = tasks[::-1]
    active: list[_Task] = []
    compiled: set[str] = set()
    while waiting or active:
        while waiting and len(active) < width:
            active.append(waiting.pop())
            _begin(active[-1], env)
        groups: dict[tuple, list[_Task]] = {}
        for task in active:
            groups.setdefault(task.group, []).append(task)
        for members in groups.values():
            _advance(members, width, env, settings, compiled)
            for task in members:
                _finish(task, settings)
                if progress is not None:
                    progress(task.index, task.solution, task.over)
        active = [task for task in active if not task.over]
    return [task.solution for task in tasks]


def _refuse(levels: Level, env: Any) -> None:
    if not isinstance(env, KinetixEnv) or env.actions.name != "multi_discrete":
        raise ValueError(
            "the solver searches multi-discrete actions: make the environment with actions='multi_discrete'"
        )
    if levels.gravity.ndim != 2 or len(levels) == 0:
        raise ValueError("solve_levels takes a batch of at least one level: jax.tree.map(lambda x: x[None], level)")
    if levels.size != env.size:
        ours, theirs = env.size.name, levels.size.name
        raise ValueError(f"the levels have size {theirs!r} and the environment {ours!r}: make it with size={theirs!r}")


def _begin(task: _Task, env: KinetixEnv) -> None:
    """The next attempt at a level."""
    task.attempt += 1
    task.phase, task.age, task.stale, task.best = task.way.phase, 0, 0, -np.inf
    if task.phase == EXPLORATION:
        task.archive = jax.device_get(empty_archive(task.level))
    else:
        task.beliefs = jax.device_get(unbiased(task.level))
        task.horizon = min(int(task.way.extent), env.max_steps) if task.driven else env.max_steps


def _finish(task: _Task, settings: SearchSettings) -> None:
    """Note whether the search of a level has come to its end."""
    solution = task.solution
    spent = solution.generations >= settings.generations or solution.seconds >= settings.seconds
    hopeless = not task.driven and not solution.solved  # all that can happen has happened
    task.over |= spent or hopeless or (solution.solved and not settings.robust)


def _advance(tasks: list[_Task], width: int, env: KinetixEnv, settings: SearchSettings, compiled: set[str]) -> None:
    """One generation in each of some levels of one group; the program's other places stay idle.

    Its time counts, unless something was compiled: ``compiled`` notes what there is already.
    """
    began = time.perf_counter()
    padded = tasks + [tasks[0]] * (width - len(tasks))
    keys = _keys(jnp.stack([task.key for task in padded]), np.array([task.solution.generations for task in padded]))
    phase = tasks[0].phase
    ways = {EXPLORATION: _explore, MENDING: _mend}
    notes, tested = ways.get(phase, _evolve)(padded, len(tasks), keys, env, settings)
    programs = {phase, *([TEST] if tested else [])}
    seconds = (time.perf_counter() - began) / len(tasks) if programs <= compiled else 0.0
    compiled |= programs
    for task, note in zip(tasks, notes):
        task.solution.generations += 1
        task.solution.seconds += seconds
        task.age += 1
        note(task)


def _explore(
    tasks: list[_Task], busy: int, keys: jax.Array, env: KinetixEnv, settings: SearchSettings
) -> tuple[list[Callable], bool]:
    """A generation of exploration: what is to be done with each task, and that no sequence was tested."""
    levels, archives = _stack([task.level for task in tasks]), _stack([task.archive for task in tasks])
    hold, cell = np.int32(tasks[0].way.hold), np.float32(tasks[0].way.extent)
    archives.solved[busy:] = True  # idle
    archives = jax.device_get(explore(env, keys, levels, archives, hold, cell, iterations=ITERATIONS))

    def note(i: int) -> Callable[[_Task], None]:
        def take(task: _Task) -> None:
            task.archive = archive = _at(archives, i)
            task.solution.nearest = min(task.solution.nearest, float(archive.nearest))
            if archive.solved:
                _refine(task, archive.solution, int(archive.steps), env)
            else:
                _persist(task, -float(archive.nearest), 2 * settings.patience, env)

        return take

    return [note(i) for i in range(len(tasks))], False


def _mend(
    tasks: list[_Task], busy: int, keys: jax.Array, env: KinetixEnv, settings: SearchSettings
) -> tuple[list[Callable], bool]:
    """A generation of small edits: what is to be done with each task, and that no other program was needed."""
    results = []
    for task, key in zip(tasks[:busy], keys):
        end = int(task.sequence.any(axis=1).nonzero()[0].max(initial=0)) + 1
        key_mend, key_trial = jax.random.split(key)
        sequence, good = mend(env, key_mend, task.level, task.sequence, end, settings.distance)
        last = task.age + 1 >= settings.mendings
        tested = trial(env, key_trial, task.level, sequence, settings.distance) if good or last else None
        results.append((sequence, tested, last))

    def note(i: int) -> Callable[[_Task], None]:
        def take(task: _Task) -> None:
            task.sequence, tested, last = results[i]
            if tested is not None:
                keep(task.solution, task.sequence, tested, task.way.phase, settings)
            if task.solution.robust_share >= settings.wanted_share or (last and task.solution.robust):
                task.over = True
            elif last:
                _begin(task, env)

        return take

    return [note(i) for i in range(busy)], False


def _evolve(
    tasks: list[_Task], busy: int, keys: jax.Array, env: KinetixEnv, settings: SearchSettings
) -> tuple[list[Callable], bool]:
    """A generation of the cross-entropy method: what is to be done with each task, and whether any was tested."""
    refining = tasks[0].phase == REFINEMENT
    draws = settings.draws if refining else 1
    levels = _stack([task.level for task in tasks])
    hold = np.array([task.way.hold for task in tasks], np.int32)
    horizon = np.array([task.horizon for task in tasks], np.int32)
    horizon[busy:] = 0  # idle
    tilt = np.array([0.0 if refining else TILTS[min(task.age, len(TILTS) - 1)] for task in tasks], np.float32)
    far = np.float32(settings.distance)
    keys = jax.vmap(jax.random.split)(keys)
    results = generation(
        env,
        keys[:, 0],
        levels,
        _stack([task.beliefs for task in tasks]),
        hold,
        horizon,
        tilt,
        far,
        population=settings.population // draws,
        draws=draws,
    )
    beliefs, found = jax.device_get(results)
    tested = None
    if (found.share > 0).any():
        limit = np.where(horizon > 0, env.max_steps, 0).astype(np.int32)
        tested = replay_disturbed(env, keys[:, 1], levels, beliefs.best, hold, limit, far, draws=settings.trials)
        tested = jax.device_get(tested)

    def note(i: int) -> Callable[[_Task], None]:
        def take(task: _Task) -> None:
            task.beliefs = _at(beliefs, i)
            task.solution.nearest = min(task.solution.nearest, float(found.nearest[i]))
            if found.share[i] > 0:
                method = task.way.phase
                keep(task.solution, np.repeat(beliefs.best[i], task.way.hold, axis=0), _at(tested, i), method, settings)
            if refining:
                _judge(task, int(found.latest[i]), env, settings)
            elif found.share[i] > 0:
                _refine(task, None, int(found.latest[i]), env)
            else:
                _persist(task, float(beliefs.fitness[i]), settings.patience, env)

        return take

    return [note(i) for i in range(len(tasks))], tested is not None


@jax.jit
def _driven(levels: Level) -> jax.Array:
    """Which of some levels have anything that listens to the agent."""
    return jax.vmap(driven_channels)(levels).any(axis=-1)


@jax.jit
def _keys(keys: jax.Array, numbers: jax.Array) -> jax.Array:
    """The keys of generations by their number, for several levels."""
    return jax.vmap(jax.random.fold_in)(keys, numbers)


def _persist(task: _Task, value: float, patience: int, env: KinetixEnv) -> None:
    """Go on with an attempt while it makes progress, or begin the next one."""
    task.stale = 0 if value > task.best + PROGRESS else task.stale + 1
    task.best = max(task.best, value)
    if task.stale >= patience:
        _begin(task, env)


def _refine(task: _Task, sequence: np.ndarray | None, steps: int, env: KinetixEnv) -> None:
    """Go on from a sequence that solves the level, or from the beliefs that found one."""
    if sequence is not None:
        task.beliefs = jax.device_get(leaning(task.level, sequence))
    task.phase, task.age = REFINEMENT, 0
    task.horizon = _longest(steps, env.max_steps)


def _judge(task: _Task, latest: int, env: KinetixEnv, settings: SearchSettings) -> None:
    """What follows a generation of the refinement."""
    solution = task.solution
    if latest:
        task.horizon = min(task.horizon, _longest(latest, env.max_steps))
    good = solution.robust_share >= settings.wanted_share and task.age >= LEAST_REFINEMENTS
    if good or task.age >= settings.refinements:
        if good:
            task.over = True
        elif solution.robust_share > 0:
            task.phase, task.age = MENDING, 0
            task.sequence = np.zeros((env.max_steps, solution.actions.shape[1]), np.int8)
            task.sequence[: len(solution.actions)] = solution.actions
        else:
            _begin(task, env)


def keep(solution: Solution, actions: np.ndarray, tested: Any, method: str, settings: SearchSettings) -> None:
    """Make actions (T, 6) the solution where their test says that they are better than what there was."""
    if not tested.goal[0]:
        return
    share, steps = float(tested.goal[1:].mean()), int(tested.steps[0])
    worth = lambda share, steps: (min(share, settings.wanted_share), -steps)
    if solution.solved and worth(share, steps) <= worth(solution.robust_share, solution.steps):
        return
    last = int(tested.steps[tested.goal].max())
    recorded = np.zeros((last, actions.shape[1]), np.int32)
    recorded[: len(actions)] = actions[:last]
    solution.actions, solution.steps, solution.method = recorded, steps, method
    solution.solved, solution.robust_share, solution.robust = True, share, share >= settings.needed_share


def _longest(steps: int, max_steps: int) -> int:
    return min(steps + SLACK[0] + steps // SLACK[1], max_steps)


def _stack(trees: list[Any]) -> Any:
    """One tree of several. On the host, as all between generations: many small programs would have to be compiled."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def _at(tree: Any, index: int) -> Any:
    return jax.tree.map(lambda x: x[index], tree)
