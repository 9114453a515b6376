"""``kinetix-ued eval``: score runs, and the policies that need no run, on the same levels."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from .common import play, positive, seed

NOOP, RANDOM = "noop", "random"
SHARED = ("physics", "frame_skip", "dense_reward_scale", "max_steps")
"""Settings of an environment in which all policies of one table must agree."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("policies", nargs="+", metavar="RUN", help="folder of a run, or noop, or random; several stand side by side")
    add("--levels", nargs="+", metavar="PATH", help="level files, and folders of them (256 held-out random levels)")
    add("--attempts", type=positive, default=20, help="episodes a level (%(default)s)")
    add("--greedy", action="store_true", help="take the most likely action instead of a sampled one")
    add("--seed", type=seed, default=0, help="seed of the evaluation (%(default)s)")
    add("--checkpoint", default="latest", metavar="WHICH", help="of runs: latest, best, or an update's number (%(default)s)")
    add("--batch", type=positive, help="environments side by side (256)")
    add("--engine", choices=("auto", "warp", "jax"), help="physics engine (auto)")
    add("--json", metavar="FILE", help="write the results here, too")
    add("--overwrite", action="store_true", help="replace FILE")


def run(arguments: argparse.Namespace) -> int:
    import jax

    from kinetix_ued.benchmarks import as_json, format_table, load_suite, random_suite, refuse_overwriting, write_json

    names = list(dict.fromkeys(arguments.policies))
    if arguments.json:
        refuse_overwriting(arguments.json, arguments.overwrite)
    runs = load_runs(names, arguments.checkpoint)
    base = shared_environment(runs, arguments.engine)
    suite = load_suite(arguments.levels) if arguments.levels else random_suite(base.size)
    size = playing_size(suite, {name: run.env.size for name, run in runs.items()})
    suite, base = suite.resized(size), dataclasses.replace(base, size=size)
    policies = {name: policy_of(name, runs.get(name), base) for name in names}
    options = {"key": jax.random.key(arguments.seed), "attempts": arguments.attempts}
    options |= {"greedy": arguments.greedy, "batch": arguments.batch}
    titles = short_names(names)
    scores = {
        titles[name]: play(titles[name], policy, suite, env, **options) for name, (policy, env) in policies.items()
    }
    print(format_table(suite, scores))
    if arguments.json:
        about = {titles[name]: {"source": name} | about_run(runs.get(name)) for name in names}
        report = as_json(suite, scores, env=base, seed=arguments.seed, greedy=arguments.greedy, sources=about)
        write_json(arguments.json, report, overwrite=arguments.overwrite)
    return 0


def load_runs(names: list[str], checkpoint: str = "latest") -> dict[str, Any]:
    """The runs among the policies, by what they were called, each with the policy of one of its checkpoints."""
    from kinetix_ued.training import Run

    which = int(checkpoint) if checkpoint.isdigit() else checkpoint

    folders = [name for name in names if name not in (NOOP, RANDOM)]
    for folder in folders:
        if not Path(folder).is_dir():
            raise ValueError(f"{folder} is no folder of a run: name one, or {NOOP}, or {RANDOM}")
    return {folder: Run.load(folder, which) for folder in folders}


def shared_environment(runs: dict[str, Any], engine: str | None) -> Any:
    """The environment whose rules hold for all: the runs', or the default one.

    Raises:
        ValueError: where runs were trained under different rules.
    """
    from kinetix_ued.environment import make
    from kinetix_ued.world import get_engine

    if not runs:
        return make("s", engine=engine or "auto")
    (first, base), *others = ((name, run.env) for name, run in runs.items())
    for name, env in others:
        for setting in SHARED:
            here, there = getattr(base, setting), getattr(env, setting)
            if here != there:
                raise ValueError(
                    f"{first} was trained with {setting}={here} and {name} with {setting}={there}: "
                    "evaluate them one at a time"
                )
    return dataclasses.replace(base, engine=get_engine(engine, base.physics).name) if engine else base


def playing_size(suite: Any, sizes: dict[str, Any]) -> Any:
    """The smallest size that holds the levels and all runs': a run's own, if the levels fit into it."""
    from kinetix_ued.world import SIZES, Size

    wanted = [suite.levels.size, *sizes.values()]
    for size in wanted:
        if all(size.holds(other) for other in wanted):
            return size
    counts = [field.name for field in dataclasses.fields(Size)]
    needed = Size(**{count: max(getattr(size, count) for size in wanted) for count in counts})
    return next((size for size in SIZES.values() if size.holds(needed)), needed)


def policy_of(name: str, run: Any, base: Any) -> tuple[Any, Any]:
    """A policy, and the environment with its own observation and kind of action.

    Raises:
        ValueError: for a run whose network cannot play the size.
    """
    import jax

    from kinetix_ued.benchmarks import NoopPolicy, RandomPolicy

    if run is None:
        return (NoopPolicy if name == NOOP else RandomPolicy)(base.actions), base
    env = dataclasses.replace(base, observation=run.env.observation, actions=run.env.actions)
    shapes = lambda tree: jax.tree.map(lambda x: x.shape, tree)
    try:
        wanted = shapes(jax.eval_shape(run.policy.network.init, jax.random.key(0), env.observation_space()))
    except (TypeError, ValueError):  # a network that was built for one size, and says so in its own way
        wanted = None
    if wanted != shapes(run.policy.params):
        raise ValueError(
            f"these levels are played in size {env.size.name!r}, but {name} was trained on size {run.env.size.name!r} "
            f"with observation {env.observation.name!r}, whose network plays no other: name smaller levels only, "
            "or a run with --observation entity"
        )
    return run.policy, env


def short_names(names: list[str]) -> dict[str, str]:
    """What each policy is called in the table: a folder's own name, or its path where two share one."""
    short = {name: Path(name).resolve().name for name in names}
    return {name: s if list(short.values()).count(s) == 1 else name for name, s in short.items()}


def about_run(run: Any) -> dict[str, Any]:
    """What tells a run from others."""
    if run is None:
        return {}
    return {"updates": run.updates, "steps": run.counts, "config": run.config.to_dict()}
