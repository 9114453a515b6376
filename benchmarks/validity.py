"""How many levels are valid: generated ones and edited ones, counted by what is wrong with them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from kinetix_ued.generators import sample_levels
from kinetix_ued.generators.mutate import mutate_levels
from kinetix_ued.levels import FAULTS, content_hash, faults
from kinetix_ued.world import Level, size_of

from .report import machine, versions

SCHEMA = "kinetix-ued/validity"
SCHEMA_VERSION = 1

GENERATED, EDITED = "generated", "edited"

Sample = Callable[[jax.Array, int, str], Level]
"""``sample(key, n, size)``: n levels with a leading axis."""

Edit = Callable[[jax.Array, Level, int], Level]
"""``edit(key, levels, n_edits)``: the levels after so many edits each."""


def measure_validity(
    n: int = 100_000,
    sizes: Sequence[str] = ("s", "m", "l"),
    *,
    n_edits: int = 20,
    batch: int = 4096,
    seed: int = 0,
    sample: Sample = sample_levels,
    edit: Edit = mutate_levels,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Sample ``n`` levels of each size, edit each of them, and count the faults of both.

    Args:
        n: levels of each size.
        sizes: names of sizes.
        n_edits: edits of each level; 0 edits none.
        batch: levels at a time.
        seed: of levels and edits.
        sample: where levels come from.
        edit: what edits them.
        say: is told what goes on.

    Returns:
        A dict ready for JSON. For each size and each of ``generated`` and ``edited``: the number of levels, of valid
        ones, of those with each of FAULTS, and of those equal to an earlier one; seconds of sampling or editing, and
        of checking and hashing, compilation included.

    Raises:
        ValueError: for numbers out of range, no size or an unknown one.
    """
    for name, value, least in (("n", n, 1), ("n_edits", n_edits, 0), ("batch", batch, 1)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}; got {value}")
    if not sizes:
        raise ValueError("there is no size to measure: name one, such as 's'")
    for size in sizes:
        size_of(size)
    results = []
    for size in sizes:
        tallies = {what: _Tally() for what in ((GENERATED, EDITED) if n_edits else (GENERATED,))}
        for start in range(0, n, batch):
            say(f"size {size}: {start} of {n} levels")
            key, edit_key = jax.random.split(jax.random.fold_in(jax.random.key(seed), start))
            kept = min(batch, n - start)  # always whole batches: another length would be compiled anew
            levels = tallies[GENERATED].add(kept, sample, key, batch, size)
            if n_edits:
                tallies[EDITED].add(kept, edit, edit_key, levels, n_edits)
        results += [{"size": size, "what": what, **tally.result()} for what, tally in tallies.items()]
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "versions": versions(),
        "machine": machine(),
        "settings": {"n": n, "sizes": list(sizes), "n_edits": n_edits, "batch": batch, "seed": seed},
        "results": results,
    }


def format_validity(measured: dict[str, Any]) -> str:
    """The counts as a table in Markdown, a column for each size and kind."""
    settings, results = measured["settings"], measured["results"]
    edits = f", {settings['n_edits']} edits each" if settings["n_edits"] else ""
    rows = [
        ["", *(f"{result['size']} {result['what']}" for result in results)],
        *([name, *(f"{result[name]:,}" for result in results)] for name in ("levels", "valid")),
        *([meaning, *(f"{result['faults'][name]:,}" for result in results)] for name, meaning in FAULTS.items()),
        ["it equals an earlier level", *(f"{result['duplicates']:,}" for result in results)],
        *(
            [f"seconds of {name}, compiling included", *(f"{result['seconds'][name]:.1f}" for result in results)]
            for name in ("making", "checking")
        ),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rows.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    lines = [
        "| " + " | ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:]))]) + " |"
        for row in rows
    ]
    return "\n".join([f"{settings['n']:,} levels of each size{edits}, seed {settings['seed']}", "", *lines])


class _Tally:
    """Counts over the batches of one size and kind."""

    def __init__(self) -> None:
        self.faults = dict.fromkeys(FAULTS, 0)
        self.levels = self.valid = 0
        self.hashes: list[np.ndarray] = []
        self.making = self.checking = 0.0

    def add(self, kept: int, make: Callable[..., Level], *arguments: Any) -> Level:
        """Make a batch and count the first ``kept`` levels of it; returns all of them."""
        began = time.perf_counter()
        levels = jax.block_until_ready(make(*arguments))
        made = time.perf_counter()
        found, hashes = jax.device_get(_check(levels))
        self.levels += kept
        for name in FAULTS:
            self.faults[name] += int(found[name][:kept].sum())
        self.valid += kept - int(np.any([found[name][:kept] for name in FAULTS], axis=0).sum())
        self.hashes.append(hashes[:kept])
        self.making += made - began
        self.checking += time.perf_counter() - made
        return levels

    def result(self) -> dict[str, Any]:
        different = len(np.unique(np.concatenate(self.hashes), axis=0))
        return {
            "levels": self.levels,
            "valid": self.valid,
            "faults": self.faults,
            "duplicates": self.levels - different,
            "seconds": {"making": round(self.making, 3), "checking": round(self.checking, 3)},
        }


@jax.jit
def _check(levels: Level) -> tuple[dict[str, jax.Array], jax.Array]:
    return faults(levels), content_hash(levels)
