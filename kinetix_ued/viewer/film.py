"""Films of episodes, as GIF or animated PNG, and strips of their moments in one still picture.

Several episodes run side by side on one sheet. Each carries its name and the time below it; when it ends, the border
takes the colour of its outcome, the text says the outcome, and its last picture stays.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from kinetix_ued.whole import whole_file
from kinetix_ued.world import Level
from kinetix_ued.writable import refuse_unwritable

from . import palette
from .render import check_resolution
from .sheet import AT_ONCE, LINE, PAPER, SUPERSAMPLE, TEXT, Grid, grid_for, pictures

if TYPE_CHECKING:
    from PIL import Image

GOAL, FAILURE, TIME_OUT, NOT_FINITE = "goal", "failure", "time-out", "not finite"
"""How an episode ends: green touched blue; green touched red; neither; its state is no longer finite."""

OUTCOMES = {GOAL: (0, 135, 60), FAILURE: (205, 40, 40), TIME_OUT: (190, 115, 0), NOT_FINITE: (125, 60, 170)}
"""Colours of the outcomes, dark enough to be read as text."""

FRAMES_A_SECOND = 60
"""Frames of the world in a second."""

BORDER = 4
"""Width of the border around a picture whose episode has ended [pixel]."""

LAST = 2.0
"""For how long the last picture stays before the film starts again [s]."""

SLOWEST, FASTEST = 0.1, 50
"""Pictures a second that every viewer shows at their true speed."""

MOST_MEMORY = 3 * 10**9
"""Most memory that a film may take while it is put together [byte]."""

BYTES_A_PIXEL = {".gif": 1, ".png": 6}
"""What its pictures take, by the ending of its file: Pillow keeps the indices of a GIF, and two copies of a PNG."""

WINDOW = 16
"""Pictures of a film whose scenes are drawn together."""


@dataclasses.dataclass(frozen=True)
class Episode:
    """One attempt at a level from beginning to end.

    Attributes:
        level: that was played; one
        position: the bodies' centres of mass after each of its T steps [m] (T, N, 2)
        rotation: [rad] (T, N)
        outcome: one of ``OUTCOMES``
        name: what is written below it
        frame_skip: frames of 1/60 s in a step
    """

    level: Level
    position: np.ndarray
    rotation: np.ndarray
    outcome: str
    name: str
    frame_skip: int = 2

    @property
    def steps(self) -> int:
        return len(self.position)

    def seconds(self, step: int) -> float:
        """Time in the world after so many steps."""
        return step * self.frame_skip / FRAMES_A_SECOND

    def scene(self, step: int) -> Level:
        """The level with its bodies where they are after so many steps, or were when the state was last finite."""
        while step and not (np.isfinite(self.position[step - 1]).all() and np.isfinite(self.rotation[step - 1]).all()):
            step -= 1
        if not step:
            return self.level
        return self.level.replace(position=self.position[step - 1], rotation=self.rotation[step - 1])


def film_length(episodes: Sequence[Episode], every: int) -> int:
    """Pictures in a film of these episodes with one picture for ``every`` steps, the first and last ones included."""
    return 1 + max(-(-episode.steps // every) for episode in episodes)


def film(
    episodes: Sequence[Episode], *, pixels: int = 250, columns: int | None = None, every: int = 2
) -> Iterator[Image.Image]:
    """The pictures of a film, see ``save_film``. They are drawn as they are asked for."""
    grid = grid_for(len(episodes), (pixels, pixels), columns, lines=2)
    base = grid.paper()
    for i, episode in enumerate(episodes):
        grid.write(base, i, 0, episode.name)
    steps = [[min(n * every, e.steps) for n in range(film_length(episodes, every))] for e in episodes]
    latest: dict[int, np.ndarray] = {}
    for start in range(0, len(steps[0]), WINDOW):
        window = range(start, min(start + WINDOW, len(steps[0])))
        # An episode that has ended is not drawn again.
        wanted = [(i, own[n]) for n in window for i, own in enumerate(steps) if not n or own[n] > own[n - 1]]
        waiting = dict(zip(wanted, _drawn([episodes[i].scene(step) for i, step in wanted], pixels)))
        for n in window:
            paper = base.copy()
            for i, episode in enumerate(episodes):
                latest[i] = waiting.get((i, steps[i][n]), latest.get(i))
                _place(grid, paper, i, latest[i], episode, steps[i][n], line=1)
            yield paper


def save_film(
    path: str | os.PathLike[str],
    episodes: Sequence[Episode],
    *,
    pixels: int = 250,
    columns: int | None = None,
    every: int = 2,
    fps: float | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """A film of one episode, or of several side by side, that starts again at its end; whole or not at all.

    Args:
        path: of a .gif file, which has 255 colours, or a .png file, which has all; folders are made as needed.
        episodes: at least one.
        pixels: width and height of each episode's picture.
        columns: episodes in a row; about as many as rows, if not given.
        every: environment steps from picture to picture.
        fps: pictures a second; as many as make it run at the world's own speed, if not given.
        overwrite: replace a file that is there.
        progress: called with pictures written and pictures in all.

    Raises:
        TakenError: there is such a file and ``overwrite`` is not set.
        ValueError: for another kind of file, numbers that cannot be, or a film that is too large.
    """
    path = Path(path)
    refuse_film(path)
    refuse_unwritable(path, overwrite)
    if not episodes:
        raise ValueError("a film needs at least one episode")
    fps = film_speed(pixels, every, fps, episodes[0].frame_skip)
    _refuse_size(episodes, pixels, columns, every, BYTES_A_PIXEL[path.suffix.lower()])
    total = film_length(episodes, every)
    gif = path.suffix.lower() == ".gif"
    colours = _gif_palette() if gif else None

    def images() -> Iterator[Image.Image]:
        for n, image in enumerate(film(episodes, pixels=pixels, columns=columns, every=every), start=1):
            yield image if colours is None else image.quantize(palette=colours, dither=0)
            if progress is not None:
                progress(n, total)

    shown = images()
    first, others = next(shown), shown if gif else list(shown)  # Pillow goes through those of a PNG twice
    options = {"disposal": 1, "optimize": False} if gif else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial:
        first.save(
            partial,
            format="GIF" if gif else "PNG",
            save_all=True,
            append_images=others,
            duration=durations(total, fps),
            loop=0,
            **options,
        )


def durations(count: int, fps: float) -> list[int]:
    """How long each picture is shown [ms], in the hundredths of a second of a GIF, which keep time in the mean."""
    ends = [round(100 * n / fps) for n in range(count)]
    return [10 * (after - before) for before, after in itertools.pairwise(ends)] + [round(1000 * LAST)]


def strip(episodes: Sequence[Episode], moments: int, *, pixels: int = 250) -> Image.Image:
    """Moments of each episode in a row, evenly spaced from its beginning to its end: one still picture.

    The name of an episode stands below its first moment, the outcome below the last, the time below the others.

    Raises:
        ValueError: for less than two moments, or numbers of pixels that cannot be.
    """
    check_resolution(pixels, SUPERSAMPLE)
    if moments < 2:
        raise ValueError(f"a strip shows at least 2 moments, the beginning and the end; got {moments}")
    grid = grid_for(len(episodes) * moments, (pixels, pixels), moments, lines=1)
    paper = grid.paper()
    steps = [np.linspace(0, episode.steps, moments).round().astype(int).tolist() for episode in episodes]
    scenes = [episode.scene(step) for episode, own in zip(episodes, steps) for step in own]
    images = iter(_drawn(scenes, pixels))
    for row, (episode, own) in enumerate(zip(episodes, steps)):
        for column, step in enumerate(own):
            text = "" if column else episode.name  # in place of the time, which is 0
            _place(grid, paper, row * moments + column, next(images), episode, step, text=text)
    return paper


def save_strip(
    path: str | os.PathLike[str],
    episodes: Sequence[Episode],
    moments: int,
    *,
    pixels: int = 250,
    overwrite: bool = False,
) -> None:
    """``strip`` as a PNG file, which appears whole or not at all; folders are made as needed.

    Raises:
        TakenError: there is such a file and ``overwrite`` is not set.
        ValueError: as ``strip``.
    """
    path = Path(path)
    refuse_unwritable(path, overwrite)
    image = strip(episodes, moments, pixels=pixels)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial:
        image.save(partial, format="PNG", optimize=True)


def refuse_film(path: str | os.PathLike[str]) -> None:
    """Raise ValueError for a file that is no film by its ending."""
    if Path(path).suffix.lower() not in BYTES_A_PIXEL:
        raise ValueError(f"{path}: films are GIF or animated PNG; name a file that ends in .gif or .png")


def film_speed(pixels: int, every: int, fps: float | None, frame_skip: int) -> float:
    """Pictures a second of a film with these settings; see ``save_film``.

    Raises:
        ValueError: for numbers that cannot be.
    """
    check_resolution(pixels, SUPERSAMPLE)
    if every < 1:
        raise ValueError(f"every must be at least 1 step; got {every}")
    fps = FRAMES_A_SECOND / (every * frame_skip) if fps is None else fps
    if not SLOWEST <= fps <= FASTEST:
        raise ValueError(f"a film shows from {SLOWEST} to {FASTEST} pictures a second, not {fps:g}: set fps or every")
    return fps


def _refuse_size(episodes: Sequence[Episode], pixels: int, columns: int | None, every: int, cost: int) -> None:
    width, height = grid_for(len(episodes), (pixels, pixels), columns, lines=2).size
    count = film_length(episodes, every)
    if max(width, height) > 2**16 - 1 or cost * width * height * count > MOST_MEMORY:
        raise ValueError(
            f"{count} pictures of {width} x {height} pixels are too much for one film: use fewer levels or attempts, "
            "fewer pixels, more steps from picture to picture (every), a GIF, or a folder of films"
        )


def _place(
    grid: Grid,
    paper: Image.Image,
    i: int,
    image: np.ndarray,
    episode: Episode,
    step: int,
    *,
    line: int = 0,
    text: str = "",
) -> None:
    """An episode after so many steps: its picture, and below it a text, or else the time and how it ended."""
    time = f"{episode.seconds(step):.1f} s"
    if step < episode.steps:
        grid.put(paper, i, image)
        grid.write(paper, i, line, text or time)
    else:
        colour = OUTCOMES[episode.outcome]
        grid.put(paper, i, image, colour, BORDER)
        grid.write(paper, i, line, f"{episode.outcome}, {time}", colour)


def _drawn(scenes: Sequence[Level], pixels: int) -> list[np.ndarray]:
    """The pictures of scenes of any sizes; one program for each size, whatever the number of scenes."""
    found: dict[int, np.ndarray] = {}
    by_size: dict[Any, list[int]] = {}
    for i, scene in enumerate(scenes):
        by_size.setdefault(scene.size, []).append(i)
    for members in by_size.values():
        for start in range(0, len(members), AT_ONCE):
            chosen = members[start : start + AT_ONCE]
            padded = chosen + [chosen[-1]] * (AT_ONCE - len(chosen))
            batch = jax.tree.map(lambda *leaves: np.stack(leaves), *[scenes[i] for i in padded])
            found |= zip(chosen, pictures(batch, pixels=pixels))
    return [found[i] for i in range(len(scenes))]


def _gif_palette() -> Image.Image:
    """What colours a GIF has: those of scenes and texts and the mixtures at their edges. The same for every film.

    One palette that does not depend on the film keeps still parts still, and leaves an index for what is transparent.
    """
    from PIL import Image

    bodies = np.array(palette.ROLE_COLOURS, float)
    bound = np.array(palette.BINDING_COLOURS, float)
    plain = np.concatenate([bodies, bodies * palette.FIXED_SHADE, bound, bound * palette.FLAME_SHADE])
    plain = np.concatenate([plain, [palette.NOZZLE_COLOUR, palette.PASSIVE_COLOUR]])
    blend = lambda colours, other, steps: [c + (np.array(other) - c) * k for c in colours for k in steps]
    quarters, eighths = (0.25, 0.5, 0.75), np.arange(8) / 8
    outcomes = np.array(list(OUTCOMES.values()), float)
    mixed = [
        *plain,
        *blend(plain, palette.INK, quarters),
        *blend(plain[:8], palette.BACKGROUND, quarters),
        *blend(outcomes, PAPER, eighths),
        *blend(np.array([TEXT], float), PAPER, np.arange(16) / 15),
        LINE,
        palette.INK,
    ]
    codes = np.unique(np.round(mixed).astype(np.uint8), axis=0)
    assert len(codes) < 256
    image = Image.new("P", (1, 1))
    image.putpalette(codes.tobytes())
    return image
