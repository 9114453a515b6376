"""Who is evaluated: runs, several runs of one method, and the policies that need no run."""

from __future__ import annotations

import dataclasses
import functools
import glob
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from kinetix_ued.agents import Agent, load, names_an_agent
from kinetix_ued.environment import KinetixEnv, make
from kinetix_ued.levels import listed
from kinetix_ued.randomness import purposes
from kinetix_ued.training import Run, seed_folders
from kinetix_ued.training.evaluation import account_of
from kinetix_ued.world import SIZES, Size, get_engine, size_of

from .evaluate import Evaluation, evaluate
from .fitting import policy_and_environment, refuse_misfit
from .policies import NOOP, RANDOM, Policy, baseline, is_baseline
from .report import Played
from .suite import Suite

SHARED = ("physics", "frame_skip", "dense_reward_scale", "max_steps")
"""Settings of an environment in which all runs of one table must agree."""


ACCOUNT = ("updates", "steps", "seconds", "config")
"""What a report says of a run besides its source, as far as it is known."""


@dataclasses.dataclass(frozen=True)
class Method:
    """A policy, or several that one method has trained.

    Attributes:
        name: what tables call it
        sources: the folder of each run, the name or file of a saved agent, or the name of a baseline
        runs: as loaded; none for a baseline
    """

    name: str
    sources: tuple[str, ...]
    runs: tuple[Run | Agent, ...] = ()

    def about(self) -> list[dict[str, Any]]:
        """What tells each run from others, for a report."""
        if not self.runs:
            return [{"source": source} for source in self.sources]
        return [_account(run, source) for source, run in zip(self.sources, self.runs)]

    def runs_for(self, size: Size) -> list[tuple[str, Run]]:
        """The runs that play levels of ``size``, with their sources.

        They are all of them, or, where a method trained one for each size, those of the smallest size that holds the
        levels.
        """
        runs = list(zip(self.sources, self.runs))
        holding = {run.env.size for run in self.runs if run.env.size.holds(size)}
        if len({run.env.size for run in self.runs}) > 1 and holding:
            smallest = min(holding, key=lambda own: own.bodies)
            runs = [(source, run) for source, run in runs if run.env.size == smallest]
        return runs

    def policies(self, base: KinetixEnv, size: Size | None = None) -> list[tuple[Policy, KinetixEnv]]:
        """The policy of each run for levels of ``size``, and ``base`` with the run's own observation and kind of action.

        Raises:
            ValueError: for a run that cannot play the size of ``base``; names it and what it plays. For a baseline that
                its frame skip does not allow.
        """
        if not self.runs:
            return [(baseline(self.sources[0], base), base)]
        found: list[tuple[Policy, KinetixEnv]] = []
        for source, run in self.runs_for(size or base.size):
            env = dataclasses.replace(base, observation=run.env.observation, actions=run.env.actions)
            policy, _ = policy_and_environment(run)
            refuse_misfit(policy, env, name=source)
            found.append((policy, env))
        return found


def load_methods(entries: Sequence[str], checkpoint: str | int = "latest") -> list[Method]:
    """The methods of a command line.

    Args:
        entries: ``noop``; ``random``; ``random:FRAMES``; ``agent:NAME`` or FILE.safetensors for a saved agent; the folder
            of a run; a folder that holds the runs of several seeds; or ``name=FOLDER,FOLDER`` for several runs of one method, where a folder may be a pattern,
            ``runs/dr-*``.
        checkpoint: of each run: ``latest``, ``best``, or the number of an update.

    Raises:
        ValueError: for a folder without runs, a run or a name that comes twice.
    """
    methods = []
    for name, sources in named_sources(entries).items():
        runs = () if is_baseline(sources[0]) else tuple(_loaded(source, checkpoint) for source in sources)
        methods.append(Method(name, tuple(sources), runs))
    return methods


