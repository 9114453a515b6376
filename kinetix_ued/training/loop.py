"""The loop: puts a curriculum, an environment and an agent together, and saves the results."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from kinetix_ued.agents import Policy
from kinetix_ued.curricula import Curriculum
from kinetix_ued.environment import KinetixEnv
from kinetix_ued.generators import Generator
from kinetix_ued.output import steady_output
from kinetix_ued.user_code import names_a_file

from . import checkpoint
from .build import (
    build_curriculum,
    build_env,
    build_learner,
    build_network,
    build_sampler,
    decision_env,
)
from .callbacks import configured
from .config import CUSTOM, NOTED_FIELDS, TrainConfig, decisive, validate
from .evaluation import evaluate_finished
from .interrupt import postponed_interrupt
from .lock import RunInUse, locked
from .memory import refuse_too_large
from .metrics import Callback
from .own_code import keep_code, located, refuse_changed_code
from .own_curriculum import check_curriculum, try_curriculum
from .own_levels import keep_levels, refuse_changed_levels, with_levels_noted
from .recorder import Recorder
from .run import (
    CHECKPOINTS,
    CONFIG,
    INITIAL,
    PENDING,
    Run,
    TrainedPolicy,
    initial_params,
    read_config,
    seed_folder,
    seed_folders,
    write_config,
)
from .teacher import TEACHER, Teacher, find_teacher
from .update import TrainState, make_update


def train(
    config: TrainConfig,
    curriculum: Curriculum | None = None,
    callbacks: Sequence[Callback] = (),
    resume: bool = False,
    *,
    generator: Generator | None = None,
) -> Run:
    """Train an agent as ``config`` says, into the folder ``config.out``.

    A run that has come to its end is evaluated beside the baselines into ``evaluation.json``, see ``Run.evaluation``;
    ``eval_levels=0`` leaves that out.

    Ctrl-C (and SIGTERM, and SIGHUP when a terminal is closed) finishes the update at hand, saves and returns; a second
    Ctrl-C or SIGTERM stops at once. An error, of a callback too, is raised after the last update has been saved. Output
    that cannot be written stops nothing. The run's folder is locked meanwhile, see ``lock``.

    Args:
        config: see ``TrainConfig``.
        curriculum: used instead of the one that ``config`` names.
        callbacks: each is called with the run and its numbers after every update, before those that ``config`` asks
            for; see the package ``callbacks``.
        resume: go on where the last whole checkpoint in ``config.out`` was written, or from the start if there is none;
            everything that follows is as if the run had never stopped.
        generator: ``(key, size) -> Level``, used instead of the one that ``config`` names.

    Raises:
        ValueError: for a configuration that cannot run, a folder that already holds a run (without ``resume``), or a
            run of another configuration; ``RunInUse`` for one that is being trained already.
        FloatingPointError: when a loss or a parameter is no longer finite.
    """
    if config.seeds > 1:
        raise ValueError(f"seeds={config.seeds} makes several runs: train_seeds(config) returns them all")
    return _train(config, curriculum, callbacks, resume, generator)[0]


def train_seeds(
    config: TrainConfig,
    curriculum: Curriculum | None = None,
    callbacks: Sequence[Callback] = (),
    resume: bool = False,
    *,
    generator: Generator | None = None,
) -> list[Run]:
    """Train ``config.seeds`` agents side by side in one program, with seeds from ``config.seed`` on.

    Each is a run like any other, in the folder ``seed-N`` of ``config.out``; only they are resumed together. None
    knows of the others, but it may round in another way than a run alone. Memory grows with the number of seeds. Where
    a curriculum plays some updates for scores alone, each update computes both kinds for every seed, since any of them
    may be at either.

    Args:
        config: see ``TrainConfig``.
        curriculum, resume, generator: as for ``train``.
        callbacks: as for ``train``; each is called for every run in turn.

    Raises:
        ValueError, FloatingPointError: as ``train``.
    """
    return _train(config, curriculum, callbacks, resume, generator)


def resume(
    path: str | os.PathLike[str],
    curriculum: Curriculum | str | None = None,
    callbacks: Sequence[Callback] = (),
    *,
    generator: Generator | str | None = None,
    **changes: Any,
) -> Run:
    """Go on with the run in folder ``path`` until its end; see ``train``.

    Args:
        path: folder of the run.
        curriculum: the same one again, if the run was started with functions; path/to/file.py:function, if the file
            that the run was started with has moved.
        callbacks: as for ``train``; they are not saved.
        generator: likewise.
        changes: fields of the configuration that do not touch what is learned, see ``config.NEUTRAL_FIELDS``.

    Raises:
        ValueError: as ``train``, for one of several runs that were trained side by side, and for a file of your own
            that is not what it was when the run began, unless ``accept_changed_code`` is among the changes.
    """
    curriculum, generator, changes = _named(changes, curriculum, generator)
    config = read_config(path)
    if config.seeds > 1:
        raise ValueError(f"{path} was trained beside other seeds: go on with all of them, in {Path(path).parent}")
    config = dataclasses.replace(config, **changes, out=str(path))
    return train(config, curriculum, callbacks, resume=True, generator=generator)


def resume_seeds(
    path: str | os.PathLike[str],
    curriculum: Curriculum | str | None = None,
    callbacks: Sequence[Callback] = (),
    *,
    generator: Generator | str | None = None,
    **changes: Any,
) -> list[Run]:
    """Go on with the runs that ``train_seeds`` began in folder ``path``; arguments and errors as of ``resume``."""
    curriculum, generator, changes = _named(changes, curriculum, generator)
    folders = seed_folders(path)
    if not folders:
        raise ValueError(f"{path} holds no runs of several seeds: there is no folder seed-0 or the like in it")
    config = dataclasses.replace(read_config(folders[0]), **changes, out=str(path))
    return train_seeds(config, curriculum, callbacks, resume=True, generator=generator)


def _named(
    changes: dict[str, Any], curriculum: Curriculum | str | None, generator: Generator | str | None
) -> tuple[Curriculum | None, Generator | None, dict[str, Any]]:
    """Curriculum and generator where they are functions; where they are names, they are among the changes instead."""
    if isinstance(curriculum, str):
        curriculum, changes = None, changes | {"curriculum": curriculum}
    if isinstance(generator, str):
        generator, changes = None, changes | {"generator": generator}
    return curriculum, generator, changes


def _train(
    config: TrainConfig,
    curriculum: Curriculum | None,
    callbacks: Sequence[Callback],
    resume: bool,
    generator: Generator | None,
) -> list[Run]:
    """The runs of all seeds of ``config``, trained to their end."""
    if curriculum is not None and generator is not None:
        raise ValueError("a curriculum passed as functions brings its own levels: give the generator to it instead")
    for name, passed in (("curriculum", curriculum), ("generator", generator)):
        if passed is not None:
            config = dataclasses.replace(config, **{name: CUSTOM})
        elif getattr(config, name) == CUSTOM:
            raise ValueError(f"this run was started with a {name} of its own: pass the same one as {name}=")
        if passed is not None and config.levels:
            raise ValueError(f"a {name} passed as functions brings its own levels: leave levels out, or the {name}")
    validate(config)
    config = with_levels_noted(located(config))
    teacher = find_teacher(config, resume)
    config = dataclasses.replace(config, teacher_hash=teacher.digest if teacher else "")
    if teacher is not None and teacher.levels is not None:
        if config.levels or generator is not None or curriculum is not None or config.curriculum != "dr":
            raise ValueError("proofs bring the levels that they solve: leave levels, generator and curriculum out")
        generator = teacher.levels
        config = dataclasses.replace(config, filters="")  # each of them is proved
    _each_seed(config, resume)  # refuses what it can before anything is compiled
    if teacher is not None and teacher.note:
        print(teacher.note, file=sys.stderr)
    program = _program(_shared(config), curriculum, generator, teacher)
    example = jax.eval_shape(program.init, jax.random.key(config.seed))
    own_callbacks = [configured(config, example.curriculum) for _ in range(config.seeds)]
    refuse_too_large(example, "its training state", times=config.seeds)
    with contextlib.ExitStack() as locks:
        recorders = []
        for each, own in zip(_claimed(config, resume, example, locks), own_callbacks, strict=True):
            run, state, pending = _begin(each, program, example, teacher)
            recorders.append(Recorder(run, state, [*callbacks, *own], pending))
        with steady_output():
            _loop(recorders, program.update)
    return [recorder.run for recorder in recorders]


_Update = Callable[[tuple[TrainState, ...]], tuple[tuple[TrainState, ...], tuple[dict[str, jax.Array], ...]]]
"""One update of the runs of all seeds: from their states to their next states and numbers, in the same order."""


class _Program(NamedTuple):
    """What a configuration is compiled to."""

    env: KinetixEnv
    network: Policy
    init: Callable[[jax.Array], TrainState]
    update: _Update


@functools.lru_cache(maxsize=8)  # a comparison of several methods comes back to each for every seed
def _program(
    config: TrainConfig, curriculum: Curriculum | None, generator: Generator | None, teacher: Teacher | None
) -> _Program:
    """The functions of a run, built once for all seeds of a configuration."""
    env = build_env(config)
    network = build_network(config, env)
    filter_steps = 0
    if curriculum is None:
        sample, filter_steps = build_sampler(config, generator)
        curriculum = build_curriculum(config, sample)
    if config.curriculum == CUSTOM or names_a_file(config.curriculum):
        check_curriculum(curriculum, config)
        try_curriculum(curriculum, config)
    learner = build_learner(config, env, network)
    guide = None if teacher is None else teacher.guide(config)
    init, update = make_update(config, decision_env(config), network, learner, curriculum, filter_steps, guide)

    def update_all(states: tuple[TrainState, ...]):
        if len(states) == 1:
            state, numbers = update(states[0])
            return (state,), (numbers,)
        stacked = jax.tree.map(lambda *x: jnp.stack(x), *states)
        state, numbers = jax.vmap(update)(stacked)
        each = lambda tree: tuple(jax.tree.map(lambda x: x[i], tree) for i in range(len(states)))
        return each(state), each(numbers)

    return _Program(env, network, jax.jit(init), jax.jit(update_all, donate_argnums=0))


def _shared(config: TrainConfig) -> TrainConfig:
    """The configuration with a standard value for whatever the compiled functions do not depend on."""
    shared = {name: value for name, value in decisive(config).items() if name not in ("seed", "init_from")}
    # A file of the user's in full: another folder, or another content, is another program.
    shared |= {name: getattr(config, name) for name in ("curriculum", "generator", "levels", *NOTED_FIELDS)}
    return dataclasses.replace(TrainConfig(), **shared)


def _claimed(config: TrainConfig, resume: bool, example: TrainState, locks: contextlib.ExitStack) -> list[TrainConfig]:
    """The configurations of all seeds, whose folders are then locked until ``locks`` ends.

    Raises:
        ValueError: as ``_each_seed``, and where a folder is locked by another process; for a new run in a folder that
            nobody has named, the next free one is taken instead.
    """
    while True:
        with contextlib.ExitStack() as taken:
            try:
                found = _each_seed(config, resume)
                for own in found:
                    if own.init_from and not resume:  # refused before a folder is made
                        initial_params(Path(own.out), own, example.agent.params)
                for own in found:
                    taken.enter_context(locked(Path(own.out)))
                    if not resume and (Path(own.out) / CONFIG).exists():
                        raise RunInUse(f"{own.out} already holds a run: resume it, or choose another folder")
            except RunInUse:
                if config.out:
                    raise
                continue
            locks.enter_context(taken.pop_all())
            return found


def _begin(
    config: TrainConfig, program: _Program, example: TrainState, teacher: Teacher | None
) -> tuple[Run, TrainState, dict[str, float | int | None] | None]:
    """A run in its folder, and the state of its last whole checkpoint or else that of its beginning.

    The numbers are those of the last update, if that was saved before its callbacks were done.

    Raises:
        CheckpointError: where there are checkpoints and none is whole: a run is begun again only by decision.
    """
    path, first_params = Path(config.out), None
    if config.init_from:
        first_params = initial_params(path, config, example.agent.params)
    folder = path / CHECKPOINTS
    checkpoint.recover(folder)
    saved = checkpoint.load(folder, example, config=decisive(config))
    if saved is None and (damaged := checkpoint.saved_updates(folder)):
        raise checkpoint.CheckpointError(
            f"every checkpoint in {folder} is damaged (updates {', '.join(map(str, damaged))}): move them away to "
            "begin the run again"
        )
    write_config(path, config)
    keep_code(path, config)
    keep_levels(path, config)
    if teacher is not None:
        teacher.keep(path / TEACHER)
    state = program.init(jax.random.key(config.seed)) if saved is None else jax.tree.map(jnp.asarray, saved.tree)
    if saved is None and config.init_from:
        checkpoint.save(path / INITIAL, first_params, update=0, config=decisive(config), host={}, keep=1)
        state = state._replace(agent=state.agent._replace(params=first_params))
    env = program.env
    run = Run(path, config, env, TrainedPolicy(program.network, state.agent.params, env.observation_space()))
    if saved is None:
        return run, state, None
    run.restore_counts(saved)
    return run, state, saved.host.get(PENDING)


def _loop(recorders: list[Recorder], update: _Update) -> None:
    """Update all runs until each has taken its steps or a callback has ended it, or someone interrupts."""
    with contextlib.ExitStack() as closing:
        for recorder in reversed(recorders):
            closing.callback(recorder.close)
        for recorder in recorders:
            recorder.begin()
        with postponed_interrupt() as interrupted:
            try:
                while any(recorder.unfinished for recorder in recorders) and not interrupted.is_set():
                    _update_all(recorders, update)
                for recorder in recorders:
                    recorder.save()
            except BaseException as problem:
                if not (isinstance(problem, KeyboardInterrupt) and interrupted.is_set()):  # that one means at once
                    for recorder in recorders:
                        recorder.rescue()
                raise
            for recorder in recorders:
                done = not recorder.unfinished and evaluate_finished(recorder.run, interrupted.is_set)
                recorder.run.interrupted = not done


def _update_all(recorders: list[Recorder], update: _Update) -> None:
    """One more update of every run that is not done."""
    started = time.perf_counter()
    going = [recorder.unfinished for recorder in recorders]
    # A run that is done is computed with the others, from a copy: an update takes the arrays it is given.
    given = (r.state if goes else _copy(r.state) for r, goes in zip(recorders, going, strict=True))
    states, numbers = update(tuple(given))
    numbers = jax.device_get(numbers)
    seconds = time.perf_counter() - started
    taken = [(r, *new) for r, goes, *new in zip(recorders, going, states, numbers, strict=True) if goes]
    for recorder, state, own in taken:  # all of them first: an error in one run loses no update of another
        recorder.take(state, own, seconds)
    for recorder, *_ in taken:
        recorder.finish()


def _copy(state: TrainState) -> TrainState:
    return jax.tree.map(lambda x: x.copy(), state)


def _each_seed(config: TrainConfig, resume: bool) -> list[TrainConfig]:
    """The configurations of all seeds, each with its own folder; nothing is written.

    Raises:
        ValueError: for a folder that holds a run already, or where ``resume``, one of another configuration.
    """
    path = Path(config.out)
    if not config.out:
        curriculum = config.curriculum.rpartition(":")[2]
        path = _unused(Path("runs") / f"{config.preset}-{curriculum}-{config.size}-{config.seed}")
    if not resume and ((path / CONFIG).exists() or seed_folders(path)):
        raise RunInUse(f"{path} already holds a run: resume it, or choose another folder")
    if config.seeds == 1:
        found = [dataclasses.replace(config, out=str(path))]
    else:
        seeds = range(config.seed, config.seed + config.seeds)
        found = [dataclasses.replace(config, seed=seed, out=str(seed_folder(path, seed))) for seed in seeds]
    for own in found if resume else []:
        # Of several runs, the last may not have been begun when the first ones were stopped.
        if config.seeds == 1 or (Path(own.out) / CONFIG).exists():
            saved = read_config(own.out)
            refuse_changed_levels(dataclasses.replace(saved, out=own.out), own)
            checkpoint.refuse_other_config(decisive(saved), decisive(own), Path(own.out))
            refuse_changed_code(dataclasses.replace(saved, out=own.out), own)
    return [dataclasses.replace(own, accept_changed_code=False) for own in found]  # accepted this once


def _unused(path: Path) -> Path:
    """``path``, or the first of path-2, path-3 ... that does not exist."""
    candidates = (path if n == 1 else path.with_name(f"{path.name}-{n}") for n in range(1, 10**9))
    return next(candidate for candidate in candidates if not candidate.exists())
