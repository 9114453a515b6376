"""``kinetix-ued replay``: recorded actions in a level, and how it ended."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any, BinaryIO

from kinetix_ued.terminal import printable
from kinetix_ued.writable import refuse_unwritable

from .common import positive

MAX_STEPS = 1_000_000
"""Most actions that a file may hold; an episode has 256 by default."""

MAX_BYTES = 100_000_000
"""Most bytes that an array of actions may take."""


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
        refuse_unwritable(arguments.out, arguments.overwrite)
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
    print(f"{printable(arguments.level)}: {outcome(track, arguments.max_steps)}")
    if arguments.out:
        write_track(Path(arguments.out), track)
    return 0


def read_actions(path: str) -> Any:
    """The array in a .npy file. Its header is checked before there is memory for it, and nothing is unpickled.

    Raises:
        ValueError: for a file that holds none, or something that cannot be actions.
    """
    import numpy as np

    if not Path(path).is_file():  # a pipe or device might never end
        raise ValueError(f"{path} is no file: name one that numpy.save has written")
    with open(path, "rb") as file:
        if file.read(2) == b"PK":
            remedy = "save the actions alone, with numpy.save"
            raise ValueError(f"{path} is a zip archive, such as numpy.savez writes: {remedy}")
        file.seek(0)
        try:
            shape, kind = _header(file)
            stored = Path(path).stat().st_size - file.tell()
            wanted = math.prod(shape) * kind.itemsize
            if kind.kind not in "biuf":
                raise ValueError(f"its numbers are of type {kind}, actions are whole numbers or floats")
            if wanted > MAX_BYTES or max(shape, default=0) > MAX_STEPS:
                raise ValueError(f"its header tells of shape {shape}, more than {MAX_STEPS} actions")
            if wanted != stored:
                raise ValueError(f"its header tells of {wanted} bytes, and {stored} follow")
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)
        except Exception as problem:  # NumPy's reader of headers raises whatever the one of Python source does
            reason = f"{type(problem).__name__}: {problem}"[:200] if not isinstance(problem, ValueError) else problem
            raise ValueError(f"{path} holds no array of actions: {reason}") from None


def _header(file: BinaryIO) -> tuple[tuple[int, ...], Any]:
    """Shape and dtype of the array that follows in a .npy file."""
    import numpy as np

    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):  # 3.0 is for names of fields that are no Latin, which actions have not
        raise ValueError(f"its format {version} is not that of plain numbers")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read(file)
    if any(length < 0 for length in shape):
        raise ValueError(f"its header tells of shape {shape}")
    return shape, kind


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
    """Write a replay's arrays, an observation's under ``observation/NAME``; whole or not at all.

    Folders are made as needed.
    """
    import numpy as np

    from kinetix_ued.whole import whole_file

    arrays = {name: array for name, array in track.items() if name != "observation"}
    arrays |= {f"observation/{name}": array for name, array in track.get("observation", {}).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial, open(partial, "wb") as file:
        np.savez_compressed(file, **arrays)
