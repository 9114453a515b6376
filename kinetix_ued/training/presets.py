"""Ready-made configurations: a few agents and budgets, each with every curriculum.

The name of a preset is that of its family, with the method behind it where that is not domain randomisation:
``quick``, ``quick-sfl``, ``kinetix-m-accel``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

from kinetix_ued.renamed import CURRICULA as RENAMED
from kinetix_ued.renamed import current_name

from .config import TrainConfig

METHODS: dict[str, dict[str, Any]] = {
    "dr": {"curriculum": "dr"},
    "dr-restarts": {"curriculum": "dr", "options": "restart=True"},
    "plr": {"curriculum": "plr"},
    "robust-plr": {"curriculum": "robust-plr"},
    "accel": {"curriculum": "accel"},
    "accel-from-sparse": {"curriculum": "accel", "generator": "sparse"},
    "sfl": {"curriculum": "sfl"},
    "ncc": {"curriculum": "ncc"},
    "student-regret": {"curriculum": "student-regret"},
}
"""What each method changes in a family."""

# A laptop's: minutes on two cores.
_QUICK = TrainConfig()

# One agent for levels of all sizes: what is learnt of one motor holds for every other, so it learns from the largest
# size, which holds the others. Hours on two cores.
_GENERALIST = TrainConfig(
    size="l",
    generator="genres",
    steps=200_000_000,
    schedule="warmup-cosine",
    warmup=0.01,
    buffer_size=8192,
    checkpoint_every=50,
)

# The same for an accelerator: more environments for each step of the optimiser, and many more steps.
_GENERALIST_GPU = dataclasses.replace(
    _GENERALIST, environments=8192, minibatches=32, steps=10_000_000_000, buffer_size=32768, checkpoint_every=100
)

# The hyperparameters of the runs in Kinetix' paper (Matthews et al., ICLR 2025), the same for all methods and sizes; days
# on two cores, made for an accelerator. Its published configurations differ here and there: clip 0.2, and 64 steps.
_KINETIX = TrainConfig(
    observation="entity",
    decision_frames=0,
    network="entity_transformer",
    network_width=0,
    head_depth=5,
    skip_idle_channels=False,
    environments=2048,
    rollout_steps=256,
    steps=2**30,
    gamma=0.995,
    epochs=8,
    minibatches=32,
    learning_rate=5e-5,
    clip=0.02,
    checkpoint_every=100,
)

# Every part once, in seconds after compiling; it learns nothing worth having or evaluating.
_TINY = TrainConfig(
    observation="entity",
    decision_frames=0,
    network="permutation_invariant",
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
    eval_levels=0,
    eval_attempts=1,
    selection_levels=8,
)

FAMILIES: dict[str, TrainConfig] = {
    "quick": _QUICK,
    "generalist": _GENERALIST,
    "generalist-gpu": _GENERALIST_GPU,
    "kinetix-s": _KINETIX,
    "kinetix-m": dataclasses.replace(_KINETIX, size="m"),
    "kinetix-l": dataclasses.replace(_KINETIX, size="l"),
    "tiny": _TINY,
}
"""What the presets of a family share; as it is, with domain randomisation."""

_SFL_OPTIONS = {
    # A short run has no time for the paper's 12 288 levels every 128 updates. Half of its updates score here. A rollout
    # gives one attempt at a level, and four tell learnable levels from lucky ones (docs/training.md has the numbers).
    "quick": "scored_levels=2048,scoring_rollouts=4,kept_levels=256,refresh_every=8",
    "generalist": "scored_levels=8192,scoring_rollouts=4,kept_levels=1024,refresh_every=64",
    "generalist-gpu": "scored_levels=32768,scoring_rollouts=4,kept_levels=8192,refresh_every=32",
    "tiny": "scored_levels=16,scoring_rollouts=2,kept_levels=8,refresh_every=2",
}


def _preset(family: str, method: str) -> TrainConfig:
    name = family if method == "dr" else f"{family}-{method}"
    config = dataclasses.replace(FAMILIES[family], **METHODS[method], preset=name)
    return _fitted(config, family, METHODS[method])


def _fitted(config: TrainConfig, family: str, given: Collection[str]) -> TrainConfig:
    """The configuration with what its curriculum needs in this family, but for the fields that are ``given``."""
    if "options" not in given:
        config = dataclasses.replace(config, options=_SFL_OPTIONS.get(family, "") if config.curriculum == "sfl" else "")
    if "outer_steps" not in given:
        config = dataclasses.replace(config, outer_steps=FAMILIES[family].outer_steps)
        config = whole_episodes(config) if config.restarts else config
    if config.levels and "filters" not in given:
        config = dataclasses.replace(config, filters="")  # whoever lists levels wants all of them
    return config


def whole_episodes(config: TrainConfig) -> TrainConfig:
    """The configuration with as many rollouts for each proposal as the longest episode needs.

    What scores levels must see episodes end. Domain randomisation scores nothing, and learns from shorter rollouts.
    """
    lengths = config.max_steps, config.frame_skip, config.decision_frames, config.rollout_steps, config.outer_steps
    if not all(isinstance(length, int) and length >= 0 for length in lengths) or not all((*lengths[:2], *lengths[3:])):
        return config  # ``validate`` says what is wrong
    needed = -(-config.episode_decisions // config.rollout_steps)
    return dataclasses.replace(config, outer_steps=max(config.outer_steps, needed))


PRESETS: dict[str, TrainConfig] = {
    config.preset: config for config in (_preset(family, method) for family in FAMILIES for method in METHODS)
}
"""Presets by name. Each is a whole configuration, to be changed with ``preset``."""

FORMER = tuple(f"{family}-{method}" for family in FAMILIES for method in RENAMED)
"""Former names of presets, which ``preset`` takes with a note."""


def preset(name: str = "quick", **changes: Any) -> TrainConfig:
    """The preset called ``name`` with some values changed.

    Whatever its curriculum needs follows from the changes, unless it is among them: as many ``outer_steps`` as the
    longest episode takes, for every curriculum but ``dr``, and the family's ``options`` for ``sfl``. So a curriculum,
    of this package or path/to/file.py:function, may be named here or by the preset. Where ``levels`` are listed, no
    filter leaves any of them out, unless ``filters`` are among the changes.

    Raises:
        ValueError: for an unknown preset or field; the message lists the known ones.

    >>> preset("kinetix-m-sfl", seed=3).size
    'm'
    >>> preset("quick", curriculum="accel").outer_steps
    2
    """
    if name in FORMER:
        family = next(family for family in FAMILIES if name.startswith(f"{family}-"))
        name = f"{family}-{current_name(name.removeprefix(f'{family}-'))}"
    if name not in PRESETS:
        families, methods = ", ".join(FAMILIES), ", ".join(method for method in METHODS if method != "dr")
        raise ValueError(
            f"unknown preset {name!r}: use one of {families}, or one of these with a method behind it, such as "
            f"quick-sfl; methods are {methods}"
        )
    family = max((family for family in FAMILIES if name.startswith(family)), key=len)
    config = TrainConfig.from_dict(PRESETS[name].to_dict() | changes)
    same = config.curriculum == PRESETS[name].curriculum
    return _fitted(config, family, {*changes, "options"} if same else changes)


def method_preset(family: str, method: str, **changes: Any) -> TrainConfig:
    """The preset of ``family`` for a method of ``METHODS``, or for path/to/file.py:function, with some values changed.

    Raises:
        ValueError: as ``preset``.
    """
    method = current_name(method)
    if method in METHODS:
        return preset(family if method == "dr" else f"{family}-{method}", **changes)
    return preset(family, curriculum=method, **changes)
