"""A run's numbers for Weights & Biases."""

from __future__ import annotations

import importlib
import secrets
from typing import TYPE_CHECKING, Any

from ..metrics import Metrics, finite

if TYPE_CHECKING:
    from ..run import Run

IDENTITY = "wandb_id"
"""Name of the file, in the run's folder, with what the run is known by there: a resumed run goes on under it."""


class WeightsAndBiases:
    """A callback that logs every update's numbers to a project of Weights & Biases.

    The package's own environment variables hold; with WANDB_MODE=offline it needs neither network nor account, and
    writes to the folder ``wandb`` of the run.

    Raises:
        ValueError: where wandb is not installed.
    """

    def __init__(self, project: str):
        try:
            self._wandb = importlib.import_module("wandb")
        except ImportError:
            raise ValueError(f"wandb={project!r} needs the package wandb: pip install kinetix-ued[wandb]") from None
        self.project = project
        self._run: Any = None

    def begin(self, run: Run) -> None:
        identity = run.path / IDENTITY
        if not identity.exists():
            identity.write_text(secrets.token_hex(4), encoding="utf-8")
        self._run = self._wandb.init(
            project=self.project,
            id=identity.read_text(encoding="utf-8"),
            resume="allow",
            name=run.path.name,
            dir=str(run.path),
            config=run.config.to_dict(),
            reinit="create_new",  # the runs of several seeds go on side by side
        )

    def __call__(self, run: Run, metrics: Metrics) -> None:
        known = {name: value for name, value in finite(metrics).items() if value is not None}
        self._run.log(known, step=metrics["update"])

    def close(self) -> None:
        if self._run is not None:
            self._run.finish()
