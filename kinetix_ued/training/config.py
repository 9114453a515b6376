"""What a training run is: one flat dataclass, from which the command line is made."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import math
import textwrap
import typing
from collections.abc import Collection
from typing import Any, NoReturn

from kinetix_ued.renamed import current_name
from kinetix_ued.user_code import names_a_file, short_reference

# What knows the parts by name is imported where it is asked: the help of the command line is made from the fields alone
# and should not wait for JAX.

DTYPES = ("float32", "bfloat16")
"""What a network can compute in."""


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """A training run. The defaults are those of the preset ``quick``; ``validate`` says what does not fit together."""

    preset: str = "quick"
    """Name of the preset that the other values started from."""
    seed: int = 0
    """Seed of everything random in the run."""
    seeds: int = 1
    """Agents trained side by side in one program, with seeds from that one on: each a run in a folder seed-N of its own."""
    out: str = ""
    """Folder of the run; empty: a new one under runs/, named after preset, curriculum and seed."""

    size: str = "s"
    """Size of the levels: s, m or l."""
    observation: str = "scene"
    """What the agent sees: scene, entity, symbolic_flat, symbolic_flat_padded, pixels or blind."""
    actions: str = "multi_discrete"
    """What the agent does: multi_discrete, discrete or continuous."""
    engine: str = "auto"
    """Physics engine: auto, warp or jax."""
    physics: str = "kinetix"
    """Solver behaviour: kinetix (the reference's, its padding fault included) or fixed."""
    frame_skip: int = 2
    """Physics frames in an environment step."""
    dense_reward_scale: float = 0.2
    """Reward for each metre that green and blue come closer; 0: only the goal pays."""
    max_steps: int = 256
    """Environment steps after which an episode is cut off."""
    decision_frames: int = 8
    """Physics frames between two decisions of the agent, which holds its action in between; 0: those of an environment step.
    It learns from decisions alone, and is scored by the rules of the environment's own steps."""

    network: str = "actuator"
    """Encoder of the agent: actuator (scene), entity_transformer or permutation_invariant (entities), flat_mlp (flat
    observations) or cnn (pixels)."""
    network_width: int = 64
    """Width of the encoder; 0: the network's own."""
    network_options: str = ""
    """Settings of the encoder that have no field here, as name=value with commas between them: mirror=False for actuator."""
    head_width: int = 128
    """Width of the layers of actor and critic."""
    head_depth: int = 2
    """Layers of actor and critic each."""
    recurrent: bool = False
    """Put a GRU between encoder and heads; minibatches then hold whole environments."""
    recurrent_size: int = 256
    """Width of the GRU."""
    normalise_observations: bool = False
    """Show the network every feature less its running mean, by its running deviation (entity, symbolic_flat)."""
    dtype: str = "float32"
    """What the network computes in: float32 or bfloat16; parameters and losses stay float32."""
    init_from: str = ""
    """Folder of a run, or agent:NAME or FILE.safetensors, whose parameters this run starts from; empty: random ones."""

    teacher: str = ""
    """Whom to imitate first: folder of a run, agent:NAME or FILE.safetensors, or a folder of levels and proofs that they can
    be solved, which are then the levels of the run; empty: nobody."""
    teacher_hash: str = ""
    """SHA-256 of what the teacher is, noted when training starts."""
    imitation_steps: int = 0
    """Those of the steps in which the agent imitates the teacher, before it learns by itself; 0: all of them."""
    teacher_share: float = 0.5
    """Share of the environments in which the teacher acts at first; it falls to 0 while the teacher is imitated. Proofs are
    always acted out."""

    curriculum: str = "dr"
    """Which levels to play: a curriculum's name, or path/to/file.py:function for one of your own."""
    options: str = ""
    """Settings of the curriculum that have no field here, as name=value with commas between them."""
    buffer_size: int = 4000
    """Levels that the buffer holds."""
    score: str = ""
    """What makes a level worth replaying, a score's name; empty: the curriculum's own choice."""
    prioritisation: str = "rank"
    """How scores become probabilities: rank or topk."""
    temperature: float = 1.0
    """Flattens the probabilities of ranks."""
    top_k: int = 128
    """Levels that topk prioritisation replays."""
    staleness: float = 0.3
    """Share of the replay probability that goes to levels not seen for long."""
    replay_probability: float = 0.5
    """Probability that an update replays levels instead of trying new ones."""
    minimum_fill: float = 0.5
    """Share of the buffer that must be full before levels are replayed."""
    generator: str = "random"
    """Where new levels come from: a generator's name, or path/to/file.py:function for one of your own."""
    levels: str = ""
    """Level files, folders of them and lists of such (.txt) to train on in place of a generator's levels, with commas between
    them; smaller levels are padded to the size of the run."""
    levels_hash: str = ""
    """SHA-256 of those levels' contents, noted when training starts."""
    curriculum_code: str = ""
    """SHA-256 of the curriculum's own file, noted when training starts; empty for a curriculum of this package."""
    generator_code: str = ""
    """SHA-256 of the generator's own file, noted likewise."""
    accept_changed_code: bool = False
    """Go on with a run although a file of your own that it executes has changed since it began."""
    allow_holdout: bool = False
    """Train on levels of the holdout suites too, if the generator makes them; evaluations then say so."""
    filters: str = "noop_solves"
    """Levels to leave out, as filters by name with commas between them; empty: none."""

    environments: int = 1024
    """Environments that run side by side."""
    rollout_steps: int = 32
    """Decisions in each environment between two PPO updates: steps, unless decision_frames says otherwise."""
    outer_steps: int = 1
    """PPO updates for which the levels of one proposal are played."""
    steps: int = 30_000_000
    """Environment steps to learn from; steps played for scores alone come on top and are counted apart."""

    epochs: int = 2
    """Passes over each rollout in a PPO update."""
    minibatches: int = 8
    """Minibatches of each pass."""
    learning_rate: float = 1e-3
    """Adam's learning rate, the highest of the schedule."""
    schedule: str = "linear"
    """How the learning rate changes over the run: constant, linear or cosine (down to zero), or warmup-cosine."""
    warmup: float = 0.05
    """Share of the run in which the learning rate rises (warmup-cosine)."""
    gamma: float = 0.98
    """Discount of a decision."""
    gae_lambda: float = 0.9
    """Decay of generalised advantage estimation."""
    clip: float = 0.2
    """PPO's clipping range, of ratios and of values."""
    value_clipping: bool = True
    """Stop the gradient of a value that has left its old estimate by more than the clipping range."""
    entropy: float = 0.01
    """Weight of the entropy bonus."""
    noise_decisions: int = 1
    """Decisions for which the noise of sampled actions lasts while the agent learns: persistent noise tries persistent
    actions, whose distribution at each decision stays the policy's."""
    bootstrap_truncation: bool = False
    """Take an episode cut off by the step limit as one that would have gone on: its last reward includes the discounted
    value, instead of a value of zero."""
    value_coefficient: float = 0.5
    """Weight of the value loss."""
    skip_idle_channels: bool = True
    """Learn nothing about action channels that no motor or thruster of the level listens to: they cannot change what
    happens, so leaving them out of the action's probability takes noise from the gradient and nothing else."""
    max_grad_norm: float = 1.0
    """Gradients with a larger norm are scaled down to it."""

    checkpoint_every: int = 25
    """Updates between two checkpoints; the last update is always saved."""
    keep_checkpoints: int = 2
    """Last checkpoints that are kept; the best one is kept besides."""
    progress: bool = True
    """Show a progress bar."""
    tensorboard: bool = False
    """Write TensorBoard files too."""
    csv: bool = False
    """Write the numbers as a table too, metrics.csv."""
    wandb: str = ""
    """Project of Weights & Biases to log to; empty: none."""
    snapshot_every: int = 0
    """Updates between two snapshots of the level buffer, as level files and a picture sheet; 0: none."""
    stop_at_solve_rate: float = 0.0
    """Solve rate in training at which the run ends before its time; 0: none."""
    solve_rate_window: int = 20
    """Updates over which that solve rate is averaged, also to tell the best checkpoint."""
    eval_levels: int = 256
    """Held-out random levels that the finished run is scored on, into evaluation.json; 0: no evaluation at the end."""
    eval_seed: int = 1_000_000_007
    """Seed of these levels, the same for every run."""
    eval_attempts: int = 10
    """Attempts at each level of an evaluation."""
    eval_every: int = 0
    """Updates between two evaluations while training; the best checkpoint by them is kept; 0: none."""
    selection_levels: int = 256
    """Held-out random levels of those evaluations, which choose the best checkpoint and are in no report."""
    selection_seed: int = 1_000_000_009
    """Seed of these levels; another one than that of any report."""

    def __post_init__(self):
        object.__setattr__(self, "curriculum", current_name(self.curriculum))

    @property
    def filter_names(self) -> tuple[str, ...]:
        """The filters by name."""
        return tuple(name.strip() for name in self.filters.split(",") if name.strip())

    @property
    def level_paths(self) -> tuple[str, ...]:
        """The files, folders and lists in ``levels``."""
        return tuple(path.strip() for path in self.levels.split(",") if path.strip())

    @property
    def curriculum_options(self) -> dict[str, Any]:
        """The settings in ``options``, numbers and truth values as such, everything else as text.

        >>> TrainConfig(options="kept=64, rate=1e-2, score=max_mc").curriculum_options
        {'kept': 64, 'rate': 0.01, 'score': 'max_mc'}

        Raises:
            ValueError: for something that is not name=value.
        """
        return _settings("options", self.options)

    @property
    def encoder_options(self) -> dict[str, Any]:
        """The settings in ``network_options``, likewise.

        Raises:
            ValueError: for something that is not name=value.
        """
        return _settings("network_options", self.network_options)

    @property
    def restarts(self) -> bool:
        """Whether each proposal of levels starts all environments, as every curriculum does but domain randomisation."""
        if self.curriculum != "dr":
            return True
        return isinstance(self.options, str) and self.curriculum_options.get("restart") is True

    @property
    def hold(self) -> int:
        """Environment steps for which the agent holds an action."""
        return max(self.decision_frames // self.frame_skip, 1)

    @property
    def episode_decisions(self) -> int:
        """Decisions of the longest episode."""
        return self.max_steps // self.hold

    @property
    def update_steps(self) -> int:
        """Environment steps of one update: all environments, all outer steps."""
        return self.environments * self.rollout_steps * self.outer_steps * self.hold

    @property
    def learning_updates(self) -> int:
        """Updates that learn, until ``steps`` are taken; the last one is taken in full."""
        return -(-self.steps // self.update_steps)

    @property
    def gradient_steps(self) -> int:
        """Steps of the optimiser in the whole run."""
        return self.learning_updates * self.outer_steps * self.epochs * self.minibatches

    @property
    def imitation_gradient_steps(self) -> int:
        """Steps of the optimiser that imitate the teacher."""
        updates = -(-self.imitation_steps // self.update_steps) or self.learning_updates
        return min(updates, self.learning_updates) * self.outer_steps * self.epochs * self.minibatches

    def to_dict(self) -> dict[str, Any]:
        """The values by name, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """The configuration with these values, and defaults for the rest.

        Raises:
            ValueError: for a name that is no field.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise ValueError(f"a training configuration has no field {unknown[0]!r}; it has {', '.join(known)}")
        return cls(**values)


def _settings(field: str, text: str) -> dict[str, Any]:
    """The settings in ``text``; ``field`` names it in errors."""
    found: dict[str, Any] = {}
    for entry in filter(None, map(str.strip, text.split(","))):
        name, equals, value = map(str.strip, entry.partition("="))
        if not (equals and name.isidentifier() and value):
            raise ValueError(f"{field} holds {entry!r}: write name=value, with commas between several")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found


NEUTRAL_FIELDS = frozenset(
    "preset out checkpoint_every keep_checkpoints progress tensorboard csv wandb snapshot_every stop_at_solve_rate "
    "solve_rate_window eval_levels eval_attempts eval_every eval_seed selection_levels selection_seed curriculum_code "
    "generator_code accept_changed_code levels".split()
)
"""Fields that may change between the parts of a resumed run: they do not touch what is learned.

Files of the user's are compared on their own, see ``own_code``; of levels, ``levels_hash`` is compared.
"""

UNNOTED = {"decision_frames": 0}
"""What a run did whose configuration was written before these fields existed, where that is not today's default."""

NOTED_FIELDS = ("curriculum_code", "generator_code", "levels_hash", "teacher_hash")
"""Fields that training fills in itself."""

CUSTOM = "custom"
"""Stands in a configuration for a curriculum or a generator that was passed as functions."""


def decisive(config: TrainConfig) -> dict[str, Any]:
    """The values that a resumed run must share. At a constant learning rate, more ``steps`` only make it longer.

    A file of the user's is there by its name, without its folder: it may have moved.
    """
    free = NEUTRAL_FIELDS | {"steps"} if config.schedule == "constant" else NEUTRAL_FIELDS
    values = config.to_dict() | {name: short_reference(getattr(config, name)) for name in ("curriculum", "generator")}
    return {name: value for name, value in values.items() if name not in free}


def field_docs(cls: type) -> dict[str, str]:
    """The docstring under each field of a dataclass, by the field's name.

    >>> field_docs(TrainConfig)["seed"]
    'Seed of everything random in the run.'
    """
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0].body
    return {
        field.target.id: inspect.cleandoc(doc.value.value)
        for field, doc in zip(body, body[1:])
        if isinstance(field, ast.AnnAssign) and isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant)
    }


def validate(config: TrainConfig) -> None:
    """Refuse a configuration that cannot run, before anything is compiled.

    Names and numbers that belong to a part (environment, network, curriculum) are checked again, and in more depth,
    where that part is built.

    Raises:
        ValueError: naming the field and the remedy.
    """
    _check_types(config)
    _check_names(config)
    _check_ranges(config)
    _check_decisions(config)
    _check_batches(config)
    _check_attempts(config)
    _check_selection(config)
    config.encoder_options
    _check_teacher(config)


def _check_types(config: TrainConfig) -> None:
    for name, wanted in typing.get_type_hints(type(config)).items():
        value = getattr(config, name)
        fits = isinstance(value, (int, float) if wanted is float else wanted)
        if not fits or (isinstance(value, bool) and wanted is not bool):
            raise ValueError(f"{name} must be of type {wanted.__name__}, got {value!r}")


def _known_names() -> dict[str, Collection[str]]:
    """The names that a field may have, for those fields that name a part."""
    from kinetix_ued.agents import NETWORKS
    from kinetix_ued.curricula import CURRICULA, PRIORITISATIONS, SCORES
    from kinetix_ued.environment import ACTIONS, OBSERVATIONS
    from kinetix_ued.generators import GENERATORS
    from kinetix_ued.world import ENGINES, PHYSICS, SIZES

    from .schedule import SCHEDULES

    return {
        "size": SIZES,
        "observation": OBSERVATIONS,
        "actions": ACTIONS,
        "engine": ENGINES,
        "physics": PHYSICS,
        "network": NETWORKS,
        "curriculum": CURRICULA,
        "score": SCORES,
        "prioritisation": PRIORITISATIONS,
        "generator": GENERATORS,
        "schedule": SCHEDULES,
        "dtype": DTYPES,
    }


def _check_names(config: TrainConfig) -> None:
    from kinetix_ued.generators import FILTERS

    for field, known in _known_names().items():
        name = getattr(config, field)
        pluggable = field in ("curriculum", "generator")
        own_choice = field == "score" and name == ""
        if name not in known and not own_choice and not (pluggable and (name == CUSTOM or names_a_file(name))):
            hint = ", or path/to/file.py:function" if pluggable else ""
            raise ValueError(f"unknown {field} {name!r}: use one of {', '.join(known)}{hint}")
    if config.levels and config.generator != TrainConfig.generator:
        raise ValueError(
            f"levels are played in place of generated ones: leave levels out, or generator={config.generator!r}"
        )
    _check_score(config)
    for name in config.filter_names:
        if name not in FILTERS:
            raise ValueError(f"unknown filter {name!r} in filters: use some of {', '.join(FILTERS)}")


def _check_score(config: TrainConfig) -> None:
    from kinetix_ued.curricula import ANTAGONIST_SCORES, CURRICULA, curriculum_options

    if not config.score or config.curriculum not in CURRICULA:
        return
    if "score" not in curriculum_options(config.curriculum):
        remedy = "set options=regret=NAME instead" if config.curriculum == "student-regret" else "leave score empty"
        raise ValueError(f"curriculum {config.curriculum!r} has no score to choose (score={config.score!r}): {remedy}")
    if config.score in ANTAGONIST_SCORES:
        raise ValueError(
            f"score {config.score!r} compares the student with an antagonist, and curriculum {config.curriculum!r} has "
            "none: use curriculum student-regret, or another score"
        )


_AT_LEAST_ONE = (
    "seeds frame_skip max_steps buffer_size top_k environments rollout_steps outer_steps steps epochs minibatches "
    "head_width head_depth recurrent_size checkpoint_every keep_checkpoints noise_decisions "
    "solve_rate_window eval_attempts selection_levels"
).split()
_NOT_NEGATIVE = (
    "decision_frames network_width seed eval_seed selection_seed eval_levels eval_every snapshot_every imitation_steps "
    "dense_reward_scale entropy value_coefficient"
).split()
_POSITIVE = "temperature learning_rate clip max_grad_norm".split()
_FINITE = "learning_rate temperature clip max_grad_norm dense_reward_scale entropy value_coefficient".split()
_AT_MOST = {
    "seeds": 2**12,
    "frame_skip": 2**12,
    "network_width": 2**16,
    "head_width": 2**16,
    "recurrent_size": 2**16,
    "head_depth": 2**8,
    "eval_levels": 2**20,
    "eval_attempts": 2**16,
    "imitation_steps": 2**62,
    "steps": 2**62,
}
"""Beyond these no machine computes anything; below, ``memory`` says whether this one does."""
_SHARES = "staleness replay_probability minimum_fill gamma gae_lambda warmup stop_at_solve_rate teacher_share".split()


def _check_ranges(config: TrainConfig) -> None:
    rules = (
        (_AT_LEAST_ONE, lambda v: v >= 1, "at least 1"),
        (_NOT_NEGATIVE, lambda v: v >= 0, "0 or more"),
        (_POSITIVE, lambda v: v > 0, "above 0"),
        (_SHARES, lambda v: 0 <= v <= 1, "between 0 and 1"),
        (_FINITE, math.isfinite, "finite"),
    )
    for names, holds, words in rules:
        for name in names:
            if not holds(value := getattr(config, name)):  # NaN fails every rule
                raise ValueError(f"{name} must be {words}, got {value}")
    for field in dataclasses.fields(config):
        value, most = getattr(config, field.name), _AT_MOST.get(field.name, 2**31 - 1)
        if type(value) is int and value > most and type(field.default) is int and not field.name.endswith("seed"):
            raise ValueError(f"{field.name} must be at most {most}, got {value}")
    for name in ("seed", "eval_seed", "selection_seed"):
        if getattr(config, name) >= 2**32:
            raise ValueError(f"{name} must be below 2**32, got {getattr(config, name)}")
    if config.seed + config.seeds > 2**32:
        raise ValueError(f"seeds={config.seeds} from seed={config.seed} on go beyond 2**32: use a smaller seed")


def _check_decisions(config: TrainConfig) -> None:
    c = config
    if c.decision_frames % c.frame_skip:
        below = c.decision_frames - c.decision_frames % c.frame_skip
        raise ValueError(
            f"decision_frames={c.decision_frames} is no whole number of environment steps (frame_skip={c.frame_skip}): "
            f"use {below or c.frame_skip} or {below + c.frame_skip}"
        )
    if c.max_steps % c.hold:
        raise ValueError(
            f"an episode of max_steps={c.max_steps} is no whole number of decisions of {c.hold} steps: "
            f"use max_steps={c.max_steps - c.max_steps % c.hold or c.hold}, or other decision_frames"
        )
    if c.hold > 1 and c.observation == "blind":
        raise ValueError("the observation blind counts single steps: use decision_frames=0 with it")


def _check_selection(config: TrainConfig) -> None:
    """Refuse to choose the best checkpoint on levels of a report: this run's, or of the suites ``random-SIZE``."""
    reported = {"eval_seed": config.eval_seed, "the suites random-s, -m and -l": TrainConfig.eval_seed}
    for name, seed in reported.items():
        if config.eval_every and seed == config.selection_seed:
            raise ValueError(
                f"selection_seed={seed} is that of {name} too, so the best checkpoint would be chosen on the levels "
                f"that reports score it on: use another, such as selection_seed={TrainConfig.selection_seed}"
            )


def _check_teacher(config: TrainConfig) -> None:
    c = config
    if c.imitation_steps and not c.teacher:
        raise ValueError(f"imitation_steps={c.imitation_steps} needs whom to imitate: name a teacher")
    if c.imitation_steps > c.steps:
        raise ValueError(f"imitation_steps={c.imitation_steps} are part of steps={c.steps}: use as many steps at least")
    if c.teacher and c.teacher_share and c.curriculum != "dr":
        raise ValueError(
            f"curriculum {c.curriculum!r} judges levels by what happens in them, where a teacher would act in the "
            "student's place: use teacher_share=0, or curriculum dr"
        )


def _check_batches(config: TrainConfig) -> None:
    from kinetix_ued.curricula import CURRICULA, curriculum_options

    c = config
    whole, unit = c.environments * c.rollout_steps, f"{c.environments} environments x {c.rollout_steps} steps"
    if c.recurrent:
        whole, unit = c.environments, "environments: a recurrent agent's minibatches hold whole environments"
    if c.minibatches > whole or whole % c.minibatches:
        divisors = [n for n in range(1, min(whole, 4096) + 1) if whole % n == 0]
        nearest = min(divisors, key=lambda n: abs(n - c.minibatches))
        raise ValueError(f"{c.minibatches} minibatches do not divide {whole} {unit}: use minibatches={nearest}")
    if c.steps < c.update_steps:
        raise ValueError(
            f"steps={c.steps} is less than one update ({c.environments} environments x {c.rollout_steps} steps x "
            f"{c.outer_steps} outer steps): use steps={c.update_steps} or more, or fewer environments"
        )
    if c.gradient_steps >= 2**31:
        raise ValueError(
            f"steps={c.steps} makes {c.gradient_steps} optimiser steps, more than the optimiser can count (2**31): "
            "use fewer steps, epochs or minibatches"
        )
    if c.curriculum not in CURRICULA or not c.restarts:
        return
    if "buffer" in curriculum_options(c.curriculum) and c.buffer_size < c.environments:
        refuse_small_buffer(config)
    check_whole_episodes(config)


def refuse_small_buffer(config: TrainConfig) -> NoReturn:
    """Raise ValueError about a buffer that holds fewer levels than one proposal has."""
    raise ValueError(
        f"buffer_size={config.buffer_size} cannot hold the levels of {config.environments} environments: "
        f"use buffer_size={config.environments} or more, or fewer environments"
    )


def check_whole_episodes(config: TrainConfig) -> None:
    """Raise ValueError where what is played of one proposal is shorter than an episode; for curricula that restart.

    Each proposal of theirs starts every environment anew, and only an episode that ends tells what its level is worth.
    """
    c = config
    if c.rollout_steps * c.outer_steps < c.episode_decisions:
        raise ValueError(
            f"{c.rollout_steps} rollout steps x {c.outer_steps} outer steps are shorter than an episode (max_steps="
            f"{c.max_steps}), so {c.curriculum} would never score a hard level: "
            f"use outer_steps={-(-c.episode_decisions // c.rollout_steps)}"
        )


def _check_attempts(config: TrainConfig) -> None:
    """Refuse a scoring pass of SFL that attempts each level once, which tells nothing."""
    c = config
    if c.curriculum != "sfl":
        return
    from kinetix_ued.curricula import sfl

    default = inspect.signature(sfl).parameters["scoring_rollouts"].default
    rollouts = c.curriculum_options.get("scoring_rollouts", default)
    if not isinstance(rollouts, int):  # refused where the curriculum is built
        return
    certain = c.rollout_steps * c.outer_steps // c.episode_decisions
    if rollouts * certain < 2:
        raise ValueError(
            f"scoring_rollouts={rollouts} gives a level {rollouts * certain} attempt to be judged by, and learnability "
            "takes two at least: use options=scoring_rollouts=4"
        )
