"""A run's numbers for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..metrics import Metrics, finite

if TYPE_CHECKING:
    from ..run import Run


class TensorBoard:
    """A callback that writes TensorBoard files into the run's folder.

    Raises:
        ValueError: where neither tensorboardX nor torch is installed.
    """

    def __init__(self) -> None:
        self._writer_class = _summary_writer()
        self._writer: Any = None

    def __call__(self, run: Run, metrics: Metrics) -> None:
        if self._writer is None:
            self._writer = self._writer_class(str(run.path / "tensorboard"), purge_step=metrics["update"])
        for name, value in finite(metrics).items():
            if value is not None:
                self._writer.add_scalar(name, value, metrics["update"])

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _summary_writer() -> Callable[..., Any]:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ValueError("TensorBoard files need tensorboardX: pip install kinetix-ued[tensorboard]") from None
    return SummaryWriter
