"""Cases of a fuzzer: something damaged is opened, with one of four outcomes.

A case is a number. Target, damage and all else follow from it and the seed, so that any case can be repeated by itself.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import tempfile
import threading
import time
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import kinetix_ued

READ, REFUSED, SLOW, RAW = "read", "refused", "slow", "raw"
OUTCOMES = (READ, REFUSED, SLOW, RAW)
"""The outcome of a case.

``read``: it was opened; ``refused``: a ValueError of one line, or an OSError that names its file, which the command
prints as one; ``slow``: neither within the target's limit; ``raw``: anything else.
"""

PATIENCE = 5
"""A case is ended after this many times its limit by the clock; the limit itself is in seconds of this process."""

MEMORY = 4 << 30
"""What a case may allocate on top of what the process has [bytes]; more ends in MemoryError, not in a dead machine."""


class Damaged(NamedTuple):
    """Something to open.

    Attributes:
        path: file or folder
        how: what was done to it, in a few words
    """

    path: Path
    how: str


class Target(NamedTuple):
    """A reader, and what it is to be fed with.

    Attributes:
        name: of the target
        intact: writes what ``damage`` starts from into a folder, undamaged, and returns the paths; all must be read
        damage: ``damage(folder, rng)`` writes one damaged thing into the folder; equal generators give equal things
        open: reads it, as the commands do; raises what the reader raises to refuse it, and AssertionError where what
            was read is seen to be wrong
        limit: seconds that reading may take
    """

    name: str
    intact: Callable[[Path], Sequence[Path]]
    damage: Callable[[Path, np.random.Generator], Damaged]
    open: Callable[[Path], Any]
    limit: float = 2.0


class Result(NamedTuple):
    """What came of a case.

    Attributes:
        case: its number
        target: name of the target
        outcome: one of OUTCOMES
        seconds: of this process
        how: what was done to it
        error: the exception, in a line; empty if it was read
        where: the innermost place in the package that the exception passed
        trace: the exception's traceback, where it is raw
    """

    case: int
    target: str
    outcome: str
    seconds: float
    how: str
    error: str = ""
    where: str = ""
    trace: str = ""


class _TooLong(BaseException):
    """Ends a case that takes too long; no reader catches it."""


def check_intact(targets: Sequence[Target], folder: Path) -> None:
    """Open everything undamaged, which also compiles what is needed.

    Raises:
        ValueError: where something is not read: the fuzzer would only measure that.
    """
    for target in targets:
        own = folder / "intact" / target.name
        own.mkdir(parents=True)
        for path in target.intact(own):
            with _quiet():
                try:
                    target.open(path)
                except Exception as problem:
                    raise ValueError(f"{target.name}: undamaged {path.name} is not read: {problem!r}") from problem


def run_case(
    kind: str, targets: Sequence[Target], case: int, seed: int, *, keep: str | os.PathLike[str] | None = None
) -> Result:
    """Damage one thing, open it, and say what came of it.

    Args:
        kind: name of the kind of cases; it decides the damage together with ``case`` and ``seed``.
        targets: taken in turns.
        case: number of the case.
        seed: of the whole fuzzer.
        keep: folder into which the damaged thing is copied; None for none.
    """
    target = targets[case % len(targets)]
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), case])
    with tempfile.TemporaryDirectory(prefix="robustness-", ignore_cleanup_errors=True) as scratch:
        damaged = target.damage(Path(scratch), rng)
        if keep is not None:
            _copy(damaged.path, Path(keep) / f"{kind}-{seed}-{case}-{damaged.path.name}")
        outcome, problem, seconds = _open(target, damaged.path)
        if problem is None:
            return Result(case, target.name, outcome, seconds, damaged.how)
        told = traceback.format_exception(problem) if outcome == RAW else []
        brief = lambda text: text.replace(scratch, "SCRATCH")
        error = brief(f"{type(problem).__name__}: {problem}") if outcome != SLOW else f"more than {target.limit:g} s"
        return Result(
            case, target.name, outcome, seconds, damaged.how, error[:500], _where(problem), brief("".join(told))
        )


def run_cases(
    kind: str,
    targets: Sequence[Target],
    cases: Iterable[int],
    seed: int,
    *,
    keep: str | os.PathLike[str] | None = None,
    progress: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """``run_case`` for each of ``cases``, with a limit on memory; ``progress`` is called after each."""
    found = []
    with _little_memory():
        for case in cases:
            found.append(run_case(kind, targets, case, seed, keep=keep))
            progress(found[-1])
    return found


def summary(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Counts of each target's outcomes, ready for JSON."""
    rows = []
    for name in dict.fromkeys(result.target for result in results):
        own = [result for result in results if result.target == name]
        counts = Counter(result.outcome for result in own)
        rows.append(
            {
                "target": name,
                "cases": len(own),
                **{outcome: counts[outcome] for outcome in OUTCOMES},
                "slowest_seconds": round(max(result.seconds for result in own), 3),
            }
        )
    return rows


