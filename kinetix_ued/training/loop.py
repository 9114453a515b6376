"""The loop: puts a curriculum, an environment and an agent together, and keeps what comes of it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from kinetix_ued.agents import Policy
from kinetix_ued.curricula import Curriculum
from kinetix_ued.environment import KinetixEnv
from kinetix_ued.generators import Generator

from . import checkpoint
from .build import build_curriculum, build_env, build_learner, build_network, build_sampler
from .callbacks import configured
from .config import CUSTOM, TrainConfig, decisive, validate
from .metrics import Callback, JsonLines, Metrics, Rating, RunningSolveRate
from .run import (
    CHECKPOINTS,
    CONFIG,
    INITIAL,
    METRICS,
    STEP_KINDS,
    Run,
    TrainedPolicy,
    initial_params,
    read_config,
    write_config,
)
from .update import TrainState, make_update

RUNNING_SOLVE_RATE = "running_solve_rate"
"""Name of the rating of a checkpoint that no evaluation rates."""


def train(
    config: TrainConfig,
    curriculum: Curriculum | None = None,
    callbacks: Sequence[Callback] = (),
    resume: bool = False,
    *,
    generator: Generator | None = None,
) -> Run:
    """Train an agent as ``config`` says, into the folder ``config.out``.

    Ctrl-C (and SIGTERM) finishes the update at hand, saves and returns; a second one stops at once.

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
            run of another configuration.
        FloatingPointError: when the loss is no longer finite.
    """
    if curriculum is not None and generator is not None:
        raise ValueError("a curriculum passed as functions brings its own levels: give the generator to it instead")
    for name, passed in (("curriculum", curriculum), ("generator", generator)):
        if passed is not None:
            config = dataclasses.replace(config, **{name: CUSTOM})
        elif getattr(config, name) == CUSTOM:
            raise ValueError(f"this run was started with a {name} of its own: pass the same one as {name}=")
    validate(config)
    program = _program(_shared(config), curriculum, generator)
    key = jax.random.key(config.seed)
    example = jax.eval_shape(program.init, key)
    own = configured(config, example.curriculum)
    path, first_params = _folder(config, resume), None
    if config.init_from:
        first_params = initial_params(path, config, example.agent.params)
    write_config(path, config)

    saved = checkpoint.load(path / CHECKPOINTS, example, config=decisive(config))
    state = program.init(key) if saved is None else jax.tree.map(jnp.asarray, saved.tree)
    if saved is None and config.init_from:
        checkpoint.save(path / INITIAL, first_params, update=0, config=decisive(config), host={}, keep=1)
        state = state._replace(agent=state.agent._replace(params=first_params))
    env = program.env
    run = Run(path, config, env, TrainedPolicy(program.network, state.agent.params, env.observation_space()))
    if saved is not None:
        run.restore_counts(saved)
    return _loop(run, state, program.update, [*callbacks, *own])


def resume(
    path: str | os.PathLike[str],
    curriculum: Curriculum | None = None,
    callbacks: Sequence[Callback] = (),
    *,
    generator: Generator | None = None,
    **changes: Any,
) -> Run:
    """Go on with the run in folder ``path`` until its end; see ``train``.

    Args:
        path: folder of the run.
        curriculum: the same one again, if the run was started with one.
        callbacks: as for ``train``; they are not saved.
        generator: the same one again, if the run was started with one.
        changes: fields of the configuration that do not touch what is learned, see ``config.NEUTRAL_FIELDS``.
    """
    config = dataclasses.replace(read_config(path), **changes, out=str(path))
    return train(config, curriculum, callbacks, resume=True, generator=generator)


class _Program(NamedTuple):
    """What a configuration is compiled to."""

    env: KinetixEnv
    network: Policy
    init: Callable[[jax.Array], TrainState]
    update: Callable[[TrainState], tuple[TrainState, dict[str, jax.Array]]]


@functools.lru_cache(maxsize=8)  # a comparison of several methods comes back to each for every seed
def _program(config: TrainConfig, curriculum: Curriculum | None, generator: Generator | None) -> _Program:
    """The functions of a run, built once for all seeds of a configuration."""
    env = build_env(config)
    network = build_network(config, env)
    filter_steps = 0
    if curriculum is None:
        sample, filter_steps = build_sampler(config, generator)
        curriculum = build_curriculum(config, sample)
    init, update = make_update(config, env, network, build_learner(config, env, network), curriculum, filter_steps)
    return _Program(env, network, jax.jit(init), jax.jit(update, donate_argnums=0))


def _shared(config: TrainConfig) -> TrainConfig:
    """The configuration with a standard value for whatever the compiled functions do not depend on."""
    shared = {name: value for name, value in decisive(config).items() if name not in ("seed", "init_from")}
    return dataclasses.replace(TrainConfig(), **shared)


def _loop(run: Run, state: Any, update: Any, callbacks: list[Callback]) -> Run:
    """Update until the steps are taken, a callback ends the run or someone interrupts."""
    config = run.config
    lines = JsonLines(run.path / METRICS, run.updates)
    running = RunningSolveRate(config.solve_rate_window, run.metrics)
    run.solve_rate = running.value
    best = checkpoint.best_rating(run.path / CHECKPOINTS)
    saved_at = run.updates

    def save(rating: Rating | None) -> None:
        nonlocal saved_at, best
        lines.sync()  # a checkpoint never knows more updates than the numbers before it
        checkpoint.save(
            run.path / CHECKPOINTS,
            state,
            update=run.updates,
            config=decisive(config),
            host={"counts": run.counts},
            keep=config.keep_checkpoints,
            rating=rating,
        )
        saved_at = run.updates
        best = max(filter(None, (best, rating)), key=lambda r: r.rank, default=None)

    try:
        _call(callbacks, "begin", run)
        with _postponed_interrupt() as interrupted:
            while run.counts["learning"] < config.steps and not run.stopped and not interrupted.is_set():
                started = time.perf_counter()
                state, numbers = update(state)
                numbers = jax.device_get(numbers)
                run.state, run.policy.params = state, state.agent.params
                metrics = _account(run, numbers, time.perf_counter() - started)
                running.note(metrics)
                run.solve_rate, run.rating = running.value, None
                for callback in callbacks:
                    callback(run, metrics)
                lines.write(metrics)
                if run.rating is not None and not math.isfinite(run.rating.value):
                    run.rating = None
                surpassed = _is_better(run.rating, best)
                if run.rating is None and run.solve_rate is not None:
                    run.rating = Rating(RUNNING_SOLVE_RATE, run.solve_rate)
                if surpassed or run.updates % config.checkpoint_every == 0:
                    save(run.rating)
            if run.updates != saved_at:
                save(run.rating)
        run.interrupted = run.counts["learning"] < config.steps and not run.stopped
    finally:
        run.state = None
        lines.close()
        _call(callbacks, "close")
    if run.stopped:
        print(f"finished after {run.updates} updates: {run.stopped}", file=sys.stderr)
    return run


def _call(callbacks: list[Callback], method: str, *arguments: Any) -> None:
    """Call a method of every callback that has it."""
    for callback in callbacks:
        if function := getattr(callback, method, None):
            function(*arguments)


def _is_better(rating: Rating | None, best: Rating | None) -> bool:
    """Whether a callback's rating is worth a checkpoint of its own."""
    return rating is not None and (best is None or rating.rank > best.rank)


