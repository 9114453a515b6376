"""Pictures for people: one level as an image, many levels as a sheet in one PNG file."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.whole import whole_file
from kinetix_ued.world import Level, WorldState
from kinetix_ued.writable import refuse_existing

from .render import check_resolution, render

if TYPE_CHECKING:
    from PIL import Image

SUPERSAMPLE = 2
"""Samples of a pixel in each direction: edges of these pictures are smooth."""

MARKERS = 1.5
"""Size of joints and thrusters, in the reference's, which are small for the eye."""

AT_ONCE = 16
"""Levels that are drawn side by side; bounds the memory for large pictures."""

GAP, BORDER, FONT_SIZE = 10, 1, 13
"""Space between pictures, width of the line around each, height of titles [pixel]."""

LINE_HEIGHT = FONT_SIZE + 4
"""Distance of lines of text [pixel]."""

PAPER, LINE, TEXT = (245, 245, 245), (120, 120, 120), (30, 30, 30)
"""Colours of the sheet."""

ELLIPSIS = "..."


def picture(level: Level, world: WorldState | None = None, pixels: int = 250) -> np.ndarray:
    """One level upright, row 0 on top: (pixels, pixels, 3) uint8; with smooth edges and with markers to be seen.

    Args:
        level: one level.
        world: where its bodies are; where the level has them, if none is given.
        pixels: width and height.

    Raises:
        ValueError: for a number of pixels that cannot be, or a batch of levels.
    """
    if level.gravity.ndim != 1:
        raise ValueError("picture takes one level: use pictures for a batch")
    levels, worlds = jax.tree.map(lambda x: jnp.asarray(x)[None], (level, world))
    return pictures(levels, worlds, pixels)[0]


def pictures(levels: Level, worlds: WorldState | None = None, pixels: int = 250) -> np.ndarray:
    """A batch of n levels as ``picture`` shows each: (n, pixels, pixels, 3) uint8, from one compiled call.

    Raises:
        ValueError: for a number of pixels that cannot be, or a single level.
    """
    check_resolution(pixels, SUPERSAMPLE)
    if levels.gravity.ndim != 2:
        raise ValueError("pictures takes a batch of levels: use picture for one")
    return np.asarray(_draw(levels, worlds, pixels))


@functools.partial(jax.jit, static_argnums=2)
def _draw(levels: Level, worlds: WorldState | None, pixels: int) -> jax.Array:
    def one(scene: tuple[Level, WorldState | None]) -> jax.Array:
        image = render(*scene, pixels=pixels, supersample=SUPERSAMPLE, markers=MARKERS)
        return jnp.round(255 * image).astype(jnp.uint8).transpose(1, 0, 2)[::-1]

    return jax.lax.map(one, (levels, worlds), batch_size=min(AT_ONCE, len(levels)))


