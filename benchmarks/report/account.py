"""Where a results document's numbers are from, in words: code, machine, seeds, budgets, steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def code_of(document: Mapping[str, Any]) -> str:
    """The commit, shortened, or the version where there is none."""
    commit = document["commit"]
    if not commit:
        return f"version {document['versions']['kinetix-ued']}"
    digits, plus, changes = commit.partition("+")
    return digits[:10] + plus + changes


def machine_of(document: Mapping[str, Any]) -> str:
    """The accelerator, if there is one, and the processor's cores."""
    device = document["machine"]
    cores = f"{device['cpu_cores']} cores of {device.get('cpu', 'a CPU')}"
    return cores if device["backend"] == "cpu" else f"{device['device']}, {cores}"


def seeds_of(policy: Mapping[str, Any]) -> str:
    """The seeds of a policy's runs; each once, where a method has an agent of the same seed for each size."""
    seeds = dict.fromkeys(str(run["config"]["seed"]) for run in policy["runs"] if "config" in run)
    return ", ".join(seeds) or "none"


def budget_of(policy: Mapping[str, Any]) -> str:
    """Environment steps that each run was given to learn from."""
    budgets = sorted({run["config"]["steps"] for run in policy["runs"] if "config" in run})
    return " or ".join(f"{budget:,}" for budget in budgets) or "none"


def steps_of(policy: Mapping[str, Any]) -> str:
    """Environment steps by purpose, a run's mean; evaluation is no part of them."""
    counts = [run["steps"] for run in policy["runs"] if "steps" in run]
    purposes = dict.fromkeys(purpose for count in counts for purpose in count if purpose != "evaluation")
    means = {purpose: sum(count.get(purpose, 0) for count in counts) / len(counts) for purpose in purposes}
    return ", ".join(f"{mean:,.0f} {purpose}" for purpose, mean in means.items() if mean) or "none"


def minutes_of(policy: Mapping[str, Any]) -> str:
    """Time of training, a run's mean."""
    seconds = [run["seconds"] for run in policy["runs"] if "seconds" in run]
    return f"{sum(seconds) / len(seconds) / 60:.1f}" if seconds else "none"


def holdout_of(policy: Mapping[str, Any]) -> str:
    """What the report says where training was allowed to use levels of the holdout suite; empty where it was not."""
    return "training was allowed to use holdout levels" if policy["allow_holdout"] else ""


def suite_of(suite: Mapping[str, Any]) -> str:
    """What a suite is, in a sentence."""
    count = len(suite["levels"])
    levels = f"{count} {'level' if count == 1 else 'levels'}"
    sizes = "sizes" if "," in suite["size"] else "size"
    return f"{levels} ({suite['source']}), content {suite['hash']}, played in {sizes} {suite['size']}."


def protocol_of(document: Mapping[str, Any]) -> str:
    """How everything was played, in a sentence."""
    environment, statistics = document["environment"], document["statistics"]
    actions = "most likely actions" if document["greedy"] else "sampled actions"
    return (
        f"{document['attempts']} attempts a level, {actions}, seed {document['seed']}; engine {document['engine']}, "
        f"physics {document['physics']}, frame skip {environment['frame_skip']}, at most {environment['max_steps']} "
        f"steps. Intervals are of {statistics['confidence']:.0%}: Wilson's for single levels and for "
        "means of scores that are all alike, else by a stratified bootstrap over seeds and levels, "
        f"{statistics['resamples']:,} resamples."
    )
