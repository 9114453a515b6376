"""Curricula side by side: the same agent, budget, seeds and held-out levels for each, and intervals for what comes of it.

Every run has a folder of its own under the comparison's, is resumed if it was cut short, and is not trained again once
it is done; so a comparison can be stopped at any time, and a method or a seed can be added later.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from kinetix_ued.training import FAMILIES, METHODS, Run, TrainConfig, method_preset, resume, train, validate, whole_episodes
from kinetix_ued.training.run import CONFIG
from kinetix_ued.user_code import names_a_file
from kinetix_ued.whole import whole_file
from kinetix_ued.world import size_of

from .evaluate import evaluate
from .report import machine, versions, write_json
from .statistics import Interval, bootstrap, interquartile_mean, probability_of_improvement
from .suite import named_suite
from .suite_levels import Suite

SCHEMA = "kinetix-ued/comparison"
SCHEMA_VERSION = 1

SCORES_FILE = "scores.json"
"""Name of a run's scores in its folder."""


@dataclasses.dataclass(frozen=True)
class ComparisonSettings:
    """What is compared.

    Raises:
        ValueError: for no method or an unknown one, or a number below 1.
    """

    out: str
    """Folder of the comparison."""
    methods: tuple[str, ...] = ("dr", "robust-plr", "accel", "sfl")
    """Names in ``METHODS``, or path/to/file.py:function for a curriculum of one's own."""
    seeds: int = 3
    """Runs of each method, with seeds from 0 on."""
    preset: str = "quick"
    """What all runs start from: a family of presets, see ``training.FAMILIES``."""
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of the configuration that are different for all of them."""
    suites: tuple[str, ...] = ()
    """What to evaluate on, each apart, see ``named_suite``; empty: held-out random levels, and the handmade ones of the
    size that the runs are trained in."""
    attempts: int = 10
    """Attempts at each level."""

    def __post_init__(self):
        if not self.methods:
            raise ValueError(f"there is no method to compare: name some of {', '.join(METHODS)}")
        for method in self.methods:
            if method not in METHODS and not names_a_file(method):
                raise ValueError(f"unknown method {method!r}: use one of {', '.join(METHODS)}, or file.py:function")
        if self.preset not in FAMILIES:
            raise ValueError(f"unknown preset {self.preset!r}: use one of {', '.join(FAMILIES)}; methods are named apart")
        if len(set(self.methods)) < len(self.methods):
            raise ValueError(f"a method is named twice: {', '.join(self.methods)}")
        for name in ("seeds", "attempts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")

    def config(self, method: str, seed: int) -> TrainConfig:
        """The configuration of one run: the family's preset for the method, with the same changes for all."""
        own = {"seed": seed, "out": str(Path(self.out) / f"{method.rpartition(':')[2]}-{seed}"), "eval_levels": 0}
        config = method_preset(self.preset, method, **{**self.changes, **own})
        return config if method == "dr" else whole_episodes(config)


