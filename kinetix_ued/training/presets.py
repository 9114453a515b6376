"""Ready-made configurations."""

from __future__ import annotations

import dataclasses
from typing import Any

from .config import TrainConfig

_KINETIX = TrainConfig(
    preset="kinetix-s",
    observation="entity",
    network="entity_transformer",
    network_width=0,
    head_depth=5,
    skip_idle_channels=False,
    curriculum="dr",
    environments=2048,
    rollout_steps=64,
    outer_steps=1,
    steps=2**30,
    epochs=8,
    minibatches=32,
    learning_rate=5e-5,
    checkpoint_every=100,
)

PRESETS: dict[str, TrainConfig] = {
    # A laptop's: minutes on two cores. Levels of one size and a network of their flat description: the transformer costs
    # ten times as much a step there, and many steps matter more than its better use of each.
    "quick": TrainConfig(),
    # The hyperparameters of Kinetix' own runs, one a size; days on two cores, made for an accelerator.
    "kinetix-s": _KINETIX,
    "kinetix-m": dataclasses.replace(_KINETIX, preset="kinetix-m", size="m"),
    "kinetix-l": dataclasses.replace(_KINETIX, preset="kinetix-l", size="l"),
    # Every part once, in seconds after compiling; it learns nothing worth having.
    "tiny": TrainConfig(
        preset="tiny",
        observation="entity",
        network="permutation_invariant",
        curriculum="robust-plr",
        filters="",
        skip_idle_channels=False,
        network_width=32,
        head_width=32,
        head_depth=2,
        recurrent_size=32,
        buffer_size=32,
        environments=8,
        rollout_steps=16,
        outer_steps=2,
        steps=8 * 16 * 2 * 4,
        epochs=2,
        minibatches=2,
        max_steps=32,
        checkpoint_every=2,
        eval_levels=8,
        eval_attempts=1,
    ),
}
"""Presets by name. Each is a whole configuration, to be changed with ``preset``."""


def preset(name: str = "quick", **changes: Any) -> TrainConfig:
    """The preset called ``name`` with some values changed.

    Raises:
        ValueError: for an unknown preset or field; the message lists the known ones.

    >>> preset("kinetix-m", seed=3).size
    'm'
    """
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}: use one of {', '.join(PRESETS)}")
    return TrainConfig.from_dict(PRESETS[name].to_dict() | changes)
