"""Documents that the project writes and reads again: results, proofs, checkpoints' manifests, numbers, actions."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.environment import make, make_actions, replay
from kinetix_ued.levels import load_level
from kinetix_ued.training import Run, checkpoint, preset, read_config, read_metrics, validate
from kinetix_ued.training.metrics import Rating
from kinetix_ued.training.recorder import Recorder
from kinetix_ued.training.run import METRICS, STEP_KINDS

from ..evaluate import Evaluation
from ..holdout import holdout_names, level_file, proof_file
from ..leaderboard import BEGIN, END, format_leaderboard, replace_leaderboard
from ..methods import Method
from ..proofs import load_proof, save_proof
from ..report import Played, read_results, results
from ..suite_levels import load_suite
from .actions import actions_corpus, mutate_actions
from .byte_mutations import mutate_bytes
from .cases import Damaged, Target
from .files import file_target, mutate_document
from .json_mutations import mutate_json

ACTIONS = 24
"""Steps of recorded actions; those of another length are checked and not played, since each would be compiled."""

UPDATES = 12
"""Lines of numbers."""

NUMBERS_LIMIT = 10.0
"""Seconds for a damaged file of numbers: it may be as long as a run is, and is read several times here."""


def document_targets(folder: Path, read_actions: Callable[[str], np.ndarray]) -> list[Target]:
    """The targets.

    Args:
        folder: for what they are made from.
        read_actions: what reads a file of recorded actions.
    """
    config = preset("tiny-accel", out="runs/mine")
    proofs = {name.replace("/", "-") + ".json": proof_file(name).read_bytes() for name in holdout_names("s")}
    return [
        file_target("evaluation", {"evaluation.json": _results(1)}, _open_results),
        file_target("comparison", {"comparison.json": _results(2)}, _open_results),
        file_target("proof", proofs, _open_proof),
        file_target("config.json", {"config.json": json.dumps(config.to_dict(), indent=1).encode()}, _open_config),
        _manifest_target(folder / "manifest"),
        file_target("metrics.jsonl", {METRICS: _lines()}, _open_metrics, mutate_lines, NUMBERS_LIMIT),
        file_target("recorded actions", actions_corpus(ACTIONS), _actions_opener(read_actions), mutate_actions),
    ]


def _results(runs: int) -> bytes:
    """A results document of made-up evaluations: one policy, or two methods of several runs each."""
    suite = load_suite([level_file(name) for name in holdout_names("s")[:3]])
    rng = np.random.default_rng(0)

    def made_up() -> Evaluation:
        solved = rng.random((len(suite.names), 4)) < 0.5
        returns, lengths = solved.astype(np.float32), np.full(solved.shape, 7)
        return Evaluation(solved, returns, lengths, np.zeros_like(solved), int(lengths.sum()), 0, 1.0)

    names = ("ours",) if runs == 1 else ("dr", "accel")
    config = preset("tiny", out="runs/mine").to_dict()
    run = {
        "source": "runs/mine",
        "updates": 8,
        "steps": {"learning": 1024, "filter": 9},
        "seconds": 3.5,
        "config": config,
    }
    sources = {name: [run | {"config": config | {"seed": seed}} for seed in range(runs)] for name in names}
    evaluations: dict[str, Sequence[Evaluation]] = {name: [made_up() for _ in range(runs)] for name in names} | {
        "random": [made_up()]
    }
    again = evaluations if runs > 1 else {}
    played = [Played(suite, evaluations, again, name) for name in ("holdout-s", "mine")]
    document = results(played, env=make("s", engine="jax"), seed=0, greedy=False, sources=sources)
    return json.dumps(document, indent=1).encode()


def _open_results(path: Path) -> None:
    """Make the leaderboard of it, alone and beside another document, and put it into a page twice."""
    text = format_leaderboard([read_results(path)])
    page = path.with_name("page.md")
    page.write_text(f"before\n{BEGIN}\n{END}\nafter\n", encoding="utf-8")
    replace_leaderboard(page, text)
    first = page.read_bytes()
    try:
        replace_leaderboard(page, text)
    except ValueError as problem:
        raise AssertionError(f"the page that was written is refused the next time: {problem}") from problem
    if page.read_bytes() != first or not first.endswith(b"\nafter\n"):
        raise AssertionError("writing the leaderboard again changes the page")


def _open_proof(path: Path) -> None:
    proof = load_proof(path)
    again = path.with_name("again.json")
    save_proof(proof, again, overwrite=True)
    if load_proof(again).to_dict() != proof.to_dict():
        raise AssertionError("the proof is another one after it was written")


def _open_config(path: Path) -> None:
    config = read_config(path.parent)
    validate(config)
    if config != type(config).from_dict(json.loads(json.dumps(config.to_dict()))):
        raise AssertionError("the configuration is another one after it was written")


def _manifest_target(source: Path) -> Target:
    """A checkpoint whose manifest is damaged, in half the cases so that its own checksum holds again."""
    tree = {"weights": jnp.arange(6.0).reshape(2, 3), "key": jax.random.key(1), "half": jnp.ones(3, jnp.bfloat16)}
    config = preset("tiny").to_dict()
    host = {"counts": dict.fromkeys(STEP_KINDS, 64)}
    saved = checkpoint.save(source, tree, update=4, config=config, host=host, keep=1, rating=Rating("solve_rate", 0.5))
    arrays, manifest = saved / "arrays.npz", (saved / "manifest.json").read_bytes()

    def write(folder: Path, content: bytes) -> Path:
        own = folder / saved.name
        own.mkdir(parents=True)
        shutil.copyfile(arrays, own / arrays.name)
        (own / "manifest.json").write_bytes(content)
        return folder

    def intact(folder: Path) -> Sequence[Path]:
        return [write(folder / "as-it-is", manifest), write(folder / "signed", signed(manifest))]

    def damage(folder: Path, rng: np.random.Generator) -> Damaged:
        sign = rng.random() < 0.5
        content, done = mutate_json(manifest, rng) if sign else mutate_document(manifest, rng)
        name = "manifest with a checksum that holds" if sign else "manifest"
        return Damaged(
            write(folder / "checkpoints", signed(content) if sign else content), f"{name}: {', '.join(done)}"
        )

    def open(path: Path) -> None:
        checkpoint.saved_updates(path)
        checkpoint.best_rating(path)
        found = [checkpoint.load(path, tree, which=which, config=config) for which in ("latest", "best", 4)]
        if found[0] is None:
            raise ValueError("no whole checkpoint")
        run = _bare_run(path.parent)
        run.restore_counts(found[0])
        Recorder(run, None, []).close()

    return Target("manifest", intact, damage, open)


def signed(content: bytes) -> bytes:
    """A checkpoint's manifest with the checksum that belongs to it; as it is, where it is no JSON object."""
    try:
        manifest = json.loads(content)
        manifest.pop("checksum", None)
        manifest["checksum"] = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    except (ValueError, AttributeError, TypeError, RecursionError):
        return content
    return json.dumps(manifest, indent=1).encode()


