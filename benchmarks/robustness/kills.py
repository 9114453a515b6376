"""Runs that are killed again and again, resumed each time, and compared with runs that nothing disturbed.

The moments are drawn uniformly over the updates of the whole run, in order. A kill hits at that moment, or waits for
the next checkpoint from there on and hits while it is written, or hits the process while it starts. One run takes
several kills.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kinetix_ued.training.config import TrainConfig
from kinetix_ued.training.presets import METHODS, method_preset
from kinetix_ued.training.run import CHECKPOINTS, CONFIG, METRICS

from .compare import differences, numbers_of

MOMENTS = ("any update", "a checkpoint", "start-up")
"""What a kill is aimed at."""

SHARES = (0.45, 0.4, 0.15)
"""How often each of them is."""

START_UP = 5.0
"""Seconds within which a kill aimed at the start comes: imports, tracing, reading programs and the checkpoint."""

WAIT = 600.0
"""Seconds after which a process that shows no sign of life is given up."""


@dataclasses.dataclass(frozen=True)
class KillSettings:
    """What is killed.

    Raises:
        ValueError: for numbers below 1, or no method or an unknown one.
    """

    kills: int = 50
    """Kills in all."""
    methods: tuple[str, ...] = ("dr", "accel", "sfl", "ncc")
    """Curricula, by their names in ``METHODS``; each gets its part of the kills."""
    updates: int = 200
    """Updates of each run that learn."""
    checkpoint_every: int = 5
    """Updates between two checkpoints."""
    engine: str = "auto"
    """Physics engine."""
    jobs: int = 2
    """Curricula at a time."""
    seed: int = 0
    """Of the moments; what is computed does not depend on it, and a moment is never hit exactly twice."""

    def __post_init__(self):
        for name in ("kills", "updates", "checkpoint_every", "jobs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        unknown = [method for method in self.methods if method not in METHODS]
        if unknown or not self.methods:
            raise ValueError(f"unknown method {unknown[0] if unknown else ''!r}: use some of {', '.join(METHODS)}")

    def config(self, method: str) -> TrainConfig:
        """The configuration of a method's runs."""
        config = method_preset(
            "tiny", method, engine=self.engine, checkpoint_every=self.checkpoint_every, eval_levels=0
        )
        return dataclasses.replace(config, steps=self.updates * config.update_steps)


Start = Callable[[Path], subprocess.Popen]
"""Begins the run in a folder or goes on with it, in a process of its own."""