def _account(run: Run, numbers: dict[str, Any], seconds: float) -> Metrics:
    """Add an update's steps to the run's counts; its numbers as they are reported.

    Steps are counted per update on the device and summed here, where integers do not overflow.
    """
    run.updates += 1
    taken = {kind: int(numbers.pop(f"steps/{kind}")) for kind in STEP_KINDS if f"steps/{kind}" in numbers}
    for kind, count in taken.items():
        run.counts[kind] += count
    metrics: Metrics = {"update": run.updates}
    metrics |= {f"steps/{kind}": count for kind, count in run.counts.items()}
    metrics |= {name: number.item() for name, number in numbers.items()}
    metrics["seconds"] = seconds
    metrics["steps_per_second"] = (taken["learning"] + taken["scoring"]) / seconds
    if taken["learning"] and not math.isfinite(metrics["loss/total"]):
        raise FloatingPointError(
            f"the loss of update {run.updates} is not finite: use a smaller learning_rate or max_grad_norm; "
            f"the checkpoints in {run.path / CHECKPOINTS} are from before"
        )
    return metrics


def _folder(config: TrainConfig, resume: bool) -> Path:
    """The folder that the run is to have; refused if it holds another one."""
    if resume:
        path = Path(config.out)
        checkpoint.refuse_other_config(decisive(read_config(path)), decisive(config), path)
        return path
    if config.out:
        path = Path(config.out)
        if (path / CONFIG).exists():
            raise ValueError(f"{path} already holds a run: resume it, or choose another folder")
        return path
    curriculum = config.curriculum.rpartition(":")[2]
    return _unused(Path("runs") / f"{config.preset}-{curriculum}-{config.size}-{config.seed}")


def _unused(path: Path) -> Path:
    """``path``, or the first of path-2, path-3 ... that does not exist."""
    candidates = (path if n == 1 else path.with_name(f"{path.name}-{n}") for n in range(1, 10**9))
    return next(candidate for candidate in candidates if not candidate.exists())


@contextlib.contextmanager
def _postponed_interrupt() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; the second of them interrupts. Outside the main thread it stays unset."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def note(number: int, frame: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()
        print("\nstopping after this update, then saving; once more to stop at once", file=sys.stderr)

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