def _lines() -> bytes:
    """Numbers of a run, as ``metrics.jsonl`` holds them."""
    lines = []
    for update in range(1, UPDATES + 1):
        counts = {f"steps/{kind}": 256 * update if kind == "learning" else 0 for kind in STEP_KINDS}
        rate = None if update == 3 else update / 16
        numbers = {"solve_rate": rate, "loss/total": -0.25, "return": 1e-3 * update, "episodes": 5 * update}
        lines.append({"update": update, **counts, **numbers, "seconds": 0.25, "steps_per_second": 1024.0})
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def mutate_lines(content: bytes, rng: np.random.Generator) -> tuple[bytes, list[str]]:
    """Lines of JSON, one to three of them damaged, lost, moved or doubled; or the bytes of the whole."""
    if rng.random() < 0.3:
        return mutate_bytes(content, rng)
    lines, names = content.splitlines(keepends=True), []
    for _ in range(1 + int(rng.integers(3))):
        at, what = int(rng.integers(len(lines))), int(rng.integers(8))
        if what < 4 and lines[at].strip().startswith(b"{"):
            try:
                changed, done = mutate_json(lines[at], rng)
            except ValueError:  # the line was damaged before
                continue
            lines[at] = changed + b"\n"
            names += [f"line {at + 1} {name}" for name in done]
        elif what == 4 and len(lines) > 1:
            del lines[at]
            names.append(f"line {at + 1} dropped")
        elif what == 5:
            lines.insert(int(rng.integers(len(lines) + 1)), lines[at])
            names.append(f"line {at + 1} twice")
        elif what == 6:
            other = (
                b"\n",
                b"5\n",
                b"{}\n",
                b"[]\n",
                b"null\n",
                b'"a"\n',
                b"\x00" * 512 + b"\n",
                b"}{\n",
                b"\xff\n",
                b'{"update": null}\n',
            )
            lines.insert(at, other[int(rng.integers(len(other)))])
            names.append(f"another line before line {at + 1}")
        else:
            lines[at] = lines[at][: int(rng.integers(len(lines[at])))] + b"\n"
            names.append(f"line {at + 1} cut")
    return b"".join(lines), names or ["nothing"]


def _open_metrics(path: Path) -> None:
    """Read the numbers as reports and resuming do; no line that is as it was may be lost.

    Raises:
        AssertionError: a good line is gone from the file.
    """
    before = {json.dumps(line) for line in map(json.loads, _lines().splitlines())}
    good = {line for line in path.read_bytes().decode("utf-8", "replace").splitlines() if line in before}
    run = _bare_run(path.parent)
    run.updates = UPDATES
    Method("mine", (str(path.parent),), (run,)).about()
    recorder = Recorder(run, None, [])
    recorder.close()
    if lost := good - {json.dumps(line) for line in read_metrics(path)}:
        raise AssertionError(f"{len(lost)} good lines of {len(good)} are lost when the run is resumed")


def _bare_run(folder: Path) -> Run:
    """A run as far as its files go, without environment and policy."""
    return Run(folder, preset("tiny", out=str(folder)), None, None)  # type: ignore[arg-type]


def _actions_opener(read_actions: Callable[[str], np.ndarray]) -> Callable[[Path], None]:
    level = load_level(level_file(holdout_names("s")[0]))

    def open(path: Path) -> None:
        actions = read_actions(str(path))
        shape = np.shape(actions)
        if shape and shape[0] == ACTIONS:
            replay(level, actions, engine="jax", max_steps=ACTIONS)
            return
        one, floats = len(shape) == 1, np.asarray(actions).dtype.kind == "f"
        make_actions("continuous" if floats else "discrete" if one else "multi_discrete").check(actions)

    return open
