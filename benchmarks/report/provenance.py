"""What numbers were computed with, and on: versions, commit, machine."""

from __future__ import annotations

import functools
import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

import kinetix_ued

PROJECT = "kinetix-ued"


def versions() -> dict[str, str | None]:
    """Versions of what decides a number; None for what is not installed."""

    def installed(name: str) -> str | None:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return None

    packages = ("jax", "jaxlib", "flax", "numpy", "warp-lang")
    return {
        PROJECT: kinetix_ued.__version__,
        "python": platform.python_version(),
        **{name: installed(name) for name in packages},
    }


def machine() -> dict[str, Any]:
    """What the numbers were computed on."""
    device = jax.devices()[0]
    return {
        "backend": jax.default_backend(),
        "device": device.device_kind,
        "devices": jax.device_count(),
        "cpu_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cpu": _processor(),
        "platform": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    """The model of the processor, as far as the system tells; otherwise its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, [*models, platform.processor()]), platform.machine())


@functools.cache
def commit() -> str | None:
    """The commit of this code, ``+changes`` behind it where files differ from it; None where nothing tells.

    From the git checkout that the package lies in, or from the record of an installation out of a repository.
    """
    return _checkout(Path(kinetix_ued.__file__).resolve().parent.parent) or _installed()


def _checkout(folder: Path) -> str | None:
    """The commit of a git checkout whose root is ``folder``."""
    if not (folder / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        command = ["git", "--no-optional-locks", *arguments]
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=True, timeout=30
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _installed() -> str | None:
    try:
        record = metadata.distribution(PROJECT).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    return json.loads(record).get("vcs_info", {}).get("commit_id") if record else None
