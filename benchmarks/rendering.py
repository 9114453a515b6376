"""How many pictures a second the renderer makes.

A call draws a batch of scenes under ``jax.vmap`` in one compiled function, as a step of training with pixel observations
does. Beside an installed kinetix-env the two sides take turns over the same scenes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from kinetix_ued.generators import sample_levels
from kinetix_ued.viewer.render import check_resolution, render
from kinetix_ued.world import Level, size_of

from .report import machine, versions
from .timing import Program, check_settings, in_turns, table

SCHEMA = "kinetix-ued/rendering"
SCHEMA_VERSION = 1

REFERENCE_PIXELS = 125
"""Width and height of the reference's pixel observation."""


@dataclasses.dataclass(frozen=True)
class RenderSettings:
    """What is measured.

    Raises:
        ValueError: for an unknown size or a number out of range.
    """

    size: str = "s"
    """Size of the levels."""
    batch: int = 512
    """Scenes side by side."""
    pixels: int = REFERENCE_PIXELS
    """Width and height of a picture."""
    supersample: int = 1
    """Samples of a pixel in each direction."""
    repeats: int = 5
    """Rounds."""
    min_seconds: float = 0.5
    """Least length of a side's turn."""
    seed: int = 0
    """Of the levels."""

    def __post_init__(self):
        size_of(self.size)
        check_resolution(self.pixels, self.supersample)
        check_settings(self, "batch", "repeats")


def measure_rendering(
    settings: RenderSettings = RenderSettings(),
    *,
    reference: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Pictures a second on this machine, with those of an installed kinetix-env if ``reference``.

    Args:
        settings: see ``RenderSettings``.
        reference: measure kinetix-env too; its picture has 125 x 125 pixels.
        say: is told what goes on.

    Returns:
        A dict ready for JSON: as ``timing.in_turns`` gives it, and with a reference the share of pixels in which the
        pictures agree, all three channels within 1/255.

    Raises:
        ValueError: where ``reference`` is asked for and cannot be imported, or for another picture than it can draw.
    """
    if reference and (settings.pixels, settings.supersample) != (REFERENCE_PIXELS, 1):
        raise ValueError(
            f"the reference draws {REFERENCE_PIXELS} pixels without supersampling: measure the same, or leave it out"
        )
    levels = sample_levels(jax.random.key(settings.seed), settings.batch, settings.size)
    sides: dict[str, Program] = {"kinetix-ued": _own_program(settings, levels)}
    if reference:
        from .kinetix_reference import rendering_program

        sides["kinetix-env"] = rendering_program(settings.size, levels)
    result = in_turns(
        sides,
        settings.batch,
        repeats=settings.repeats,
        min_seconds=settings.min_seconds,
        say=say,
        what="pictures",
        compare=_agreement if reference else None,
    )
    if reference:
        result["agreement"] = result.pop("outcome")
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "versions": versions(),
        "machine": machine(),
        "settings": dataclasses.asdict(settings),
        "results": [result],
    }


def _agreement(pictures: dict[str, Any]) -> float:
    """Share of pixels in which the two sides' pictures agree, all three channels within 1/255."""
    own, other = (np.asarray(images) for images in pictures.values())
    return float((np.abs(own - other) <= 1.001 / 255).all(axis=-1).mean())


def _own_program(settings: RenderSettings, levels: Level) -> Program:
    draw = lambda level: render(level, pixels=settings.pixels, supersample=settings.supersample)
    together = jax.jit(jax.vmap(draw))
    return lambda: together(levels)


def format_rendering(measured: dict[str, Any]) -> str:
    """The table for the terminal."""
    s, m, (result,) = measured["settings"], measured["machine"], measured["results"]
    title = (
        f"size {s['size']}, batch {s['batch']}, {s['pixels']} pixels, supersample {s['supersample']}, "
        f"{s['repeats']} rounds; {m['device']} ({m['backend']}), {m['cpu_cores']} CPU cores"
    )
    lines = [title, table(measured["results"], "pictures/s")]
    if "agreement" in result:
        lines.append(f"{result['agreement']:.3%} of the pixels agree")
    return "\n".join(lines)
