"""What is in a curriculum's buffer, as level files and a picture."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from kinetix_ued.curricula import BufferState
from kinetix_ued.levels import LevelError, save_level
from kinetix_ued.viewer import save_sheet
from kinetix_ued.world import Level

from ..metrics import Metrics

if TYPE_CHECKING:
    from ..run import Run

FOLDER = "snapshots"
"""Name of the folder of snapshots in the run's folder."""


class Snapshots:
    """A callback: the levels of the highest scores in ``snapshots/update_N``, as level files and one picture sheet.

    Any buffer of levels in the curriculum's state will do, wherever it is; of several, each gets a folder of its own.

    Args:
        every: updates between two snapshots.
        curriculum_state: arrays or their shapes; only looked at.
        top: levels of a snapshot.

    Raises:
        ValueError: where the state has no buffer of levels.
    """

    def __init__(self, every: int, curriculum_state: Any, top: int = 16):
        if not buffers(curriculum_state):
            raise ValueError(
                f"snapshot_every={every} needs a curriculum with a level buffer, and this one has none: "
                "use snapshot_every=0, or a curriculum such as robust-plr"
            )
        self.every, self.top = every, top

    def __call__(self, run: Run, metrics: Metrics) -> None:
        if run.updates % self.every:
            return
        folder = run.path / FOLDER / f"update_{run.updates:09d}"
        found = buffers(run.state.curriculum)
        for name, buffer in found.items():
            self._write(folder / name if len(found) > 1 else folder, buffer, run.updates)

    def _write(self, folder: Path, buffer: BufferState, update: int) -> None:
        score = np.asarray(buffer.score)
        filled = np.arange(len(score)) < int(buffer.size)
        slots = np.argsort(np.where(filled, -score, np.inf), kind="stable")[: min(self.top, filled.sum())]
        if not len(slots):
            return
        levels = jax.device_get(_rows(buffer.levels, slots))
        for place, slot in enumerate(slots):
            about = {"title": f"Update {update}, place {place + 1}", "description": f"Score {score[slot]:.6g}"}
            try:
                save_level(_rows(levels, place), folder / f"{place + 1:02d}.json", overwrite=True, metadata=about)
            except LevelError as problem:  # a curriculum of the user's may keep what no file may hold
                warnings.warn(f"place {place + 1} of {folder} is left out: {problem}", stacklevel=2)
        titles = [f"{place + 1}: {score[slot]:.3g}" for place, slot in enumerate(slots)]
        save_sheet(folder / "levels.png", levels, titles, overwrite=True)


def _rows(tree: Any, index: Any) -> Any:
    return jax.tree.map(lambda x: x[index], tree)


def buffers(curriculum_state: Any) -> dict[str, BufferState]:
    """The level buffers in a curriculum's state, by their place in it: ``buffer``, or ``states-plr-buffer``."""
    is_buffer = lambda node: isinstance(node, BufferState)
    nodes = jax.tree.leaves_with_path(curriculum_state, is_leaf=is_buffer)
    return {
        "-".join(str(getattr(entry, "key", getattr(entry, "name", getattr(entry, "idx", "")))) for entry in path): node
        for path, node in nodes
        if is_buffer(node) and isinstance(node.levels, Level)
    }
