"""Agents that Kinetix trained: its checkpoints, read into this project's entity transformer.

A checkpoint is a folder with ``params.safetensors`` and ``config.json``. The networks are the same function; the reference
numbers its layers where this project names them, keeps queries, keys and values apart, and lays heads on an axis.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from kinetix_ued.environment import OBSERVATIONS, make_actions
from kinetix_ued.world import SIZES

from .policy import Params, Policy, make_policy
from .saved import save

CONFIG, PARAMS = "config.json", "params.safetensors"

_GATE = ("reset_new", "reset_old", "update_new", "update_old", "candidate_new", "candidate_old")
_ENTITIES = ("circles", "polygons", "joints", "thrusters")

_SUPPORTED: dict[str, tuple[Any, ...]] = {
    "aggregate_mode": ("dummy_and_mean",),
    "full_attention_mask": (False,),
    "activation": ("tanh",),
    "transformer_ffn": (False,),
    "multilayer_joint_thruster_mixing": (False,),
    "joint_thruster_block_num_layers": (1,),
    "joint_thruster_block_hidden_dim_multiplication": (1,),
    "recurrent_model": (False,),
    "permutation_invariant_mlp": (False,),
    "separate_encoders": (False, None),
}
"""Settings of the reference's model that change its function, with the values that can be read."""

_WIDTHS = {
    "num_heads": 8,
    "transformer_depth": 2,
    "transformer_size": 16,
    "transformer_encoder_size": 128,
    "actor_width": 128,
    "actor_depth": 5,
}
"""Settings that are numbers, with the reference's defaults."""


def read_kinetix_agent(folder: str | os.PathLike[str], actions: Any) -> tuple[Policy, Params]:
    """The policy and the parameters of a checkpoint of Kinetix.

    Args:
        folder: with ``params.safetensors`` and ``config.json``, as the reference writes them.
        actions: the kind of action it was trained with; multi-discrete in all that were published.

    Raises:
        ValueError: for a folder without these files, files that cannot be read, a model of another kind than the entity
            transformer, or parameters that are missing, superfluous or of another shape, naming them.
    """
    folder = Path(folder)
    policy_settings = _settings(folder)
    policy = make_policy(observation="entity", actions=actions, **policy_settings)
    params = _renamed(
        _arrays(folder / PARAMS), policy_settings["layers"], policy_settings["head_depth"], folder / PARAMS
    )
    space = OBSERVATIONS["entity"]().space(SIZES["s"])
    wanted = jax.eval_shape(policy.init, jax.random.key(0), space)
    for (path, array), shape in zip(jax.tree.leaves_with_path(params), jax.tree.leaves(wanted), strict=True):
        if array.shape != shape.shape or array.dtype != shape.dtype:
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            raise ValueError(
                f"{folder / PARAMS}: what becomes {name} has shape {array.shape} of {array.dtype}, and the network of "
                f"{CONFIG} takes {shape.shape} of {shape.dtype}"
            )
    return policy, params


def import_kinetix_agent(
    folder: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    name: str,
    about: str = "",
    size: str = "l",
    overwrite: bool = False,
) -> None:
    """Write a checkpoint of Kinetix as a saved agent of this project, with multi-discrete actions.

    Args:
        folder: as for ``read_kinetix_agent``.
        path: of the file to write; it ends in .safetensors.
        name: of the agent.
        about: what it is, in a sentence.
        size: of the levels that it was trained on; it plays all.
        overwrite: replace a file that is there.

    Raises:
        ValueError: as ``read_kinetix_agent`` and ``save``.
    """
    environment = {"size": size, "observation": "entity", "actions": "multi_discrete"}
    _, params = read_kinetix_agent(folder, make_actions("multi_discrete"))
    save(
        path,
        params,
        name=name,
        about=about,
        network=_settings(Path(folder)),
        environment=environment,
        training={"trained_by": "Kinetix"},
        overwrite=overwrite,
    )


def _settings(folder: Path) -> dict[str, Any]:
    """The arguments of ``make_policy`` that make the network of a checkpoint."""
    model = _model(folder / CONFIG)
    numbers = {name: model.get(name, default) for name, default in _WIDTHS.items()}
    for one, other in (("critic_width", "actor_width"), ("critic_depth", "actor_depth")):
        if model.get(one, numbers[other]) != numbers[other]:
            raise ValueError(f"{folder / CONFIG}: {one} differs from {other}, and the actor and critic here are alike")
    return {
        "network": "entity_transformer",
        "head_width": numbers["actor_width"],
        "head_depth": numbers["actor_depth"],
        "width": numbers["transformer_encoder_size"],
        "layers": numbers["transformer_depth"],
        "heads": numbers["num_heads"],
        "attention_width": numbers["transformer_size"],
        "legacy_entity_id": bool(model.get("legacy_entity_id", False)),
    }


