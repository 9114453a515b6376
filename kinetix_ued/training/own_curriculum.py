"""What a curriculum of a user's own must be, told before anything long is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from kinetix_ued.curricula import Curriculum, Plan, Rollout
from kinetix_ued.generators import refuse_held_out
from kinetix_ued.user_code import UserCodeError, check_call, refuse, where
from kinetix_ued.world import empty_level, size_of

from .config import TrainConfig, check_whole_episodes


def check_curriculum(curriculum: Curriculum, config: TrainConfig) -> None:
    """Trace the three functions of a curriculum once, without compiling, and look at what they return.

    Raises:
        UserCodeError: with the function's file and line: for a function that cannot be called as the protocol says, or
            returns something else; and for whatever a function out of a file raises.
    """
    init, propose, update, students = curriculum
    if students not in (1, 2):
        refuse(propose, f"a curriculum has one student, or two with an antagonist; got {students!r}")
    check_call(init, "init of a curriculum", "key")
    check_call(propose, "propose of a curriculum", "key", "state")
    check_call(update, "update of a curriculum", "state", "levels", "rollout", "plan")
    key, batch = jax.eval_shape(lambda: jax.random.key(0)), config.environments
    state = _traced(init, key)
    levels, plan = _pair(propose, _traced(propose, key, state), "(levels, Plan)")
    if not isinstance(plan, Plan):
        refuse(propose, f"propose must return (levels, Plan), got a {type(plan).__name__} in place of the Plan")
    one = jax.eval_shape(lambda: empty_level(size_of(config.size)))
    wanted = jax.tree.map(lambda x: jax.ShapeDtypeStruct((batch, *x.shape), x.dtype), one)
    _same(propose, "the levels that propose returns", levels, wanted, "those of sample(key, batch)")
    flag, slots = jax.ShapeDtypeStruct((), bool), jax.ShapeDtypeStruct((batch,), jnp.int32)
    for name, field in (("learn", flag), ("restart", flag), ("slots", slots)):
        _same(propose, f"{name} of the Plan that propose returns", getattr(plan, name), field)
    after, metrics = _pair(update, _traced(update, state, levels, _rollout(config, students), plan), "(state, metrics)")
    _same(update, "the state that update returns", after, state, "that of init")
    if not isinstance(metrics, dict) or any(getattr(value, "shape", None) != () for value in metrics.values()):
        refuse(update, "update must return its metrics as a flat dict of scalars by name")


def try_curriculum(curriculum: Curriculum, config: TrainConfig) -> None:
    """Make a curriculum's first proposal.

    Raises:
        ValueError: where it has levels of the holdout suites, unless they are allowed, naming them; and where it
            restarts environments although its rollouts are shorter than an episode.
    """
    first, plan = jax.jit(lambda key: curriculum.propose(key, curriculum.init(key)))(jax.random.key(0))
    if plan.restart:
        check_whole_episodes(config)
    if not config.allow_holdout:
        refuse_held_out(first, [f"level {n}" for n in range(len(first))], "the curriculum")


def _rollout(config: TrainConfig, students: int) -> Rollout:
    """Shapes of what a curriculum reads of an update."""
    shape = (config.rollout_steps * config.outer_steps, config.environments)
    number, flag = jax.ShapeDtypeStruct(shape, jnp.float32), jax.ShapeDtypeStruct(shape, bool)
    last = jax.ShapeDtypeStruct(shape[1:], jnp.float32)
    played = Rollout(reward=number, done=flag, goal=flag, value=number, last_value=last, advantage=number)
    return played._replace(antagonist=played) if students == 2 else played


def _traced(function: Callable, *arguments: Any) -> Any:
    try:
        return jax.eval_shape(function, *arguments)
    except TypeError as problem:  # JAX's, for what is no array
        text = next(iter(str(problem).splitlines()), "")
        raise UserCodeError(f"{where(function)}: {type(problem).__name__}: {text}") from problem


def _pair(function: Callable, found: Any, wanted: str) -> tuple[Any, Any]:
    if not isinstance(found, tuple) or len(found) != 2 or hasattr(found, "_fields"):
        what = f"{len(found)} values" if type(found) is tuple else f"a {type(found).__name__}"
        refuse(function, f"{getattr(function, '__name__', 'it')} must return {wanted}, got {what}")
    return found


def _same(function: Callable, what: str, found: Any, wanted: Any, whose: str = "") -> None:
    """Refuse ``found`` unless its tree, shapes and types are those of ``wanted``."""
    if jax.tree.structure(found) != jax.tree.structure(wanted):
        refuse(function, f"{what} must have the structure of {whose or 'one array'}, got {_tree(found)}")
    for (path, x), y in zip(jax.tree.leaves_with_path(found), jax.tree.leaves(wanted), strict=True):
        if (x.shape, x.dtype) != (y.shape, y.dtype):
            name = jax.tree_util.keystr(path)
            refuse(function, f"{what}{name} must be {y.dtype}{list(y.shape)}, got {x.dtype}{list(x.shape)}")


def _tree(found: Any) -> str:
    return type(found).__name__ if not isinstance(found, (tuple, list, dict)) else str(jax.tree.structure(found))
