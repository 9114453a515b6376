"""The type of a results document: every field that is read back, with its range. docs/evaluation.md explains them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from ..documents import Kind, broken, read_document

SCHEMA = "kinetix-ued/evaluation"
SCHEMA_VERSION = 2
"""Raised when a reader of the older JSON would misread the newer one; new fields do not raise it."""

Rate = Annotated[float, Meta(ge=0, le=1 + 1e-9)]  # sums of shares of levels round
Count = Annotated[int, Meta(ge=0, lt=2**62)]
Positive = Annotated[int, Meta(ge=1, lt=2**31)]
Seed = Annotated[int, Meta(ge=0, lt=2**32)]
Amount = Annotated[float, Meta(ge=0, le=1e15)]
Number = Annotated[float, Meta(ge=-1e15, le=1e15)]
Text = Annotated[str, Meta(max_length=100_000)]
Digits = Annotated[str, Meta(pattern="^[0-9a-f]{12}$")]

Versions = TypedDict("Versions", {"kinetix-ued": Text})
"""Packages by name; the others may be missing, or None."""


class Machine(TypedDict):
    backend: Text
    device: Text
    cpu_cores: Positive | None
    platform: Text
    cpu: NotRequired[Text]


class Environment(TypedDict):
    frame_skip: Positive
    max_steps: Positive
    dense_reward_scale: Amount


class Statistics(TypedDict):
    confidence: Annotated[float, Meta(gt=0, lt=1)]
    resamples: Positive


class Config(TypedDict):
    """What a run was asked to do; of its many fields, those that tables show."""

    seed: Seed
    steps: Positive


class Run(TypedDict):
    source: NotRequired[Text]
    updates: NotRequired[Count]
    steps: NotRequired[dict[str, Count]]
    seconds: NotRequired[Amount]
    config: NotRequired[Config]


class Policy(TypedDict):
    name: Text
    runs: list[Run]
    allow_holdout: bool


class Estimate(TypedDict):
    estimate: Rate
    low: Rate
    high: Rate


class Means(TypedDict):
    solve_rate: Rate
    interval: tuple[Rate, Rate]
    mean_return: Number | None
    mean_length: Amount
    nonfinite_episodes: Count


class Family(Means):
    family: Text
    levels: Positive


class OfSize(Means):
    size: Text
    levels: Positive


class LevelScores(Means):
    level: Text
    folder: Text
    solved_attempts: Count
    attempts: Positive
    solve_rates: list[Rate]


class RunScores(TypedDict):
    solve_rate: Rate
    interquartile_mean: Rate


class Share(Estimate):
    share: Annotated[float, Meta(gt=0, le=1)]


class Worst(TypedDict):
    shares: Annotated[list[Share], Meta(min_length=1)]
    second_solve_rate: Rate


class Scores(TypedDict):
    """Of one policy in one suite."""

    name: Text
    runs: list[RunScores]
    interquartile_mean: Estimate
    interquartile_mean_over_seeds: NotRequired[Estimate]
    mean: Means
    families: list[Family]
    sizes: list[OfSize]
    levels: list[LevelScores]
    worst: NotRequired[Worst]
    environment_steps: Count
    idle_steps: Count
    seconds: Amount


class Level(TypedDict):
    level: Text
    folder: Text
    family: Text
    size: Text
    hash: Text
    title: NotRequired[Text]
    description: NotRequired[Text]
    difficulty: NotRequired[Text]
    solved_by: NotRequired[list[Text]]


class Skipped(TypedDict):
    file: Text
    problem: Text


class Improvement(Estimate):
    policy: Text
    over: Text


class Suite(TypedDict):
    suite: Text
    source: Text
    hash: Digits
    size: Text
    levels: Annotated[list[Level], Meta(min_length=1)]
    skipped: list[Skipped]
    policies: Annotated[list[Scores], Meta(min_length=1)]
    improvement: list[Improvement]


class Document(TypedDict):
    schema: Literal["kinetix-ued/evaluation"]
    schema_version: Literal[2]
    versions: Versions
    commit: Text | None
    machine: Machine
    seed: Seed
    attempts: Positive
    greedy: bool
    engine: Text
    physics: Text
    environment: Environment
    statistics: Statistics
    policies: Annotated[list[Policy], Meta(min_length=1)]
    suites: Annotated[list[Suite], Meta(min_length=1)]


EVALUATION = Kind(
    "an evaluation",
    SCHEMA,
    SCHEMA_VERSION,
    Document,
    "name a file that kinetix-ued eval --json wrote, or evaluate again",
)
"""What ``eval``, ``compare`` and the end of a training run write."""


def read_results(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The results document in a file: of ``eval --json``, of a comparison, or of the end of a training run.

    Raises:
        ValueError: for a file that cannot be read or is something else, naming the file and the field.
    """
    document = read_document(path, EVALUATION)
    names = [policy["name"] for policy in document["policies"]]
    for i, suite in enumerate(document["suites"]):
        if [scores["name"] for scores in suite["policies"]] != names:
            raise broken(path, EVALUATION, f"suites[{i}].policies", "its names are not those of policies")
        labels = {"levels": _labels(suite["levels"], "folder", "level")} | _groups(suite["policies"][0])
        for j, scores in enumerate(suite["policies"]):
            found = {"levels": _labels(scores["levels"], "folder", "level")} | _groups(scores)
            if other := next((name for name in labels if labels[name] != found[name]), None):
                raise broken(path, EVALUATION, f"suites[{i}].policies[{j}].{other}", "not those of the whole suite")
    return document


def _groups(scores: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What a policy's scores are listed by, besides levels: the same for all policies of a suite."""
    return {
        "families": _labels(scores["families"], "family", "levels"),
        "sizes": _labels(scores["sizes"], "size", "levels"),
        "worst": _labels(scores.get("worst", {}).get("shares", ()), "share"),
    }


def _labels(entries: Iterable[Mapping[str, Any]], *fields: str) -> list[tuple[Any, ...]]:
    return [tuple(entry[field] for field in fields) for entry in entries]
