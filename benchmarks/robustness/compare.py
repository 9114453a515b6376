"""Whether two runs are the same, bit for bit: arrays, counts and numbers, all but the times."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from kinetix_ued.training import read_metrics
from kinetix_ued.training.run import CHECKPOINTS, METRICS

PARTS = {".agent.params": "parameters", ".agent": "optimiser", ".curriculum": "curriculum"}
"""What the arrays of a checkpoint belong to, by how their paths begin; the first that fits."""

OTHER = "environments and keys"
"""What all other arrays belong to."""

TIMES = "second"
"""Numbers with this in their name are times, and differ from run to run."""


def differences(ours: Path, theirs: Path) -> list[str]:
    """In what two runs differ: names of PARTS, ``counts``, ``numbers``; empty where they are the same."""
    found, expected = arrays_of(ours), arrays_of(theirs)
    names = [name for name in {**found, **expected} if found.get(name) != expected.get(name)]
    parts = dict.fromkeys(
        next((part for start, part in PARTS.items() if name.startswith(start)), OTHER) for name in names
    )
    counts = ["counts"] if _last(ours)["host"] != _last(theirs)["host"] else []
    return [*parts, *counts, *(["numbers"] if numbers_of(ours) != numbers_of(theirs) else [])]


def arrays_of(run: Path) -> dict[str, tuple[Any, ...]]:
    """The arrays of a run's last checkpoint: shape, type and SHA-256 of each by its path."""
    return {leaf["path"]: (*leaf["shape"], leaf["dtype"], leaf["sha256"]) for leaf in _last(run)["leaves"]}


def numbers_of(run: Path) -> list[dict[str, Any]]:
    """Lines of a run's numbers without the times."""
    return [{name: x for name, x in line.items() if TIMES not in name} for line in read_metrics(run / METRICS)]


def _last(run: Path) -> dict[str, Any]:
    """The manifest of the last checkpoint that has one; strangers and damaged ones are left aside."""
    found = []
    for file in (run / CHECKPOINTS).glob("update_*/manifest.json"):
        with contextlib.suppress(ValueError, OSError, RecursionError, TypeError, KeyError):
            manifest = json.loads(file.read_bytes())
            found.append((int(manifest["update"]), file.parent.name, manifest))
    if not found:
        raise AssertionError(f"{run.name} has no checkpoint")
    return max(found, key=lambda entry: entry[:2])[2]
