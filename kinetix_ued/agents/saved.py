"""Saved agents: the parameters of a network in one file, with a card that says what it is and how to play it.

The file is a safetensors file, which holds arrays and text and executes nothing. The card is JSON in its metadata.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as as_bytes

from kinetix_ued.environment import KinetixEnv, make
from kinetix_ued.whole import whole_file
from kinetix_ued.writable import refuse_existing

from .normalisation import NormalisedPolicy
from .policy import Params, Policy, make_policy

SCHEMA = "kinetix-ued-agent/1"
"""What a card says it is, with the version of its form."""

PREFIX, SUFFIX = "agent:", ".safetensors"
"""What the name of a bundled agent begins with where folders of runs may be named too; and how files of agents end."""

BUNDLED = Path(__file__).parent / "bundled"
"""Agents that come with the package."""

_CARD = "card"
_PARTS = {"schema": str, "name": str, "about": str, "network": dict, "environment": dict, "training": dict, "hash": str}
"""Parts of a card that every file has, with their types."""


@dataclasses.dataclass(frozen=True)
class Agent:
    """A network with its parameters, and what it was made for. ``evaluate`` plays it as it is.

    Attributes:
        network: the policy
        params: its parameters, a pytree
        env: the environment it was trained in; the sizes of levels that it plays are those that its network reads
        card: ``name``; ``about``, a sentence; ``network`` and ``environment``, the arguments that make them;
            ``training``, what it cost; ``hash``, of the parameters
    """

    network: Policy
    params: Params
    env: KinetixEnv
    card: dict[str, Any]


def make_network(
    env: KinetixEnv, network: str, *, normalised: bool = False, dtype: str = "float32", **options: Any
) -> Policy:
    """The policy that a card describes: ``make_policy`` with options that can be written down.

    Args:
        env: what it plays in.
        network: its name.
        normalised: it sees observations by their running moments.
        dtype: of the computation, by name.
        options: of ``make_policy``.

    Raises:
        ValueError: as ``make_policy``.
    """
    policy = make_policy(
        network, env.observation, env.actions, dtype=None if dtype == "float32" else jnp.dtype(dtype), **options
    )
    return NormalisedPolicy(policy.network, policy.hold) if normalised else policy


def save(
    path: str | os.PathLike[str],
    params: Params,
    *,
    name: str,
    about: str,
    network: Mapping[str, Any],
    environment: Mapping[str, Any],
    training: Mapping[str, Any],
    overwrite: bool = False,
) -> None:
    """Write an agent, whole or not at all.

    Args:
        path: of the file; it ends in .safetensors.
        params: a pytree of arrays.
        name: of the agent.
        about: what it is, in a sentence.
        network: arguments of ``make_network``.
        environment: arguments of ``kinetix_ued.make``.
        training: what it cost and where it is from, ready for JSON.
        overwrite: replace a file that is there.

    Raises:
        ValueError: for another ending, or a file that is there already.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise ValueError(f"{path}: a file of an agent ends in {SUFFIX}")
    refuse_existing(path, overwrite)
    card = make_card(params, name=name, about=about, network=network, environment=environment, training=training)
    with whole_file(path) as partial:
        # Its own function for files lets their owner alone read them.
        partial.write_bytes(as_bytes(_arrays(params), metadata={_CARD: json.dumps(card)}))


def make_card(
    params: Params,
    *,
    name: str,
    about: str,
    network: Mapping[str, Any],
    environment: Mapping[str, Any],
    training: Mapping[str, Any],
) -> dict[str, Any]:
    """The card of an agent; arguments as of ``save``."""
    return {
        "schema": SCHEMA,
        "name": name,
        "about": about,
        "network": dict(network),
        "environment": dict(environment),
        "training": dict(training),
        "hash": _hash(_arrays(params)),
    }