def compare(settings: ComparisonSettings, say: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Train what is missing, evaluate it, and sum it up.

    Args:
        settings: see ``ComparisonSettings``.
        say: is told what goes on.

    Returns:
        A dict ready for JSON: for each suite and method the solve rates (seeds, levels), their interquartile mean and mean with
        95 % bootstrap intervals, and the probability of improvement over the first method; for each method the
        environment steps and seconds of its runs.

    Raises:
        ValueError: for a configuration that cannot run, before anything is trained.
    """
    for method in settings.methods:
        validate(settings.config(method, 0))
    first = settings.config(settings.methods[0], 0)
    names = settings.suites or (f"random-{first.size}", f"holdout-{first.size}")
    suites = {name: named_suite(name).resized(size_of(first.size)) for name in names}
    results: dict[str, list[dict[str, Any]]] = {}
    for seed in range(settings.seeds):  # by seed first: what is there at any time is balanced
        for method in settings.methods:
            say(f"{method}, seed {seed}")
            results.setdefault(method, []).append(_one_run(settings, method, seed, suites))
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "versions": versions(),
        "machine": machine(),
        "settings": dataclasses.asdict(settings),
        "budget": first.steps,
        "methods": {method: _account(runs) for method, runs in results.items()},
        "suites": {name: _summary(name, suite, results) for name, suite in suites.items()},
    }


def _one_run(settings: ComparisonSettings, method: str, seed: int, suites: Mapping[str, Suite]) -> dict[str, Any]:
    """Scores and costs of one run: read where they are already, else trained and evaluated."""
    config = settings.config(method, seed)
    folder = Path(config.out)
    asked = {"suites": {name: suite.hashes for name, suite in suites.items()}, "attempts": settings.attempts}
    asked = json.loads(json.dumps(asked))
    if (folder / SCORES_FILE).exists():
        found = json.loads((folder / SCORES_FILE).read_text(encoding="utf-8"))
        if found["asked"] == asked and found["config"] == config.to_dict():
            return found
    run = _trained(config)
    rates = {}
    for name, suite in suites.items():
        key = jax.random.key(seed)
        evaluation = evaluate(run.policy, suite.levels, env=run.env, key=key, attempts=settings.attempts)
        rates[name] = evaluation.solve_rate.tolist()
    seconds = sum(line["seconds"] for line in run.metrics)
    found = {"asked": asked, "config": config.to_dict(), "steps": run.counts, "seconds": seconds, "rates": rates}
    write_json(folder / SCORES_FILE, found, overwrite=True)
    return found


def _trained(config: TrainConfig) -> Run:
    """The run of a configuration: as it is where it is done, gone on with where it was cut short, else a new one."""
    try:
        run = Run.load(config.out)
        if run.counts["learning"] >= config.steps:
            return run
    except ValueError:  # there is no run yet, or none with a whole checkpoint
        pass
    run = resume(config.out) if (Path(config.out) / CONFIG).exists() else train(config)
    if run.interrupted:
        raise KeyboardInterrupt
    return run


def _account(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What a method's runs cost, means over its seeds."""
    mean = lambda values: float(np.mean(list(values)))
    steps = {kind: mean(run["steps"][kind] for run in runs) for kind in runs[0]["steps"]}
    return {"steps": steps, "seconds": mean(run["seconds"] for run in runs)}


def _summary(name: str, suite: Suite, results: Mapping[str, Sequence[dict[str, Any]]]) -> dict[str, Any]:
    scores = {method: np.array([run["rates"][name] for run in runs]) for method, runs in results.items()}
    baseline = next(iter(scores.values()))
    mean = lambda values: float(np.mean(values))
    return {
        "levels": list(suite.names),
        "methods": {
            method: {
                "solve_rates": found.tolist(),
                "interquartile_mean": bootstrap(found, interquartile_mean)._asdict(),
                "mean": bootstrap(found, mean)._asdict(),
                "improvement": probability_of_improvement(found, baseline),
            }
            for method, found in scores.items()
        },
    }


def format_comparison(measured: dict[str, Any]) -> str:
    """The tables in Markdown."""
    settings, device = measured["settings"], measured["machine"]
    first = settings["methods"][0]
    lines = [
        f"Preset {settings['preset']}, {measured['budget']:,} learning steps a run, {settings['seeds']} seeds, "
        f"{settings['attempts']} attempts a level; {device['device']} ({device['backend']}), {device['cpu_cores']} CPU "
        "cores. 95 % intervals by a stratified bootstrap over seeds.",
    ]
    for name, suite in measured["suites"].items():
        lines += [
            "",
            f"Solve rate on {name}, {len(suite['levels'])} levels:",
            "",
            f"| method | interquartile mean | mean | better than {first} |",
            "|---|---|---|---|",
        ]
        for method, found in suite["methods"].items():
            cells = [_percent(Interval(**found[statistic])) for statistic in ("interquartile_mean", "mean")]
            lines.append(f"| {method} | {cells[0]} | {cells[1]} | {found['improvement']:.0%} |")
    kinds = [kind for kind in next(iter(measured["methods"].values()))["steps"] if kind != "evaluation"]
    lines += ["", "Environment steps and training time of a run, means:", "", "| method | " + " | ".join(kinds) + " | minutes |"]
    lines.append("|---" * (len(kinds) + 2) + "|")
    for method, cost in measured["methods"].items():
        steps = " | ".join(f"{cost['steps'][kind]:,.0f}" for kind in kinds)
        lines.append(f"| {method} | {steps} | {cost['seconds'] / 60:.1f} |")
    return "\n".join(lines)


def _percent(interval: Interval) -> str:
    return f"{interval.estimate:.1%} ({interval.low:.1%} to {interval.high:.1%})"


def plot_comparison(measured: dict[str, Any], path: Path) -> None:
    """Interquartile means with their intervals, a panel for each suite, as a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    suites = measured["suites"]
    methods = list(measured["methods"])
    figure = Figure(figsize=(1.5 + 3.6 * len(suites), 1.2 + 0.45 * len(methods)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = np.atleast_1d(figure.subplots(1, len(suites), sharey=True))
    for panel, (name, suite) in zip(panels, suites.items(), strict=True):
        found = {method: Interval(**suite["methods"][method]["interquartile_mean"]) for method in methods}
        for place, (method, interval) in enumerate(found.items()):
            panel.barh(place, interval.high - interval.low, left=interval.low, height=0.5, color=f"C{place}", alpha=0.5)
            panel.plot([interval.estimate] * 2, [place - 0.25, place + 0.25], color="black")
        low, high = min(interval.low for interval in found.values()), max(interval.high for interval in found.values())
        margin = max(0.1 * (high - low), 0.02)
        panel.set_xlim(max(low - margin, -0.005), min(high + margin, 1.005))
        panel.xaxis.set_major_locator(MaxNLocator(5))
        panel.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        panel.set_yticks(range(len(methods)), methods)
        panel.set_title(f"{name}, {len(suite['levels'])} levels")
        panel.set_xlabel("solve rate, interquartile mean")
        panel.grid(axis="x", alpha=0.3)
    panels[0].invert_yaxis()
    with whole_file(path) as partial:
        figure.savefig(partial, format="png", dpi=150)