@dataclasses.dataclass(frozen=True)
class Grid:
    """Where pictures of one shape stand on a sheet, row by row, each with lines of text below it.

    Attributes:
        count: of pictures
        columns: pictures in a row
        height, width: of a picture [pixel]
        lines: of text below each
    """

    count: int
    columns: int
    height: int
    width: int
    lines: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet [pixel]."""
        step_x, step_y = self._steps
        return self.columns * step_x + GAP, -(-self.count // self.columns) * step_y + GAP

    @property
    def _steps(self) -> tuple[int, int]:
        text = FONT_SIZE + 8 + (self.lines - 1) * LINE_HEIGHT if self.lines else 0
        return self.width + 2 * BORDER + GAP, self.height + 2 * BORDER + text + GAP

    def corner(self, i: int) -> tuple[int, int]:
        """Left and top of picture ``i`` [pixel]."""
        step_x, step_y = self._steps
        return GAP + i % self.columns * step_x + BORDER, GAP + i // self.columns * step_y + BORDER

    def paper(self) -> Image.Image:
        """The sheet with nothing on it."""
        from PIL import Image

        return Image.new("RGB", self.size, PAPER)

    def put(
        self, paper: Image.Image, i: int, image: np.ndarray, colour: tuple[int, int, int] = LINE, border: int = BORDER
    ) -> None:
        """Draw picture ``i``, (height, width, 3) uint8, within a border of so many pixels."""
        from PIL import Image, ImageDraw

        left, top = self.corner(i)
        box = left - border, top - border, left + self.width + border - 1, top + self.height + border - 1
        ImageDraw.Draw(paper).rectangle(box, fill=colour)
        paper.paste(Image.fromarray(image), (left, top))

    def write(self, paper: Image.Image, i: int, line: int, text: str, colour: tuple[int, int, int] = TEXT) -> None:
        """Write a line of text below picture ``i``, shortened in its middle where it is wider than the picture."""
        from PIL import ImageDraw

        left, top = self.corner(i)
        place = left + self.width / 2, top + self.height + BORDER + 4 + line * LINE_HEIGHT
        ImageDraw.Draw(paper).text(place, _line_of(text, self.width), fill=colour, font=_font(), anchor="ma")


def grid_for(count: int, shape: tuple[int, ...], columns: int | None, lines: int) -> Grid:
    """The grid for a number of pictures of (H, W) pixels; it has about as many rows as columns if no number is given.

    Raises:
        ValueError: for a number of columns below 1.
    """
    columns = min(count, math.ceil(math.sqrt(count)) if columns is None else columns)
    if columns < 1:
        raise ValueError(f"columns must be at least 1; got {columns}")
    return Grid(count, columns, *shape, lines)


@functools.cache
def _font() -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(FONT_SIZE)


@functools.lru_cache(maxsize=4096)  # films write the same titles on every frame
def _line_of(text: str, width: int) -> str:
    return shortened(text, lambda text: _font().getlength(text) <= width)


def sheet(images: Any, titles: Sequence[str] | None = None, columns: int | None = None) -> Image.Image:
    """Pictures of one size in rows, each with its title below; a title too wide is shortened in its middle.

    Args:
        images: at least one, each (H, W, 3) uint8.
        titles: one for each image.
        columns: pictures in a row; about as many as rows, if not given.

    Raises:
        ValueError: no image, images that differ in shape, or another number of titles.
    """
    images = [np.asarray(image) for image in images]
    if not images:
        raise ValueError("a sheet needs at least one picture")
    if len({image.shape for image in images}) > 1 or images[0].ndim != 3:
        raise ValueError(f"a sheet needs pictures (H, W, 3) of one size; got {sorted({i.shape for i in images})}")
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"{len(images)} pictures need as many titles; got {len(titles)}")
    grid = grid_for(len(images), images[0].shape[:2], columns, lines=0 if titles is None else 1)
    paper = grid.paper()
    for i, image in enumerate(images):
        grid.put(paper, i, image)
        if titles is not None:
            grid.write(paper, i, 0, str(titles[i]))
    return paper


def shortened(text: str, fits: Any) -> str:
    """The text in one line, or as much of its beginning and end around an ellipsis as ``fits`` (a function of a text)."""
    text = " ".join(text.split())
    if fits(text):
        return text
    for kept in range(len(text) - 1, 0, -1):
        shorter = text[: -(-kept // 2)] + ELLIPSIS + text[len(text) - kept // 2 :]
        if fits(shorter):
            return shorter
    return ""


def save_sheet(
    path: str | os.PathLike,
    levels: Level,
    titles: Sequence[str] | None = None,
    *,
    pixels: int = 250,
    columns: int | None = None,
    overwrite: bool = False,
) -> None:
    """A batch of levels as one PNG file, which appears whole or not at all; folders are made as needed.

    Args:
        path: of the file.
        levels: a batch of one size.
        titles: one for each level.
        pixels: width and height of each picture.
        columns: pictures in a row; about as many as rows, if not given.
        overwrite: replace a file that is there.

    Raises:
        FileExistsError: there is such a file and ``overwrite`` is not set.
        ValueError: a number of pixels, columns or titles that cannot be.
    """
    path = Path(path)
    refuse_existing(path, overwrite)
    image = sheet(pictures(levels, pixels=pixels), titles, columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial:
        image.save(partial, format="PNG", optimize=True)