def named_sources(entries: Sequence[str]) -> dict[str, list[str]]:
    """The methods of a command line by name, each with the sources of its runs; see ``load_methods``, which loads them.

    Raises:
        ValueError: likewise.
    """
    parsed = [_parse(entry) for entry in dict.fromkeys(entries)]
    own = [Path(given).resolve().name for name, _, given in parsed if name is None]
    found: dict[str, list[str]] = {}
    for name, sources, given in parsed:
        if name is None:  # a folder's own name, or its path where two share one
            name = Path(given).resolve().name
            name = name if own.count(name) == 1 else given
        if twice := next((source for source in sources if sources.count(source) > 1), None):
            raise ValueError(f"{twice} comes twice among the runs of {name}: name every run once")
        if name in found:
            raise ValueError(f"two policies are called {name}: give one another name, as name=FOLDER")
        found[name] = sources
    return found


def _parse(entry: str) -> tuple[str | None, list[str], str]:
    """The given name if there is one, the sources of all runs, and the entry without the name."""
    name, equals, listed = entry.partition("=")
    if not equals or os.path.exists(entry):
        return None, _sources(entry), entry
    if not name or not listed:
        raise ValueError(f"{entry}: write name=FOLDER, or name=FOLDER,FOLDER for several runs of one method")
    sources = [source for part in listed.split(",") for source in _sources(part)]
    if len(sources) > 1 and (alone := next(filter(is_baseline, sources), None)):
        raise ValueError(f"{entry}: {alone} is not a run that could be taken together with others")
    return name, sources, listed


def _sources(part: str) -> list[str]:
    """The runs that a folder or a pattern of folders stands for."""
    if is_baseline(part) or names_an_agent(part):
        return [part]
    folders = [part] if os.path.exists(part) else sorted(glob.glob(part))
    if not folders or not all(map(os.path.isdir, folders)):
        raise ValueError(f"{part} is no folder of a run: name one, or {NOOP}, {RANDOM} or {RANDOM}:FRAMES")
    return [str(run) for folder in folders for run in seed_folders(folder) or [Path(folder)]]


def _loaded(source: str, checkpoint: str | int) -> Run | Agent:
    return load(source) if names_an_agent(source) else Run.load(source, checkpoint)


def _account(run: Run | Agent, source: str) -> dict[str, Any]:
    """What a report says of a run, or of the training of a saved agent."""
    if not isinstance(run, Agent):
        return account_of(run, source)
    return {"source": source, **{name: run.card["training"][name] for name in ACCOUNT if name in run.card["training"]}}


def shared_environment(methods: Sequence[Method], engine: str | None = None) -> KinetixEnv:
    """The environment whose rules hold for all: the runs', or the default one.

    Raises:
        ValueError: where runs were trained under different rules.
    """
    runs = [(source, run.env) for method in methods for source, run in zip(method.sources, method.runs)]
    if not runs:
        return make("s", engine=engine or "auto")
    (first, base), *others = runs
    for name, env in others:
        for setting in SHARED:
            here, there = getattr(base, setting), getattr(env, setting)
            if here != there:
                raise ValueError(
                    f"{first} was trained with {setting}={here} and {name} with {setting}={there}: "
                    "evaluate them one at a time"
                )
    return dataclasses.replace(base, engine=get_engine(engine, base.physics).name) if engine else base


def playing_size(size: Size, methods: Sequence[Method]) -> Size:
    """The smallest size that holds levels of ``size`` and those of all runs that play them: a run's own, if it does.

    Where nobody has a size of its own it is a standard one.
    """
    own = [run.env.size for method in methods for _, run in method.runs_for(size)]
    for candidate in [size, *own] if own else SIZES.values():
        if all(candidate.holds(other) for other in (size, *own)):
            return candidate
    needed = functools.reduce(Size.joined, own, size)
    return next((standard for standard in SIZES.values() if standard.holds(needed)), needed)


@dataclasses.dataclass(frozen=True)
class Part:
    """Levels of a suite that are played in one size.

    Attributes:
        members: their places in the suite (P)
        suite: these levels, in the size they are played in
        entrants: of each method by name, the policy of each run and what it plays in
    """

    members: np.ndarray
    suite: Suite
    entrants: dict[str, list[tuple[Policy, KinetixEnv]]]


