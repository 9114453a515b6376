"""``kinetix-ued film``: what an agent does, as a film or as a strip of pictures."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .common import add_playing, checkpoint_of, play, positive, tell_skipped
from .scoring import suites_of

TRIES = 20
"""Attempts at each level among which failures are looked for, if no other number is asked for."""

FEW = 6
"""Episodes that are shown large."""

LARGE, SMALL = 300, 150
"""Width of their pictures, and of those of more episodes on one sheet [pixel]."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "policy",
        metavar="WHO",
        help="folder of a run, agent:NAME or FILE.safetensors for a saved agent, noop, random or random:FRAMES",
    )
    add(
        "levels",
        nargs="+",
        metavar="LEVEL",
        help="suites, as for eval (kinetix-l, holdout-m, random-s:16), or level files and folders of them",
    )
    add(
        "--out",
        required=True,
        metavar="PATH",
        help="FILE.gif or FILE.png (animated) for one film of all episodes side by side; any other name is that of a "
        "folder for one GIF of each",
    )
    add(
        "--strip",
        type=positive,
        metavar="N",
        help="one still picture, FILE.png, with N moments of each episode in a row",
    )
    add("--attempts", type=positive, default=1, help="attempts at each level that are shown (%(default)s)")
    add("--failures", action="store_true", help="show only attempts that do not reach the goal")
    add(
        "--tries",
        type=positive,
        metavar="N",
        help="attempts at each level that are played, the first of which are shown: those of eval --attempts N "
        f"(--attempts; {TRIES} with --failures)",
    )
    add_playing(parser)
    add(
        "--every",
        type=positive,
        default=2,
        metavar="STEPS",
        help="environment steps from picture to picture (%(default)s)",
    )
    add("--fps", type=float, help="pictures a second (as many as make it run at the world's own speed)")
    add(
        "--pixels",
        type=positive,
        help=f"width of each picture ({LARGE}; {SMALL} in a strip, or where more than {FEW} stand side by side)",
    )
    add("--columns", type=positive, help="episodes in a row of a sheet (as many as rows)")
    add("--overwrite", action="store_true", help="replace files that are there")


def run(arguments: argparse.Namespace) -> int:
    from kinetix_ued.benchmarks.filming import film_parts, shots
    from kinetix_ued.benchmarks.methods import load_methods, shared_environment
    from kinetix_ued.viewer.film import film_speed

    out, is_folder = Path(arguments.out), _is_folder(arguments)
    _refuse(out, is_folder, arguments.overwrite)
    tries = arguments.tries or (max(TRIES, arguments.attempts) if arguments.failures else arguments.attempts)
    if tries < arguments.attempts:
        raise ValueError(f"--tries {tries} are fewer than --attempts {arguments.attempts}: play as many as are shown")
    methods = load_methods([arguments.policy], checkpoint_of(arguments.checkpoint))
    base = shared_environment(methods, arguments.engine)
    film_speed(arguments.pixels or LARGE, arguments.every, arguments.fps, base.frame_skip)
    suites = suites_of(arguments.levels, arguments.skip_bad)
    for suite in suites.values():
        tell_skipped(suite.skipped)
    parts = {name: film_parts(methods[0], suite, base) for name, suite in suites.items()}
    options = {"seed": arguments.seed, "attempts": arguments.attempts, "tries": tries, "greedy": arguments.greedy}
    found = []
    for name, suite in suites.items():
        found += shots(methods[0], suite, parts[name], failures=arguments.failures, play=play, **options)
    if not found:
        raise ValueError(
            f"all {tries} attempts at every level reached the goal, so there is no failure to film: try more, or "
            "film without --failures"
        )
    _tell(found, sum(len(suite.names) for suite in suites.values()), arguments.failures)
    pixels = arguments.pixels or (LARGE if is_folder or len(found) <= FEW and not arguments.strip else SMALL)
    if arguments.strip:
        _write_strip(out, found, arguments, pixels)
    elif is_folder:
        _write_folder(out, found, arguments, pixels)
    else:
        _write_film(out, [shot.episode for shot in found], arguments, pixels, out.name)
        print(f"written to {out}", file=sys.stderr)
    return 0


