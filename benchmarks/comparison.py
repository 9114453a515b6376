"""Curricula side by side: runs of each with the same agent, budget, seeds and sizes, trained where they are missing.

Every run has a folder of its own under the comparison's, is resumed if it was cut short, and is not trained again once
it is done; so a comparison can be stopped at any time, and a method, a size or a seed can be added later. What the runs
are worth is then the business of ``methods`` and ``report``, as for any other runs.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kinetix_ued.renamed import current_name
from kinetix_ued.training import (
    FAMILIES,
    METHODS,
    Run,
    TrainConfig,
    method_preset,
    train,
    validate,
)
from kinetix_ued.training.build import build_env
from kinetix_ued.training.checkpoint import refuse_other_config
from kinetix_ued.training.config import decisive
from kinetix_ued.training.evaluation import is_evaluated
from kinetix_ued.training.own_code import located, refuse_changed_code
from kinetix_ued.training.run import CONFIG, read_config
from kinetix_ued.user_code import names_a_file
from kinetix_ued.world import size_of

from .methods import Method
from .policies import baseline, baseline_names
from .suite_levels import Suite

_SET_BY_COMPARISON = frozenset({"seed", "seeds", "out", "size"})


@dataclasses.dataclass(frozen=True)
class ComparisonSettings:
    """What is compared.

    Raises:
        ValueError: for no method or an unknown one, a size or method twice, or no seed.
    """

    out: str
    """Folder of the comparison."""
    methods: tuple[str, ...] = ("dr", "robust-plr", "accel", "sfl")
    """Names in ``METHODS``, or path/to/file.py:function for a curriculum of one's own."""
    arms: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    """Further methods by a name of one's own, each with the fields of the configuration in which it differs; its
    ``curriculum``, where it has one, is named as in ``methods``."""
    sizes: tuple[str, ...] = ()
    """Each method trains an agent in each of them; empty: in the preset's."""
    seeds: int = 3
    """Runs of each method and size, with seeds from 0 on."""
    preset: str = "quick"
    """What all runs start from: a family of presets, see ``training.FAMILIES``."""
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of the configuration that are different for all of them."""

    def __post_init__(self):
        if not self.methods and not self.arms:
            raise ValueError(f"there is no method to compare: name some of {', '.join(METHODS)}")
        object.__setattr__(self, "methods", tuple(map(current_name, self.methods)))
        for method in self.methods:
            if method not in METHODS and not names_a_file(method):
                raise ValueError(f"unknown method {method!r}: use one of {', '.join(METHODS)}, or file.py:function")
        for name, changes in self.arms.items():
            if not title_of(name) or name in METHODS or "/" in name:
                raise ValueError(f"an arm cannot be called {name!r}: choose a name that is neither a method nor a path")
            if fixed := _SET_BY_COMPARISON & set(changes):
                raise ValueError(f"arm {name!r} cannot set {', '.join(sorted(fixed))}: the comparison sets it")
        if self.preset not in FAMILIES:
            raise ValueError(f"unknown preset {self.preset!r}: use one of {', '.join(FAMILIES)}; methods come apart")
        if self.seeds < 1:
            raise ValueError(f"seeds must be at least 1; got {self.seeds}")
        if fixed := {"seed", "seeds", "out", "curriculum", *(["size"] if self.sizes else [])} & set(self.changes):
            raise ValueError(f"{', '.join(sorted(fixed))} cannot be the same for all runs: the comparison sets it")
        if not self.sizes:
            own = self.changes.get("size", FAMILIES[self.preset].size)
            object.__setattr__(self, "sizes", (own,))
        for names, kind in (
            ([title_of(name) for name in self.names], "method"),
            ([size_of(size) for size in self.sizes], "size"),
        ):
            if len(set(names)) < len(names):
                raise ValueError(f"a {kind} is named twice: {', '.join(map(str, names))}")

    @property
    def names(self) -> tuple[str, ...]:
        """All methods, arms last."""
        return (*self.methods, *self.arms)

    def baselines(self, names: Sequence[str] | None = None) -> list[Method]:
        """The policies without training that stand beside the methods: the usual ones, or those called ``names``.

        Raises:
            ValueError: for a configuration that cannot run, another name, or frames for which the environment of the
                comparison cannot hold an action.
        """
        config = self.config(self.names[0], self.sizes[0], 0)
        validate(config)
        names = baseline_names(config.frame_skip) if names is None else list(dict.fromkeys(names))
        for name in names:
            baseline(name, build_env(config))
        return [Method(name, (name,)) for name in names]

    def config(self, method: str, size: str, seed: int) -> TrainConfig:
        """The configuration of one run: the family's preset for the method, with its changes and those for all."""
        folder = Path(self.out) / f"{title_of(method).replace(' ', '-')}-{size}-{seed}"
        own = dict(self.arms.get(method, {}))
        method = own.pop("curriculum", "dr") if method in self.arms else method
        own |= {"size": size, "seed": seed, "out": str(folder)}
        return method_preset(self.preset, method, **{"eval_levels": 0, **self.changes, **own})


