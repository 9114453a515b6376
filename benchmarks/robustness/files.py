"""Targets that are one file: undamaged contents, ways to damage them, and what reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .byte_mutations import mutate_bytes
from .cases import Damaged, Target
from .json_mutations import mutate_json

Mutate = Callable[[bytes, np.random.Generator], tuple[bytes, list[str]]]
"""``mutate(content, rng)``: damaged content, and what was done to it."""

BYTES = 0.3
"""Share of damaged documents of which bytes are changed; of the others it is the structure."""


def mutate_document(content: bytes, rng: np.random.Generator) -> tuple[bytes, list[str]]:
    """A JSON document with damage to its bytes or to its structure."""
    return (mutate_bytes if rng.random() < BYTES else mutate_json)(content, rng)


def file_target(
    name: str,
    corpus: Mapping[str, bytes],
    open: Callable[[Path], Any],
    mutate: Mutate = mutate_document,
    limit: float = 2.0,
) -> Target:
    """The target of a reader of one file.

    Args:
        name: of the target.
        corpus: undamaged contents by file name.
        open, limit: as ``Target``.
        mutate: what damages a content.
    """
    names = sorted(corpus)

    def intact(folder: Path) -> Sequence[Path]:
        for own in names:
            (folder / own).write_bytes(corpus[own])
        return [folder / own for own in names]

    def damage(folder: Path, rng: np.random.Generator) -> Damaged:
        own = names[int(rng.integers(len(names)))]
        content, done = mutate(corpus[own], rng)
        (folder / own).write_bytes(content)
        return Damaged(folder / own, f"{own}: {', '.join(done)}")

    return Target(name, intact, damage, open, limit)