def measure_kills(
    settings: KillSettings,
    *,
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Kill, resume and compare.

    Args:
        settings: see ``KillSettings``.
        say: called with one line per stage.
        progress: called after each kill.

    Returns:
        For JSON: for each method the kills by what they hit, the runs that took them, and in what any of these runs
        differs from the undisturbed one.
    """
    parts = [settings.kills // len(settings.methods)] * len(settings.methods)
    parts = [part + (i < settings.kills % len(parts)) for i, part in enumerate(parts)]
    methods = settings.methods[: settings.kills]  # with fewer kills than methods, the last ones get none
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="robustness-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)

        def one(method: str, kills: int) -> dict[str, Any]:
            config = settings.config(method)
            start = lambda run: start_process(run, config, folder / "programs")
            rng = np.random.default_rng([settings.seed, settings.methods.index(method)])
            found = {"method": method, **kill_runs(folder / method, start, kills, rng, progress=progress)}
            say(f"{method}: {found['kills']} kills, {found['identical']} of {found['runs']} runs bit for bit")
            return found

        with concurrent.futures.ThreadPoolExecutor(settings.jobs) as pool:
            rows = list(pool.map(one, methods, parts))
    return {"settings": dataclasses.asdict(settings), "seconds": round(time.perf_counter() - began, 1), "rows": rows}


def kill_runs(
    folder: Path,
    start: Start,
    kills: int,
    rng: np.random.Generator,
    *,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """One undisturbed run, and as many others as it takes for ``kills`` kills.

    Raises:
        ValueError: where the undisturbed run fails.
    """
    folder.mkdir(parents=True)
    whole = folder / "whole"
    if problem := finished(start(whole)):
        raise ValueError(f"a run that nothing disturbed ended with an error: {problem}")
    length = len(numbers_of(whole))
    found: dict[str, Any] = {"updates": length, "kills": 0, "runs": 0, "identical": 0}
    found |= {"hit": dict.fromkeys(MOMENTS, 0), "partial_checkpoints": 0, "problems": []}
    while found["kills"] < kills:
        run = folder / f"killed-{found['runs']}"
        moments = sorted(rng.uniform(0, 0.95 * length, kills - found["kills"]))
        for moment in moments:
            aim = str(rng.choice(MOMENTS, p=SHARES))
            if not kill_once(start(run), run, aim, moment, rng):
                break  # it came to its end first
            found["kills"] += 1
            found["hit"][aim] += 1
            found["partial_checkpoints"] += bool(list((run / CHECKPOINTS).glob(".*.partial")))
            progress()
        found["runs"] += 1
        problem = finished(start(run))
        differing = [problem] if problem else [f"{part} differ" for part in differences(run, whole)]
        found["identical"] += not differing
        found["problems"] += [f"{run.name}: {what}" for what in differing]
        if problem:
            break  # the next run would end like this one
    return found


def start_process(run: Path, config: TrainConfig, programs: Path) -> subprocess.Popen:
    """``kinetix-ued train`` of ``config`` into ``run``, or ``--resume`` where it has begun.

    Args:
        run: folder.
        config: of the run.
        programs: where compiled programs are kept from one process to the next, so that only the first one compiles.
    """
    if (run / CONFIG).exists():
        arguments = ["--resume", str(run), "--no-progress"]
    else:
        fresh = method_preset("tiny", "dr")
        own = {name: value for name, value in config.to_dict().items() if value != getattr(fresh, name)}
        own |= {"out": str(run)}
        arguments = ["--preset", config.preset, "--no-progress"]
        for name, value in own.items():
            option = name.replace("_", "-")
            if name in ("preset", "progress"):
                continue
            arguments += (
                [f"--{'' if value else 'no-'}{option}"] if isinstance(value, bool) else [f"--{option}", str(value)]
            )
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(programs),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
    }
    output = open(run.with_name(f"{run.name}.log"), "a+", encoding="utf-8")
    with output:
        return subprocess.Popen(
            [sys.executable, "-m", "kinetix_ued", "train", *arguments], env=environment, stdout=output, stderr=output
        )


def finished(process: subprocess.Popen, seconds: float = WAIT) -> str:
    """Wait for the end of a process; what is wrong with it, or nothing."""
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return f"no end after {seconds:g} s"
    return f"exit status {status}" if status else ""


def kill_once(process: subprocess.Popen, run: Path, aim: str, moment: float, rng: np.random.Generator) -> bool:
    """SIGKILL a run that is under way; whether it was still alive.

    Args:
        process: of the run.
        run: its folder.
        aim: one of MOMENTS.
        moment: in updates from the beginning; where they are done already, it is the next update.
        rng: draws what is finer than an update.
    """
    if aim == "start-up":
        _wait(process, lambda: False, rng.uniform(0, START_UP))
    else:
        begun = _lines(run)
        _wait(process, lambda: _lines(run) > begun and _lines(run) >= moment)
        if aim == "a checkpoint":
            _wait(process, lambda: bool(list((run / CHECKPOINTS).glob(".*.partial"))))
        # An update takes milliseconds, and so does a checkpoint: its files, its new name, the removal of an old one.
        time.sleep(rng.uniform(0, 0.01))
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def _wait(process: subprocess.Popen, condition: Callable[[], bool], seconds: float = WAIT) -> None:
    """Until ``condition`` holds, the process is over, or time is up."""
    end = time.perf_counter() + seconds
    while process.poll() is None and time.perf_counter() < end and not condition():
        time.sleep(0.0005)


def _lines(run: Path) -> int:
    """Updates whose numbers are in the file."""
    try:
        return (run / METRICS).read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0