def title_of(method: str) -> str:
    """What tables and folders call a method: the function's name where it is one in a file."""
    return method.rpartition(":")[2]


def refuse_unplayable(settings: ComparisonSettings, suites: Mapping[str, Suite]) -> None:
    """Raise ValueError where no run will hold the levels of a suite: before anything is trained."""
    sizes = [size_of(size) for size in settings.sizes]
    for name, suite in suites.items():
        for own in dict.fromkeys(suite.sizes):
            if not any(size.holds(size_of(own)) for size in sizes):
                trained = ", ".join(settings.sizes)
                raise ValueError(
                    f"{name} has levels of size {own!r} and agents are trained in {trained}: add --sizes {own}"
                )


def trained_methods(settings: ComparisonSettings, say: Callable[[str], None] = lambda line: None) -> list[Method]:
    """Train what is missing.

    Args:
        settings: see ``ComparisonSettings``.
        say: is told what goes on.

    Returns:
        Every method with its runs, sizes one after the other.

    Raises:
        ValueError: for a configuration that cannot run, or a folder that holds a run with another one, before anything
            is trained.
        KeyboardInterrupt: if a run was told to stop; it has saved, and goes on the next time.
    """
    # By seed first: what is there at any time is balanced.
    grid = list(itertools.product(range(settings.seeds), settings.sizes, settings.names))
    for seed, size, method in grid:
        config = settings.config(method, size, seed)
        if seed == 0:
            validate(config)
        _refuse_another(config)
    found: dict[tuple[str, str], list[Run]] = {}
    for seed, size, method in grid:
        say(f"{title_of(method)}, size {size}, seed {seed}")
        found.setdefault((method, size), []).append(_trained(settings.config(method, size, seed)))
    methods = []
    for method in settings.names:
        runs = [run for size in settings.sizes for run in found[method, size]]
        methods.append(Method(title_of(method), tuple(str(run.path) for run in runs), tuple(runs)))
    return methods


def _refuse_another(config: TrainConfig) -> None:
    """Raise ValueError where the folder of a run holds one that was asked to do something else."""
    if not (Path(config.out) / CONFIG).exists():
        return
    saved = read_config(config.out)
    refuse_other_config(decisive(saved), decisive(config), Path(config.out))
    refuse_changed_code(saved, located(config))


def _trained(config: TrainConfig) -> Run:
    """The run of a configuration: as it is where it is done, gone on with where it was cut short, else a new one."""
    begun = (Path(config.out) / CONFIG).exists()
    if begun and (done := _done(config)):
        return done
    if train(config, resume=begun).interrupted:
        raise KeyboardInterrupt
    return Run.load(config.out)


def _done(config: TrainConfig) -> Run | None:
    """The run in the folder of ``config`` if nothing of what is asked for is missing there."""
    try:
        run = Run.load(config.out)
    except ValueError:  # it has no whole checkpoint yet
        return None
    evaluated = not config.eval_levels or is_evaluated(run.path, config, run.updates)
    return run if run.counts["learning"] >= config.steps and evaluated else None
