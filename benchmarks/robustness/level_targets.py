"""Level files, in both formats: read, checked, written and read again, and played for a moment."""

from __future__ import annotations

import functools
import itertools
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from kinetix_ued.environment import KinetixEnv, make
from kinetix_ued.levels import (
    faults_of,
    format_summary,
    hash_text,
    level_to_kinetix,
    level_to_native,
    load_level,
    load_metadata,
    resize_level,
    save_level,
    stack_levels,
)
from kinetix_ued.world import SIZES, Level

from ..holdout import holdout_names, level_file
from .cases import Target
from .files import file_target

EVERY = 6
"""One in this many handmade levels is damaged: together they have shapes, joints and thrusters of every kind."""

STEPS = 4
"""Environment steps for which a level that is read is played."""


def level_targets(folder: Path) -> list[Target]:
    """The targets; nothing is left in ``folder``."""
    native = {
        name.replace("/", "-") + ".json": level_file(name) for name in itertools.islice(holdout_names(), 0, None, EVERY)
    }
    levels = {name: load_level(file) for name, file in native.items()}
    plain = {f"plain-{name}": json.dumps(level_to_native(level)).encode() for name, level in levels.items()}
    kinetix = {name: level_to_kinetix(level) for name, level in levels.items()}
    gallery = {f"gallery-{name}": _in_gallery_form(document, levels[name]) for name, document in kinetix.items()}
    as_bytes = lambda documents: {name: json.dumps(document).encode() for name, document in documents.items()}
    return [
        file_target("native level", {name: file.read_bytes() for name, file in native.items()} | plain, open_level),
        file_target("kinetix level", as_bytes(kinetix | gallery), open_level),
    ]


def _in_gallery_form(document: dict[str, Any], level: Level) -> dict[str, Any]:
    """A Kinetix document as the gallery of Kinetix.js keeps it: parameters by size, and no mark of an editor."""
    by_size = {"type": "size", "size": level.size.name}
    state = dict(document["env_state"])
    for kind in ("polygon", "circle"):
        state[kind] = [{key: value for key, value in body.items() if key != "highlighted"} for body in state[kind]]
    return document | {"env_state": state, "env_params": by_size, "static_env_params": by_size}


def open_level(path: Path) -> None:
    """Do what ``levels check``, ``stats``, ``convert`` and ``replay`` do with a level file.

    Raises:
        LevelError: the file is refused.
        AssertionError: the level is not the same when it is written and read again.
    """
    level, about = load_level(path), load_metadata(path)
    faults_of(level)
    format_summary([path.stem], stack_levels([level]))
    for format, metadata in (("native", about), ("kinetix", None)):
        again = path.with_name(f"again-{format}.json")
        save_level(level, again, format, overwrite=True, metadata=metadata)
        if hash_text(load_level(again)) != hash_text(level):
            raise AssertionError(f"the level is another one after it was written in the format {format}")
    if load_metadata(path.with_name("again-native.json")) != about:
        raise AssertionError("what the file says of its level is lost when it is written")
    if SIZES["l"].holds(level.size):
        _play(_environment(), jax.tree.map(jnp.asarray, resize_level(level, "l", path.name)))


@functools.cache
def _environment() -> KinetixEnv:
    return make("l", observation="entity", actions="multi_discrete")


@functools.partial(jax.jit, static_argnums=0)
def _play(env: KinetixEnv, level: Level) -> tuple[jax.Array, jax.Array]:
    """Rewards and ends of STEPS steps in which everything is pressed."""
    action = jnp.ones(env.actions.shape, env.actions.dtype)

    def step(state, _):
        _, state, reward, done, _ = env.step_env(jax.random.key(0), state, action, env.default_params)
        return state, (reward, done)

    _, state = env.reset_to_level(jax.random.key(0), level, env.default_params)
    return jax.lax.scan(step, state, length=STEPS)[1]
