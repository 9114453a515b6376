"""A run: a folder with a configuration, numbers and checkpoints, and the policy it has learned."""

from __future__ import annotations

import json
import os
import re
import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from kinetix_ued.agents import load, names_an_agent
from kinetix_ued.whole import whole_file

from . import checkpoint
from .build import build_env, build_learner, build_network
from .config import UNNOTED, TrainConfig, decisive, validate
from .evaluation import read_report
from .memory import refuse_too_large
from .metrics import Metrics, Rating, read_metrics
from .update import first_keys

CONFIG, METRICS, CHECKPOINTS, INITIAL = "config.json", "metrics.jsonl", "checkpoints", "initial"
_SEED = "seed-"


class TrainedPolicy:
    """A network with its parameters.

    Attributes:
        network: the ``kinetix_ued.agents`` policy: ``apply``, ``initial_carry`` and the rest
        params: its parameters, a pytree
    """

    def __init__(self, network: Any, params: Any, example: Any):
        """``example`` is one observation, arrays or shapes: it tells a single observation from a batch."""
        self.network, self.params = network, params
        self._rank = jax.tree.leaves(example)[0].ndim

        self._act = jax.jit(network.act, static_argnames="greedy")

    def initial_carry(self, batch: int | None = None) -> Any:
        """Memory at the start of an episode, of one agent or of ``batch`` agents."""
        carry = self.network.initial_memory(batch or 1)
        return carry if batch else jax.tree.map(lambda x: x[0], carry)

    def act(self, key: jax.Array, observation: Any, carry: Any = None, *, greedy: bool = False) -> tuple[Any, Any]:
        """The next action and memory, for one observation or for a batch of them.

        Args:
            key: for sampling the action.
            observation: as the environment gives it; a leading axis makes it a batch.
            carry: memory from the last step; None at the start of an episode.
            greedy: take the most likely action instead of a sampled one.
        """
        first = jax.tree.leaves(observation)[0]
        single = first.ndim == self._rank
        if carry is None:
            carry = self.initial_carry(None if single else first.shape[0])
        if not single:
            return self._act(self.params, key, observation, carry, greedy=greedy)
        add = lambda tree: jax.tree.map(lambda x: x[None], tree)
        action, carry = self._act(self.params, key, add(observation), add(carry), greedy=greedy)
        return jax.tree.map(lambda x: x[0], (action, carry))


class Run:
    """A training run, while it goes on and afterwards.

    Attributes:
        path: its folder
        config: what it was asked to do
        env: the environment it trains in
        policy: what it has learned so far
        updates: how many updates are done
        counts: environment steps by purpose, see ``STEP_KINDS``
        interrupted: it was asked to stop before its end or that of its final evaluation, and saved
        stopped: why it ended before its steps were taken, having reached what it was for; empty otherwise
        solve_rate: mean solve rate over the last ``config.solve_rate_window`` updates that learned; None until then
        rating: how good the policy is, if a callback or the checkpoint said so; a callback that sets it makes the loop
            keep the checkpoint of the best
        state: while it goes on, the whole training state, for callbacks; the next update takes its arrays away
    """

    def __init__(self, path: Path, config: TrainConfig, env: Any, policy: TrainedPolicy):
        self.path, self.config, self.env, self.policy = path, config, env, policy
        self.updates = 0
        self.counts = dict.fromkeys(STEP_KINDS, 0)
        self.interrupted = False
        self.stopped = ""
        self.solve_rate: float | None = None
        self.rating: Rating | None = None
        self.state: Any = None

    def stop(self, reason: str) -> None:
        """End training after this update, as if the run had come to its end; for callbacks."""
        self.stopped = reason

    @property
    def metrics(self) -> list[Metrics]:
        """Numbers of every update so far, oldest first."""
        return read_metrics(self.path / METRICS)

    @property
    def evaluation(self) -> dict[str, Any] | None:
        """The final evaluation, the document in ``evaluation.json``; None where there is none.

        Raises:
            ValueError: for a damaged file.
        """
        return read_report(self.path)

    def initial_policy(self) -> TrainedPolicy:
        """What the run began with: the same network with its first parameters."""
        key = first_keys(jax.random.key(self.config.seed)).agent
        init = build_learner(self.config, self.env, self.policy.network).init
        if self.config.init_from:
            params = initial_params(self.path, self.config, jax.eval_shape(init, key).params)
        else:
            params = jax.jit(init)(key).params
        return TrainedPolicy(self.policy.network, params, self.env.observation_space())

    @classmethod
    def load(cls, path: str | os.PathLike[str], which: str | int = "latest") -> Run:
        """The run in folder ``path`` with the policy of a whole checkpoint.

        Args:
            path: folder of the run.
            which: ``latest``; ``best``: of the highest rating, by an evaluation or else by ``solve_rate``; or the
                number of an update whose checkpoint is still there.

        A damaged checkpoint is passed over, and a warning names it and the one that is used instead.

        Raises:
            ValueError: for a folder without a run or without such a checkpoint, a configuration that cannot run, or
                one that is not the checkpoint's own, naming what differs.
        """
        config = read_config(path)
        env = build_env(config)
        network = build_network(config, env)
        params = jax.eval_shape(build_learner(config, env, network).init, jax.random.key(0)).params
        refuse_too_large(params, "its parameters")
        folder = Path(path) / CHECKPOINTS
        remedy = f"{Path(path) / CONFIG} was changed after training: put it back"
        own = decisive(config)
        saved = checkpoint.load(folder, params, which=which, part=PARAMS, config=own, remedy=remedy)
        if saved is None and which == "latest":
            raise ValueError(f"{path} holds no whole checkpoint yet: resume the run, or name another folder")
        if saved is None:
            there = ", ".join(map(str, checkpoint.whole_updates(folder))) or "none"
            wanted = "with a rating" if which == "best" else f"of update {which}"
            raise ValueError(
                f"{path} holds no whole checkpoint {wanted}: use which='latest', or one of the updates {there}"
            )
        params = jax.tree.map(jnp.asarray, saved.tree)
        run = cls(Path(path), config, env, TrainedPolicy(network, params, env.observation_space()))
        run.restore_counts(saved)
        return run

    def restore_counts(self, saved: checkpoint.Checkpoint) -> None:
        """Take updates, step counts and rating from a checkpoint.

        Raises:
            CheckpointError: where it does not say the counts.
        """
        counts = saved.host.get("counts")
        if not isinstance(counts, dict) or not all(type(counts.get(kind)) is int for kind in STEP_KINDS):
            raise checkpoint.CheckpointError(f"{saved.path} does not say how many steps of each kind were taken")
        self.updates, self.counts, self.rating = saved.update, dict(counts), saved.rating


