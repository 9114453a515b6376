"""The agent of a run as one file, see ``kinetix_ued.agents.saved``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kinetix_ued.agents import Agent, make_card, names_an_agent, read_card, save

from .build import environment_settings, network_settings
from .evaluation import account_of
from .run import Run


def save_agent(
    path: str | os.PathLike[str],
    run: Run,
    *,
    name: str,
    about: str = "",
    scores: str | os.PathLike[str] = "",
    overwrite: bool = False,
) -> None:
    """Write the policy of a run into one file, which ``kinetix_ued.agents.load`` reads.

    Args:
        path: of the file; it ends in .safetensors.
        run: the run.
        name: of the agent.
        about: what it is, in a sentence.
        scores: file that ``kinetix-ued eval RUN --json`` wrote, whose scores the card repeats; empty: none.
        overwrite: replace a file that is there.

    Raises:
        ValueError: for another ending, a file that is there already, or scores that are not those of the run.
    """
    described = _described(run, name, about)
    if scores:
        described["training"]["scores"] = _scores(run, scores)
    save(path, run.policy.params, **described, overwrite=overwrite)


def agent_of(run: Run, *, name: str, about: str = "") -> Agent:
    """The policy of a run as ``load`` returns it once it is saved."""
    card = make_card(run.policy.params, **_described(run, name, about))
    return Agent(run.policy.network, run.policy.params, run.env, card)


def _described(run: Run, name: str, about: str) -> dict[str, Any]:
    """What a card says of the agent of a run."""
    return {
        "name": name,
        "about": about,
        "network": network_settings(run.config),
        "environment": environment_settings(run.config),
        "training": _account(run),
    }


def _account(run: Run) -> dict[str, Any]:
    """What the training of an agent cost, with that of the agent it began as."""
    began = {"began_as": _beginning(run.config.init_from)} if run.config.init_from else {}
    return account_of(run, run.path.name) | began


def _beginning(init_from: str) -> dict[str, Any]:
    """The account of what a run began as, as far as it is still there."""
    try:
        return read_card(init_from)["training"] if names_an_agent(init_from) else _account(Run.load(init_from))
    except ValueError:
        return {"source": Path(init_from).name}


def _scores(run: Run, path: str | os.PathLike[str]) -> dict[str, Mapping[str, Any]]:
    """The mean solve rates of a run on each suite of an evaluation's results."""
    from kinetix_ued.benchmarks import read_results

    document = read_results(path)
    own = [
        index
        for index, policy in enumerate(document["policies"])
        if len(policy["runs"]) == 1
        and policy["runs"][0].get("updates") == run.updates
        and Path(policy["runs"][0]["source"]).resolve() == run.path.resolve()
    ]
    if not own:
        raise ValueError(
            f"{path} has no scores of {run.path} after {run.updates} updates: write them with "
            f"kinetix-ued eval {run.path} --json FILE"
        )
    found = {}
    for suite in document["suites"]:
        scores = suite["policies"][own[0]]
        kept = ("solve_rate", "interval")
        found[suite["suite"]] = {
            "hash": suite["hash"],
            "levels": len(suite["levels"]),
            "attempts": document["attempts"],
            **{name: scores["mean"][name] for name in kept},
            "sizes": {part["size"]: {name: part[name] for name in ("levels", *kept)} for part in scores["sizes"]},
        }
    return found
