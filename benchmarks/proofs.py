"""Proofs that levels can be solved: recorded actions, and the files that hold them."""

from __future__ import annotations

import dataclasses
import json
import os
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import numpy as np
from msgspec import Meta

from kinetix_ued.environment import make_actions
from kinetix_ued.whole import whole_file
from kinetix_ued.writable import refuse_existing

from .documents import Kind, broken, read_document

SCHEMA = "kinetix-ued/proof"
SCHEMA_VERSION = 1

LONGEST = 100_000
"""Most actions that a proof may hold: its rows are repeated, so that a small file could ask for any amount of memory."""

_ACTIONS = make_actions("multi_discrete")

_Choice = Annotated[int, Meta(ge=0, le=max(_ACTIONS.heads) - 1)]


class _Fields(TypedDict):
    """A proof's document; a row of its sequence is how often an action is repeated, and the action."""

    level: Annotated[str, Meta(pattern="^[0-9a-f]{1,64}$")]
    actions: Literal["multi_discrete"]
    frame_skip: Annotated[int, Meta(ge=1, le=LONGEST)]
    steps: Annotated[int, Meta(ge=1, le=LONGEST)]
    sequence: Annotated[
        list[tuple[Annotated[int, Meta(ge=1, le=LONGEST)], _Choice, _Choice, _Choice, _Choice, _Choice, _Choice]],
        Meta(min_length=1),
    ]


PROOF = Kind("a proof", SCHEMA, SCHEMA_VERSION, _Fields, "solve the level again")
"""Actions that solve a level, in a file."""


@dataclasses.dataclass(frozen=True)
class Proof:
    """Actions that solve a level.

    They may go on after the step in which the undisturbed level is solved, for starts that need a little longer; after
    the last one nothing is pressed until the episode ends.

    Attributes:
        level: content hash of the level, as ``hash_text`` gives it
        steps: environment steps until the goal, from the undisturbed start
        actions: multi-discrete (T, 6), T at least ``steps``
        frame_skip: frames in a step

    Raises:
        ValueError: for actions that are none, or fewer than ``steps``.
    """

    level: str
    steps: int
    actions: np.ndarray
    frame_skip: int = 2

    def __post_init__(self):
        object.__setattr__(self, "actions", _ACTIONS.check(self.actions))
        if not 1 <= self.steps <= len(self.actions):
            raise ValueError(
                f"steps is {self.steps} and there are {len(self.actions)} actions: record all up to the goal"
            )
        if self.frame_skip < 1:
            raise ValueError(f"frame_skip must be at least 1; got {self.frame_skip}")

    def to_dict(self) -> dict[str, Any]:
        """The proof ready for JSON, its actions run-length coded: [repeat, six choices]."""
        rows = [[len(list(group)), *action] for action, group in groupby(map(tuple, self.actions.tolist()))]
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "level": self.level,
            "actions": _ACTIONS.name,
            "frame_skip": self.frame_skip,
            "steps": self.steps,
            "sequence": rows,
        }


class _Head(TypedDict, total=False):
    schema: Any


def is_proof(path: str | os.PathLike[str]) -> bool:
    """Whether a file says of itself that it holds a proof; nothing else of it is looked at."""
    try:
        head = msgspec.json.decode(Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf"), type=_Head)
    except (OSError, ValueError, RecursionError):
        return False
    return head.get("schema") == SCHEMA


def load_proof(path: str | os.PathLike[str]) -> Proof:
    """The proof in a file.

    Raises:
        ValueError: for a file that holds something else, naming the file and the field.
    """
    document = read_document(path, PROOF)
    rows = np.array(document["sequence"], np.int64)
    if rows[:, 0].sum() > LONGEST:
        raise broken(path, PROOF, "sequence", f"it has more than {LONGEST} actions")
    try:
        actions = np.repeat(rows[:, 1:], rows[:, 0], axis=0)
        return Proof(document["level"], document["steps"], actions, document["frame_skip"])
    except ValueError as problem:
        raise broken(path, PROOF, "sequence", str(problem)) from None


def save_proof(proof: Proof, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a proof, whole or not at all; folders are made as needed.

    Raises:
        FileExistsError: there is such a file and ``overwrite`` is not set.
    """
    path = Path(path)
    refuse_existing(path, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    head, rows = proof.to_dict(), []
    rows = [json.dumps(row) for row in head.pop("sequence")]
    text = json.dumps(head, indent=1)[:-2] + ',\n "sequence": [\n  ' + ",\n  ".join(rows) + "\n ]\n}\n"
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
