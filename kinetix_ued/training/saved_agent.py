"""The agent of a run as one file, see ``kinetix_ued.agents.saved``."""

from __future__ import annotations

import os
from typing import Any

from kinetix_ued.agents import Agent, make_card, save

from .build import environment_settings, network_settings
from .evaluation import account_of
from .run import Run


def save_agent(path: str | os.PathLike[str], run: Run, *, name: str, about: str = "", overwrite: bool = False) -> None:
    """Write the policy of a run into one file, which ``kinetix_ued.agents.load`` reads.

    Args:
        path: of the file; it ends in .safetensors.
        run: the run.
        name: of the agent.
        about: what it is, in a sentence.
        overwrite: replace a file that is there.

    Raises:
        ValueError: for another ending, or a file that is there already.
    """
    save(path, run.policy.params, **_described(run, name, about), overwrite=overwrite)


def agent_of(run: Run, *, name: str, about: str = "") -> Agent:
    """The policy of a run as ``load`` returns it once it is saved."""
    card = make_card(run.policy.params, **_described(run, name, about))
    return Agent(run.policy.network, run.policy.params, run.env, card)


def _described(run: Run, name: str, about: str) -> dict[str, Any]:
    """What a card says of the agent of a run."""
    config = run.config
    return {
        "name": name,
        "about": about,
        "network": network_settings(config),
        "environment": environment_settings(config),
        "training": account_of(run, config.out or str(run.path)),
    }