def load(agent: str | os.PathLike[str]) -> Agent:
    """A bundled agent by its name, or the agent in a file.

    Raises:
        ValueError: for an unknown name, with those that there are; a file that is not there, damaged, of another
            kind or of a newer version.
    """
    path = _file(agent)
    card, arrays = _read(path)
    try:
        env = make(**card["environment"])
        network = make_network(env, **card["network"])
        wanted = jax.eval_shape(network.init, jax.random.key(0), env.observation_space())
    except (TypeError, ValueError) as problem:
        raise ValueError(f"{path}: its card describes no agent of this version: {problem}") from problem
    return Agent(network, _as_tree(arrays, wanted, path), env, card)


def bundled() -> dict[str, Path]:
    """The files of the agents that come with the package, by name."""
    return {file.stem: file for file in sorted(BUNDLED.glob(f"*{SUFFIX}"))}


def names_an_agent(text: str) -> bool:
    """Whether ``text`` has the form ``agent:NAME`` or ``FILE.safetensors``, rather than being the folder of a run."""
    return text.startswith(PREFIX) or text.endswith(SUFFIX)


def read_card(agent: str | os.PathLike[str]) -> dict[str, Any]:
    """The card of an agent, without its parameters; errors as of ``load``."""
    return _card(_file(agent))


def _file(agent: str | os.PathLike[str]) -> Path:
    name = os.fspath(agent).removeprefix(PREFIX)
    if name.endswith(SUFFIX):
        return Path(name)
    known = bundled()
    if name not in known:
        raise ValueError(
            f"unknown agent {name!r}: use one of {', '.join(known) or 'none'}, or a file ending in {SUFFIX}"
        )
    return known[name]


def _card(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, "numpy") as file:
            text = (file.metadata() or {}).get(_CARD)
    except (OSError, SafetensorError) as problem:
        raise ValueError(f"{path} is no file of an agent: {problem}") from problem
    if text is None:
        raise ValueError(
            f"{path} holds arrays and no card: for an agent of Kinetix use kinetix-ued agents import FOLDER"
        )
    try:
        card = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise ValueError(f"{path}: its card is no JSON: {problem}") from problem
    if not isinstance(card, dict) or card.get("schema") != SCHEMA:
        found = card.get("schema") if isinstance(card, dict) else None
        raise ValueError(f"{path}: its card says {str(found)[:50]!r}, and this version reads {SCHEMA!r}")
    for part, kind in _PARTS.items():
        if not isinstance(card.get(part), kind):
            raise ValueError(f"{path}: its card has no {part}")
    return card


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    card = _card(path)
    try:
        with safe_open(path, "numpy") as file:
            arrays = {key: file.get_tensor(key) for key in file.keys()}
    except (OSError, SafetensorError) as problem:
        raise ValueError(f"{path} is damaged: {problem}") from problem
    if _hash(arrays) != card["hash"]:
        raise ValueError(f"{path} is damaged: its parameters are not those of its card")
    return card, arrays


def _as_tree(arrays: dict[str, np.ndarray], wanted: Params, path: Path) -> Params:
    leaves = []
    for name, shape in _named(wanted):
        found = arrays.get(name)
        if found is None or found.shape != shape.shape or found.dtype != shape.dtype:
            raise ValueError(f"{path}: its network has a parameter {name} of shape {shape.shape}, and the file has not")
        leaves.append(jnp.asarray(found))
    if len(leaves) != len(arrays):
        raise ValueError(f"{path}: it holds {len(arrays)} arrays, and its network has {len(leaves)} parameters")
    return jax.tree.unflatten(jax.tree.structure(wanted), leaves)


def _arrays(params: Params) -> dict[str, np.ndarray]:
    return {key: np.asarray(leaf) for key, leaf in _named(params)}


def _named(tree: Any) -> list[tuple[str, Any]]:
    name = functools.partial(jax.tree_util.keystr, simple=True, separator="/")
    return [(name(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]


def _hash(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of names, types, shapes and contents."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
