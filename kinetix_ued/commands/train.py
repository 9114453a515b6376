"""``kinetix-ued train``: train, then show what was learned beside what was there before."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import typing
from typing import Any

REPORT = "evaluation.json"
"""Name of the final evaluation in the run's folder."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """An option for each field of ``TrainConfig``, with the field's documentation as its help."""
    from kinetix_ued.training import PRESETS, TrainConfig, field_docs
    from kinetix_ued.training.config import NOTED_FIELDS

    parser.add_argument("--preset", choices=list(PRESETS), help="configuration to start from (quick)")
    parser.add_argument("--resume", metavar="RUN", help="go on with the run in this folder, until its end")
    kinds, docs = typing.get_type_hints(TrainConfig), field_docs(TrainConfig)
    for field in dataclasses.fields(TrainConfig):
        if field.name == "preset" or field.name in NOTED_FIELDS:
            continue
        option, default = "--" + field.name.replace("_", "-"), field.default
        help = docs[field.name].rstrip(".").replace("%", "%%") + (f" ({default})" if default != "" else "")
        kind: dict[str, Any] = {"type": kinds[field.name], "metavar": kinds[field.name].__name__.upper()}
        if kinds[field.name] is bool:
            kind = {"action": argparse.BooleanOptionalAction}
        parser.add_argument(option, default=argparse.SUPPRESS, help=help, **kind)


def run(arguments: argparse.Namespace) -> int:
    from kinetix_ued.training import TrainConfig, preset, read_config, seed_folders, validate
    from kinetix_ued.training import resume, resume_seeds, train, train_seeds

    given = vars(arguments)
    changes = {f.name: given[f.name] for f in dataclasses.fields(TrainConfig) if f.name in given and f.name != "preset"}
    if arguments.resume:
        for name in ("preset", "out"):
            if given.get(name):
                raise ValueError(f"--resume goes on with a run as it was started: leave --{name} out")
        several = seed_folders(arguments.resume)
        config = dataclasses.replace(read_config(several[0] if several else arguments.resume), **changes)
        _tell_code(config)
        go_on = resume_seeds if several else resume
        results = go_on(arguments.resume, callbacks=evaluations(config), **changes)
    else:
        config = preset(arguments.preset or "quick", **changes)
        validate(config)
        _tell_code(config)
        results = (train_seeds if config.seeds > 1 else train)(config, callbacks=evaluations(config))
    results = results if isinstance(results, list) else [results]
    if any(result.interrupted for result in results):
        folder = results[0].path if len(results) == 1 else results[0].path.parent
        print(f"stopped after {results[0].updates} updates; go on with: kinetix-ued train --resume {folder}")
        return 130
    for result in results:
        steps = ", ".join(f"{count:,} {kind}" for kind, count in result.counts.items() if count)
        print(f"run in {result.path}: {result.updates} updates; environment steps: {steps}")
        if result.config.eval_levels:
            evaluate_run(result)
    return 0


def _tell_code(config: Any) -> None:
    """Say which files of the user's are about to run: a run that is resumed names them itself."""
    from kinetix_ued.training.own_code import own_files

    for field, file in own_files(config).items():
        print(f"running {file} ({field})", file=sys.stderr)


def evaluations(config: Any) -> list[Any]:
    """The callback that evaluates a run on held-out levels while it trains, if it is asked for."""
    if not config.eval_every:
        return []
    import jax

    from kinetix_ued.benchmarks import evaluate, random_suite
    from kinetix_ued.randomness import stream
    from kinetix_ued.training import PeriodicEvaluation

    levels = random_suite(config.size, config.eval_levels, config.eval_seed).levels

    def score(run: Any) -> dict[str, float]:
        key = jax.random.fold_in(stream(config.eval_seed, "PICK"), run.updates)
        found = evaluate(run.policy, levels, env=run.env, key=key, attempts=config.eval_attempts)
        run.counts["evaluation"] += found.environment_steps
        return {"solve_rate": found.solve_rate.mean(), "return": found.mean_return.mean()}

    return [PeriodicEvaluation(score, config.eval_every)]


def evaluate_run(run: Any) -> None:
    """Score the run on held-out random levels, beside the agent it began as, doing nothing and acting at random."""
    from kinetix_ued.benchmarks import NoopPolicy, RandomPolicy, as_json, format_table, random_suite, write_json
    from kinetix_ued.randomness import stream

    from .common import play

    config, env = run.config, run.env
    suite = random_suite(config.size, config.eval_levels, config.eval_seed)
    policies = {
        "trained": run.policy,
        "untrained": run.initial_policy(),
        "no-op": NoopPolicy(env.actions),
        "random": RandomPolicy(env.actions),
    }
    key, seed = stream(config.eval_seed, "EVAL"), config.eval_seed
    scores = {
        name: play(name, policy, suite, env, key=key, attempts=config.eval_attempts)
        for name, policy in policies.items()
    }
    run.counts["evaluation"] += sum(score.environment_steps for score in scores.values())
    print(f"\n{suite.source} levels, {config.eval_attempts} attempts each:")
    print(format_table(suite, scores, rows=False))
    about = {
        "trained": {"source": str(run.path), "updates": run.updates, "steps": run.counts, "config": config.to_dict()}
    }
    report = as_json(suite, scores, env=env, seed=seed, greedy=False, sources=about)
    write_json(run.path / REPORT, report, overwrite=True)
    print(f"written to {run.path / REPORT}", file=sys.stderr)