def parts_of(suite: Suite, methods: Sequence[Method], base: KinetixEnv) -> list[Part]:
    """A suite, divided by the size in which its levels are played and by the runs that play them.

    Every level is played in the smallest size that holds it and in which all methods can play it.

    Args:
        suite: levels of any sizes.
        methods: see ``load_methods``.
        base: the rules; each run keeps its own observation and kind of action.

    Raises:
        ValueError: for a run that does not fit; names it, and what it plays.
    """
    together: dict[Any, tuple[Size, list[str]]] = {}
    for own in dict.fromkeys(suite.sizes):
        size = size_of(own)
        playing = playing_size(size, methods)
        chosen = tuple(source for method in methods for source, _ in method.runs_for(size))
        together.setdefault((playing, chosen), (size, []))[1].append(own)
    parts = []
    for (playing, _), (size, names) in together.items():
        members = np.flatnonzero(np.isin(suite.sizes, names))
        env = dataclasses.replace(base, size=playing)
        try:
            entrants = {method.name: method.policies(env, size) for method in methods}
        except ValueError as problem:
            wanted = listed([f"{suite.folders[i]}/{suite.names[i]}" for i in members])
            raise ValueError(f"{problem}; it was asked to play {wanted}") from None
        parts.append(Part(members, suite.subset(members).resized(playing), entrants))
    return parts


Play = Callable[..., Evaluation]
"""``play(title, policy, suite, env, key=..., attempts=..., greedy=..., batch=...)``: ``evaluate``, told who plays."""


def play_silently(title: str, policy: Policy, suite: Suite, env: KinetixEnv, **options: Any) -> Evaluation:
    return evaluate(policy, suite, env=env, **options)


def play_methods(
    suite: Suite,
    parts: Sequence[Part],
    *,
    key: jax.Array,
    name: str = "",
    worst: bool = False,
    play: Play = play_silently,
    **options: Any,
) -> Played:
    """Evaluate every run of every method on a suite.

    Runs of a method draw from different keys, and the same run from the same one whatever stands beside it.

    Args:
        suite: what is played.
        parts: of it, with those who play them; see ``parts_of``.
        key: of all randomness.
        name: of the suite.
        worst: play it a second time, for the solve rate on the worst levels.
        play: in place of ``evaluate``.
        options: attempts, greedy and batch, as for ``evaluate``.
    """

    def run_of(title: str, method: str, number: int, key: jax.Array) -> Evaluation:
        found = []
        for i, part in enumerate(parts):
            policy, env = part.entrants[method][number]
            where = f"{title}, {env.size.name}" if len(parts) > 1 else title
            found.append(play(where, policy, part.suite, env, key=jax.random.fold_in(key, i), **options))
        return _joined(found, [part.members for part in parts], len(suite.names))

    def all_runs(word: str, key: jax.Array) -> dict[str, list[Evaluation]]:
        found: dict[str, list[Evaluation]] = {}
        for method, policies in parts[0].entrants.items():
            for number in range(len(policies)):
                title = (f"{method} ({number + 1})" if number else method) + word
                found.setdefault(method, []).append(run_of(title, method, number, jax.random.fold_in(key, number)))
        return found

    keys = purposes(key, "first", "again")
    first = all_runs("", keys.first)
    again = all_runs(", again", keys.again) if worst else {}
    return Played(suite, first, again, name, tuple(dict.fromkeys(part.suite.levels.size.name for part in parts)))


def _joined(evaluations: Sequence[Evaluation], members: Sequence[np.ndarray], levels: int) -> Evaluation:
    """One evaluation of all levels from those of its parts; it has no environment if they differ."""
    if len(evaluations) == 1:
        return evaluations[0]
    places = np.argsort(np.concatenate(members))
    assert len(places) == levels
    joined = lambda name: np.concatenate([getattr(e, name) for e in evaluations])[places]
    return dataclasses.replace(
        evaluations[0],
        solved=joined("solved"),
        returns=joined("returns"),
        lengths=joined("lengths"),
        nonfinite=joined("nonfinite"),
        environment_steps=sum(e.environment_steps for e in evaluations),
        idle_steps=sum(e.idle_steps for e in evaluations),
        seconds=sum(e.seconds for e in evaluations),
        env=None,
        recording=None,
    )
