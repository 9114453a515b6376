"""``kinetix-ued replay``: recorded actions in a level, and how it ended."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .common import positive, refuse_existing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("level", metavar="LEVEL.json", help="level file")
    add(
        "--actions",
        required=True,
        metavar="FILE.npy",
        help="one action a step, an array of multi-discrete, discrete or continuous actions",
    )
    add("--engine", choices=("auto", "warp", "jax"), default="auto", help="physics engine (%(default)s)")
    add("--physics", choices=("kinetix", "fixed"), default="kinetix", help="solver behaviour (%(default)s)")
    add("--frame-skip", type=positive, default=2, help="frames in a step (%(default)s)")
    add(
        "--dense-reward-scale",
        type=float,
        default=0.2,
        help="reward for each metre that green and blue come closer (%(default)s)",
    )
    add("--max-steps", type=positive, default=256, help="steps after which an episode is cut off (%(default)s)")
    add("--observation", help="record what an agent would see, too")
    add("--out", metavar="FILE.npz", help="write the trajectory here")
    add("--overwrite", action="store_true", help="replace FILE.npz")


def run(arguments: argparse.Namespace) -> int:
    import kinetix_ued

    if arguments.out:
        refuse_existing(Path(arguments.out), arguments.overwrite)
    level = kinetix_ued.load_level(arguments.level)
    actions = read_actions(arguments.actions)
    track = kinetix_ued.replay(
        level,
        actions,
        engine=arguments.engine,
        physics=arguments.physics,
        frame_skip=arguments.frame_skip,
        dense_reward_scale=arguments.dense_reward_scale,
        max_steps=arguments.max_steps,
        observation=arguments.observation,
    )
    print(f"{arguments.level}: {outcome(track, arguments.max_steps)}")
    if arguments.out:
        write_track(Path(arguments.out), track)
    return 0


def read_actions(path: str) -> Any:
    """The array in a .npy file.

    Raises:
        ValueError: for a file that holds none.
    """
    import numpy as np

    try:
        actions = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as problem:
        raise ValueError(f"{path} holds no array that numpy.load reads without pickle: {problem}") from problem
    if not isinstance(actions, np.ndarray):
        raise ValueError(f"{path} holds several arrays: save the actions alone, with numpy.save")
    return actions


def outcome(track: dict[str, Any], max_steps: int) -> str:
    """How the first episode of a replay ended, in a line."""
    import numpy as np

    steps = len(track["done"])
    if not track["done"].any():
        return f"not over after {steps} steps, return {track['reward'].sum():.3f}"
    last = int(np.argmax(track["done"]))
    total = track["reward"][: last + 1].sum()
    if track["goal"][last]:
        ending = "solved: green touched blue"
    elif not all(
        np.isfinite(track[name][last]).all() for name in ("position", "rotation", "velocity", "angular_velocity")
    ):
        ending = "ended: its state is no longer finite"
    elif last + 1 < max_steps or track["reward"][last] < -0.5:
        ending = "lost: green touched red"
    else:
        ending = "cut off"
    return f"{ending} at step {last + 1} of {steps}, return {total:.3f}"


def write_track(path: Path, track: dict[str, Any]) -> None:
    """Write a replay's arrays, an observation's under ``observation/NAME``; whole or not at all."""
    import numpy as np

    from kinetix_ued.whole import whole_file

    arrays = {name: array for name, array in track.items() if name != "observation"}
    arrays |= {f"observation/{name}": array for name, array in track.get("observation", {}).items()}
    with whole_file(path) as partial, open(partial, "wb") as file:
        np.savez_compressed(file, **arrays)
