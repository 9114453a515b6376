"""How fast levels are made and edited."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from kinetix_ued.generators import GENERATORS, has_levels, make_generator, mutate_levels, sample_levels
from kinetix_ued.world import size_of

from .report import machine, versions
from .timing import Program, check_settings, in_turns, table

SCHEMA = "kinetix-ued/generation"
SCHEMA_VERSION = 1


@dataclasses.dataclass(frozen=True)
class GenerationSettings:
    """What to measure.

    Raises:
        ValueError: for an unknown size or generator, or a number below 1.
    """

    size: str = "s"
    """Size of the levels."""
    generators: tuple[str, ...] = ("random",)
    """Generators by name; the first one's levels are edited."""
    batch: int = 1024
    """Levels of a call."""
    edits: int = 5
    """Edits of each level."""
    repeats: int = 5
    """Rounds."""
    min_seconds: float = 0.5
    """Least length of a side's turn."""
    seed: int = 0
    """Of the levels."""

    def __post_init__(self):
        size_of(self.size)
        for name in self.generators:
            make_generator(name)
        check_settings(self, "batch", "edits", "repeats")


def fitting_generators(size: str) -> tuple[str, ...]:
    """The generators of this package that have levels of a size."""
    return tuple(name for name in GENERATORS if has_levels(make_generator(name), size_of(size)))


def measure_generation(
    settings: GenerationSettings = GenerationSettings(),
    *,
    reference: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Levels a second, and compile time, of generators and of edits on this machine.

    Args:
        settings: see ``GenerationSettings``.
        reference: measure an installed kinetix-env too, in turns: its random levels and its edits.
        say: is told what goes on.

    Returns:
        A dict ready for JSON.

    Raises:
        ValueError: where ``reference`` is asked for and cannot be imported.
    """
    key, size, batch = jax.random.key(settings.seed), size_of(settings.size), settings.batch
    levels = sample_levels(key, batch, size, generator=settings.generators[0])
    other: dict[str, Program] = {}
    if reference:
        from .kinetix_reference import generation_programs

        other = generation_programs(settings.size, levels, settings.edits, settings.seed)
    work: dict[str, Program] = {
        f"{name} levels": lambda name=name: sample_levels(key, batch, size, generator=name).position
        for name in settings.generators
    }
    work[f"{settings.edits} edits"] = lambda: mutate_levels(key, levels, settings.edits).position
    results = []
    jax.clear_caches()  # the levels to edit were sampled already: their compilation is to be measured too
    for what, program in work.items():
        sides = {"kinetix-ued": program}
        if what in other:
            sides["kinetix-env"] = other[what]
        results.append(
            in_turns(
                sides, batch, repeats=settings.repeats, min_seconds=settings.min_seconds, say=say, what=what
            )
        )
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "versions": versions(),
        "machine": machine(),
        "settings": dataclasses.asdict(settings),
        "results": results,
    }


def format_generation(measured: dict[str, Any]) -> str:
    """The table for the terminal."""
    s, m = measured["settings"], measured["machine"]
    title = f"size {s['size']}, {s['batch']} levels a call, {s['repeats']} rounds; {m['device']} ({m['backend']}), {m['cpu_cores']} CPU cores"
    return title + "\n" + table(measured["results"], "levels/s")