def _is_folder(arguments: argparse.Namespace) -> bool:
    """Whether the films go to files of their own in a folder.

    Raises:
        ValueError: for a name of a file that is neither a film nor, with --strip, a picture.
    """
    suffix = Path(arguments.out).suffix.lower()
    if arguments.strip:
        if suffix != ".png":
            raise ValueError(f"{arguments.out}: a strip is one still picture; name a file that ends in .png")
        if arguments.strip < 2:
            raise ValueError("--strip needs at least 2 moments, the beginning and the end")
        return False
    if suffix in (".gif", ".png"):
        return False
    if suffix in (".apng", ".avi", ".mkv", ".mov", ".mp4", ".webm", ".webp", ".jpg", ".jpeg"):
        raise ValueError(f"{arguments.out}: films are GIF or animated PNG; name a file that ends in .gif or .png")
    return True


def _refuse(out: Path, is_folder: bool, overwrite: bool) -> None:
    """Raise ValueError where films could not be written, before the work is done."""
    from kinetix_ued.writable import refuse_unwritable, refuse_unwritable_folder

    if not is_folder:
        refuse_unwritable(out, overwrite)
        return
    refuse_unwritable_folder(out)
    if there := next(out.glob("*.gif"), None) if not overwrite else None:
        raise ValueError(f"{out} holds films already, such as {there.name}: choose another folder, or pass --overwrite")


def _tell(found: Sequence[Any], levels: int, failures: bool) -> None:
    """One line for each attempt that is shown, and how many levels have none."""
    from kinetix_ued.terminal import printable

    for shot in found:
        episode = shot.episode
        end = f"{episode.outcome} after {episode.seconds(episode.steps):.1f} s"
        print(f"{printable(shot.folder)}/{printable(shot.level)}, attempt {shot.attempt}: {end}")
    without = levels - len({(shot.folder, shot.level) for shot in found})
    if failures and without:
        print(f"{without} of {levels} levels are left out: every attempt reached the goal", file=sys.stderr)


def _write_film(path: Path, episodes: Sequence[Any], arguments: argparse.Namespace, pixels: int, title: str) -> None:
    from kinetix_ued.progress import progress_bar
    from kinetix_ued.terminal import printable
    from kinetix_ued.viewer import save_film

    with progress_bar(desc=f"drawing {printable(title)}", unit="picture", disable=None, leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        save_film(
            path,
            episodes,
            pixels=pixels,
            columns=arguments.columns,
            every=arguments.every,
            fps=arguments.fps,
            overwrite=arguments.overwrite,
            progress=progress,
        )


def _write_folder(folder: Path, found: Sequence[Any], arguments: argparse.Namespace, pixels: int) -> None:
    for shot, name in zip(found, _file_names(found, arguments.attempts > 1 or arguments.failures)):
        _write_film(folder / name, [shot.episode], arguments, pixels, name)
    print(f"{len(found)} films written to {folder}", file=sys.stderr)


def _file_names(found: Sequence[Any], numbered: bool) -> list[str]:
    """A name for the film of each attempt; names of levels come from files, and may hold anything."""
    several = len({shot.folder for shot in found}) > 1
    names: list[str] = []
    for shot in found:
        name = f"{shot.folder}-{shot.level}" if several else shot.level
        name = re.sub(r"[^\w.+-]", "_", name)[:100].lstrip(".") + f"-attempt-{shot.attempt}" * numbered
        again = names.count(f"{name}.gif")
        names.append(f"{name}-{again + 1}.gif" if again else f"{name}.gif")
    return names


def _write_strip(path: Path, found: Sequence[Any], arguments: argparse.Namespace, pixels: int) -> None:
    from kinetix_ued.viewer import save_strip

    episodes = [shot.episode for shot in found]
    save_strip(path, episodes, arguments.strip, pixels=pixels, overwrite=arguments.overwrite)
    print(f"written to {path}", file=sys.stderr)