def _model(file: Path) -> Mapping[str, Any]:
    """The model's settings in a configuration, checked."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{file.parent} holds no agent of Kinetix: there is no {file.name} in it") from None
    except (OSError, ValueError, RecursionError) as problem:
        raise ValueError(f"{file} cannot be read: {problem}") from problem
    model = document.get("model", document) if isinstance(document, dict) else None
    if not isinstance(model, dict):
        raise ValueError(f"{file} holds no settings of a model: it needs an object called 'model'")
    for name, known in _SUPPORTED.items():
        if name in model and model[name] not in known:
            raise ValueError(f"{file}: {name}={model[name]!r} cannot be read here, only {known[0]!r}")
    for name in _WIDTHS:
        value = model.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 4096:
            raise ValueError(f"{file}: {name} must be a whole number from 1 to 4096, got {value!r}")
    return model


def _arrays(file: Path) -> dict[str, np.ndarray]:
    try:
        arrays = load_file(file)
    except FileNotFoundError:
        raise ValueError(f"{file.parent} holds no agent of Kinetix: there is no {file.name} in it") from None
    except (OSError, SafetensorError) as problem:
        raise ValueError(f"{file} cannot be read: {problem}") from problem
    return {name.removeprefix("params/").removeprefix("params."): array for name, array in arrays.items()}


def _renamed(arrays: dict[str, np.ndarray], layers: int, depth: int, file: Path) -> Params:
    """The arrays under this project's names.

    Raises:
        ValueError: for arrays that are missing or left over.
    """
    left, tree = dict(arrays), {}
    for path, names in _places(layers, depth):
        missing = [name for name in names if name not in left]
        if missing:
            raise ValueError(f"{file} lacks {missing[0]}: it is no entity transformer with {layers} layers")
        parts = [left.pop(name) for name in names]
        *parents, leaf = path
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[leaf] = _flattened(parts, path)
    if left:
        raise ValueError(f"{file} holds {sorted(left)[0]}, which no entity transformer with {layers} layers has")
    return tree


def _flattened(parts: list[np.ndarray], path: tuple[str, ...]) -> np.ndarray:
    """One array: of attention, heads on the axes of features, and queries, keys and values side by side."""
    if path[-2] == "query_key_value":
        rank = 2 if path[-1] == "kernel" else 1
        return np.concatenate([part.reshape(*part.shape[: rank - 1], -1) for part in parts], axis=-1)
    (part,) = parts
    return part.reshape(-1, part.shape[-1]) if part.ndim == 3 else part


def _places(layers: int, depth: int) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Where each parameter goes, and what it is called in the checkpoint."""

    def dense(path: tuple[str, ...], *names: str, bias: bool = True):
        for leaf in ("kernel", "bias") if bias else ("kernel",):
            yield (*path, leaf), [f"{name}/{leaf}" for name in names]

    for n, kind in enumerate(_ENTITIES):
        yield from dense(("encoder", kind), f"Dense_{n}")
    for layer in range(layers):
        block = f"Transformer_0/tf_layers_{layer}"
        attention = ("encoder", f"attention_{layer}")
        yield from dense(
            (*attention, "query_key_value"), *(f"{block}/attention1/{name}" for name in ("query", "key", "value"))
        )
        yield from dense((*attention, "out"), f"{block}/attention1/out")
        yield from dense(("encoder", f"dense_{layer}"), f"{block}/dense1")
        for ours, theirs in (("attention", "1"), ("dense", "2")):
            for leaf in ("scale", "bias"):
                yield ("encoder", f"{ours}_norm_{layer}", leaf), [f"{block}/ln{theirs}/{leaf}"]
            gate = ("encoder", f"{ours}_gate_{layer}")
            yield (*gate, "bias"), [f"{block}/gate{theirs}/gating_bias"]
            for n, name in enumerate(_GATE):
                yield from dense((*gate, name), f"{block}/gate{theirs}/Dense_{n}", bias=False)
        messages = ("encoder", f"messages_{layer}")
        yield from dense((*messages, "joint"), f"Transformer_0/joint_layers_{layer}")
        yield from dense((*messages, "thruster"), f"Transformer_0/thruster_layers_{layer}")
    head = "GeneralActorCriticRNN_0"
    for n in range(depth):
        yield from dense(("head", f"actor_{n}"), f"{head}/DenseAndActivation_{n}/Dense_0")
        yield from dense(("head", f"critic_{n}"), f"{head}/DenseAndActivation_{depth + n}/Dense_0")
    yield from dense(("head", "actor_out"), f"{head}/Dense_0")
    yield from dense(("head", "critic_out"), f"{head}/Dense_1")