def faults(results: Sequence[Result]) -> list[dict[str, Any]]:
    """The slow and raw cases, equal ones together: target, error, where it came from, how often, and the first case."""
    kinds: dict[tuple, list[Result]] = {}
    for result in results:
        if result.outcome in (SLOW, RAW):
            key = (result.outcome, result.target, result.error.partition(":")[0], result.where)
            kinds.setdefault(key, []).append(result)
    return [
        {
            "outcome": first.outcome,
            "target": first.target,
            "error": first.error,
            "where": first.where,
            "cases": len(alike),
            "case": first.case,
            "how": first.how,
        }
        for first, *rest in kinds.values()
        if (alike := [first, *rest])
    ]


def _open(target: Target, path: Path) -> tuple[str, BaseException | None, float]:
    """Outcome, exception and seconds of opening ``path``."""
    problem: BaseException | None = None
    began = time.process_time()
    try:
        with _quiet(), _alarm(PATIENCE * target.limit):
            target.open(path)
    except _TooLong as late:
        return SLOW, late, time.process_time() - began
    except (Exception, SystemExit) as raised:
        problem = raised
    seconds = time.process_time() - began
    if problem is not None and not _is_refusal(problem):
        return RAW, problem, seconds
    if seconds > target.limit:
        return SLOW, problem or _TooLong(), seconds
    return (READ if problem is None else REFUSED), problem, seconds


def _is_refusal(problem: BaseException) -> bool:
    """A ValueError with a message of one line that no decoder wrote, or the system's own error about a named file."""
    if isinstance(problem, OSError):
        return problem.filename is not None and bool(problem.strerror)
    decoder = isinstance(problem, (UnicodeError, json.JSONDecodeError))
    return isinstance(problem, ValueError) and not decoder and len(str(problem).splitlines()) == 1


def _where(problem: BaseException) -> str:
    """The innermost line of the package that an exception passed, as FILE:LINE in FUNCTION; its line may move."""
    package, own = Path(kinetix_ued.__file__).parent, Path(__file__).parent.resolve()
    for frame in reversed(traceback.extract_tb(problem.__traceback__)):
        file = Path(frame.filename)
        if file.is_relative_to(package) and file.resolve().parent != own:
            return f"{file.relative_to(package).as_posix()}:{frame.lineno} in {frame.name}"
    return ""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Warnings and lines that are told on the way are not shown: there would be thousands."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise _TooLong in the main thread after ``seconds``, where the platform can."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def late(number: int, frame: Any) -> None:
        raise _TooLong

    previous = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@contextlib.contextmanager
def _little_memory() -> Iterator[None]:
    """No more than MEMORY on top of what the process has, where the platform can."""
    try:
        import resource

        own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    least = min(limit for limit in (own + MEMORY, *before) if limit != resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_AS, (least, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)