STEP_KINDS = ("learning", "scoring", "antagonist", "filter", "evaluation")
"""What environment steps are taken for, counted apart.

``learning``: the agent learned from them; ``scoring``: played without gradients, for the curriculum's scores alone;
``antagonist``: taken by the second student of curricula that have two; ``filter``: simulated to filter generated
levels; ``evaluation``: played by evaluations while it trains, which add them to ``Run.counts`` themselves. Those of the
final evaluation stand in its document.
"""

PARAMS = ".agent.params"
"""Where a checkpoint of the training state holds the parameters."""


PENDING = "pending"
"""Where a checkpoint that was written in the middle of an update's callbacks holds the update's numbers."""


def read_config(path: str | os.PathLike[str]) -> TrainConfig:
    """The configuration of the run in folder ``path``.

    Raises:
        ValueError: where there is none, or one that could not be trained; names the file.
    """
    file = Path(path) / CONFIG
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path} holds no run: there is no {CONFIG} in it") from None
    except (OSError, ValueError, RecursionError) as problem:  # no UTF-8, no JSON, or too deeply nested
        raise ValueError(f"{file} cannot be read: {problem}") from problem
    if not isinstance(values, dict):
        raise ValueError(f"{file} must hold the fields of a configuration by name, {{...}}; it is {str(values)[:50]!r}")
    try:
        config = TrainConfig.from_dict(UNNOTED | values)
        validate(config)
    except ValueError as problem:
        raise ValueError(f"{file}: {problem}") from problem
    return config


def initial_params(path: Path, config: TrainConfig, example: Any) -> Any:
    """The parameters that a run with ``init_from`` starts from.

    They are those noted in its own folder ``path``, so that neither its start nor its resumption depends on what
    became of the other run since; those of the other run's last whole checkpoint, or of the saved agent, if nothing is
    noted yet.

    Args:
        example: parameters of this run, arrays or shapes.

    Raises:
        ValueError: where the other folder holds no run or no checkpoint, or its parameters do not fit, naming which.
    """
    noted = checkpoint.load(path / INITIAL, example)
    if noted is None and checkpoint.saved_updates(path / INITIAL):
        warnings.warn(f"{path / INITIAL} is damaged: {config.init_from} is taken as it is now", stacklevel=2)
    if noted is None and names_an_agent(config.init_from):
        return _fitting(load(config.init_from).params, example, config.init_from)
    if noted is None:
        source = Path(config.init_from)
        read_config(source)
        noted = checkpoint.load(source / CHECKPOINTS, example, part=PARAMS)
        if noted is None:
            raise ValueError(f"init_from={config.init_from}: that run has no whole checkpoint yet, train it first")
    return jax.tree.map(jnp.asarray, noted.tree)


def _fitting(params: Any, example: Any, source: str) -> Any:
    """``params``, if they have the structure and the shapes of ``example``."""
    named = lambda tree: {
        jax.tree_util.keystr(path, simple=True, separator="/"): x.shape
        for path, x in jax.tree_util.tree_leaves_with_path(tree)
    }
    theirs, ours = named(params), named(example)
    if theirs != ours:
        different = next(name for name in sorted(theirs.keys() | ours.keys()) if theirs.get(name) != ours.get(name))
        raise ValueError(
            f"init_from={source}: its {different} has shape {theirs.get(different)} and that of this run "
            f"{ours.get(different)}: the networks must be the same"
        )
    return jax.tree.map(jnp.asarray, params)


def seed_folder(path: str | os.PathLike[str], seed: int) -> Path:
    """Where ``train_seeds`` keeps the run of one seed, in the folder ``path`` of all of them."""
    return Path(path) / f"{_SEED}{seed}"


def seed_folders(path: str | os.PathLike[str]) -> list[Path]:
    """The runs of several seeds in folder ``path``, by their seeds; empty where there are none."""
    number = lambda folder: folder.name.removeprefix(_SEED)
    is_seed = lambda folder: re.fullmatch("[0-9]{1,10}", number(folder)) is not None
    found = (file.parent for file in Path(path).glob(f"{_SEED}*/{CONFIG}") if is_seed(file.parent))
    return sorted(found, key=lambda folder: int(number(folder)))


def write_config(path: Path, config: TrainConfig) -> None:
    """Write ``config`` into folder ``path``, whole or not at all."""
    path.mkdir(parents=True, exist_ok=True)
    with whole_file(path / CONFIG, durable=True) as partial:
        partial.write_text(json.dumps(config.to_dict(), indent=1) + "\n", encoding="utf-8")
