"""Which environment a policy can play in: its own observation and kind of action, in the levels' size."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kinetix_ued.agents import NETWORKS
from kinetix_ued.environment import ACTIONS, OBSERVATIONS, KinetixEnv, make, make_actions, make_observation
from kinetix_ued.world import SIZES, Size

from .policies import NetworkPolicy

_BATCH = 2  # for shapes alone


def policy_and_environment(policy: Any) -> tuple[Any, KinetixEnv | None]:
    """What acts, and the environment that it says it was made for: a training run knows both."""
    env = getattr(policy, "env", None)
    policy = getattr(policy, "policy", policy)
    if hasattr(policy, "network") and hasattr(policy, "params"):  # its parameters become an argument of the program
        policy = NetworkPolicy(policy.network, policy.params)
    return policy, env


def environment_for(policy: Any, own: KinetixEnv | None, size: Size, *, greedy: bool = False) -> KinetixEnv:
    """An environment that the policy fits, of the smallest size it can play that holds ``size``.

    Args:
        policy: what acts.
        own: the environment it was made for, whose rules are kept; None for the defaults of ``make``.
        size: of the levels.
        greedy: as the policy will be asked.

    Raises:
        ValueError: for a policy that fits none; it says what would.
    """
    base = own or make(size, actions=_own_actions(policy) or "multi_discrete")
    wanted = dataclasses.replace(base, size=size)
    sizes = [size, *([own.size] if own else []), *SIZES.values()]
    views = [base.observation] if own else [make_observation(name, base.max_steps) for name in OBSERVATIONS]
    for larger in dict.fromkeys(s for s in sizes if s.holds(size)):
        for view in views:
            env = dataclasses.replace(wanted, size=larger, observation=view)
            if _problem(policy, env, greedy) is None:
                return env
    raise _misfit(policy, wanted, greedy)


def refuse_misfit(policy: Any, env: KinetixEnv, *, greedy: bool = False, name: str = "the policy") -> None:
    """Raise ValueError for a policy that cannot act in ``env``, with what would fit. Compiles nothing."""
    if _problem(policy, env, greedy) is not None:
        raise _misfit(policy, env, greedy, name)


def _own_actions(policy: Any) -> str | None:
    """The kind of action that a policy says it has, of its network's head or its own; None where it says nothing."""
    head = getattr(getattr(getattr(policy, "network", None), "network", None), "head", None)
    actions = getattr(head, "actions", None) or getattr(policy, "actions", None)
    return getattr(actions, "name", None)


def _readable(policy: Any) -> Sequence[str]:
    """The observations that a policy's network can read, by name; all of them where it is none of this project's."""
    encoder = getattr(getattr(getattr(policy, "network", None), "network", None), "encoder", None)
    return next((names for kind, names in NETWORKS.values() if type(encoder) is kind), tuple(OBSERVATIONS))


def _problem(policy: Any, env: KinetixEnv, greedy: bool) -> str | None:
    """Why the policy cannot act in ``env``, in a few words; None where it can."""
    own = _own_actions(policy)
    if own not in (None, env.actions.name):
        return f"its actions are {own!r}"
    if env.observation.name not in _readable(policy):
        return f"its network cannot read {env.observation.name!r}"
    space = env.observation_space()
    shapes = lambda tree: jax.tree.map(lambda x: x.shape, tree)
    is_integer = lambda x: jnp.issubdtype(x.dtype, jnp.integer)
    options = {"greedy": True} if greedy else {}
    key = jax.eval_shape(lambda: jax.random.key(0))
    observations = jax.tree.map(lambda x: jax.ShapeDtypeStruct((_BATCH, *x.shape), x.dtype), space)

    def act(policy: Any, key: Any, observation: Any) -> Any:
        return policy.act(key, observation, policy.initial_carry(_BATCH), **options)[0]

    try:
        if isinstance(policy, NetworkPolicy):
            if shapes(jax.eval_shape(policy.network.init, key, space)) != shapes(policy.params):
                return "its network's parameters are for other observations"
            action = jax.eval_shape(act, policy, key, observations)
        else:
            action = jax.eval_shape(functools.partial(act, policy), key, observations)
    except Exception as problem:  # a network says in its own way that it was built for something else
        return " ".join(str(problem).split()) or type(problem).__name__
    if action.shape == (_BATCH, *env.actions.shape) and is_integer(action) == is_integer(env.actions):
        return None
    return f"its actions are {action.dtype}{list(action.shape[1:])}"


def _misfit(policy: Any, env: KinetixEnv, greedy: bool, name: str = "the policy") -> ValueError:
    here = f"size {env.size.name!r} with observation {env.observation.name!r} and actions {env.actions.name!r}"
    fitting = list(_fitting(policy, env, greedy))
    problem = _problem(policy, env, greedy) or ""
    if not fitting:
        return ValueError(f"{name} cannot act in {here}, nor in any other environment of this project: {problem[:300]}")
    return ValueError(f"{name} does not fit {here}: it plays {' or '.join(fitting[:4])}")


def _fitting(policy: Any, env: KinetixEnv, greedy: bool) -> Iterator[str]:
    """In words, what the policy can play, one observation and kind of action at a time."""
    for observation in OBSERVATIONS:
        for actions in ACTIONS:
            view, kind = make_observation(observation, env.max_steps), make_actions(actions)
            made = lambda size: dataclasses.replace(env, size=size, observation=view, actions=kind)
            sizes = [name for name, size in SIZES.items() if _problem(policy, made(size), greedy) is None]
            if sizes:
                plural = "size" if len(sizes) == 1 else "sizes"
                yield f"observation {observation!r} and actions {actions!r} in {plural} {', '.join(map(repr, sizes))}"
