"""The fuzzers: a few cases of every target, of which none may end in a raw exception; and they find what is planted."""

import functools
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from kinetix_ued.benchmarks.robustness import (
    Damaged,
    Target,
    check_intact,
    document_targets,
    format_robustness,
    is_clean,
    level_targets,
    read_robustness,
    run_case,
    run_cases,
    run_targets,
)
from kinetix_ued.benchmarks.robustness.byte_mutations import BYTE_MUTATIONS, mutate_bytes
from kinetix_ued.benchmarks.robustness.cases import RAW, READ, REFUSED, SLOW, faults, summary
from kinetix_ued.benchmarks.robustness.compare import differences
from kinetix_ued.benchmarks.robustness.document_targets import signed
from kinetix_ued.benchmarks.robustness.files import file_target
from kinetix_ued.benchmarks.robustness.json_mutations import JSON_MUTATIONS, mutate_json
from kinetix_ued.benchmarks.robustness.kills import kill_runs
from kinetix_ued.cli import main
from kinetix_ued.commands.replay import read_actions

DOCS = Path(__file__).parent.parent / "docs"
DOCUMENT = json.dumps({"a": 1, "b": [1.5, "two", None, {"c": True}], "d": {}}).encode()

CASES = {"levels": 60, "documents": 140, "runs": 12}
"""Few of many thousands: docs/reliability.md has the others."""


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    """The targets of a kind, warmed up once."""
    make = {
        "levels": level_targets,
        "documents": functools.partial(document_targets, read_actions=read_actions),
        "runs": run_targets,
    }

    @functools.cache
    def of(kind: str) -> list[Target]:
        folder = tmp_path_factory.mktemp(kind)
        found = make[kind](folder)
        check_intact(found, folder)
        return found

    return of


@pytest.mark.parametrize("kind", CASES)
def test_whatever_is_damaged_is_read_or_refused(kind, targets):
    """To see one again: kinetix-ued bench robustness KIND --seed 3 --case NUMBER"""
    results = run_cases(kind, targets(kind), range(CASES[kind]), seed=3)
    assert not faults(results), "\n".join(
        f"case {r.case}: {r.how}\n{r.trace or r.error}" for r in results if r.outcome in (RAW, SLOW)
    )
    counts = {outcome: sum(row[outcome] for row in summary(results)) for outcome in (READ, REFUSED)}
    assert min(counts.values()) > 0.05 * CASES[kind], "the damage is too little or too much to say anything"


@pytest.mark.parametrize("kind", CASES)
def test_a_case_is_the_same_again(kind, targets, tmp_path):
    for case in (0, 5, 6):
        folders = [tmp_path / f"{case}-{i}" for i in range(2)]
        first, again = (run_case(kind, targets(kind), case, 7, keep=folder) for folder in folders)
        assert (first.how, first.outcome, first.target) == (again.how, again.outcome, again.target)
        contents = [{p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in folders]
        assert contents[0] == contents[1] and contents[0]
    assert run_case(kind, targets(kind), 0, 8).how != run_case(kind, targets(kind), 0, 7).how


def planted(open, limit=2.0):
    return [file_target("planted", {"document.json": DOCUMENT}, open, limit=limit)]


def test_a_planted_fault_is_found_named_and_repeated():
    def reader(path):
        try:
            document = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as problem:
            raise ValueError(f"{path} is no document") from problem
        return document["a"]

    results = run_cases("planted", planted(reader), range(200), seed=0)
    found = faults(results)
    assert {"KeyError", "TypeError"} <= {fault["error"].partition(":")[0] for fault in found}
    assert all(fault["outcome"] == RAW for fault in found) and sum(fault["cases"] for fault in found) < 100
    again = run_case("planted", planted(reader), found[0]["case"], 0)
    assert (again.outcome, again.error) == (RAW, found[0]["error"]) and "reader" in again.trace


@pytest.mark.parametrize(
    ("problem", "outcome"),
    [
        (ValueError("document.json: no good: mend it"), REFUSED),
        (ValueError("one line\nand another"), RAW),
        (ValueError(), RAW),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), RAW),
        (json.JSONDecodeError("Expecting value", "", 0), RAW),
        (OSError("disk"), RAW),
        (IsADirectoryError(21, "Is a directory", "document.json"), REFUSED),
        (MemoryError(), RAW),
        (AssertionError("lost"), RAW),
        (SystemExit(3), RAW),
        (None, READ),
    ],
)
def test_outcomes(problem, outcome):
    def open(path):
        if problem is not None:
            raise problem

    assert run_case("planted", planted(open), 0, 0).outcome == outcome


def test_what_never_ends_is_ended_and_what_reads_for_long_is_slow():
    def hang(path):
        while True:
            try:
                time.sleep(0.01)
            except Exception:  # no reader may catch what ends it
                pass

    def work(path):
        end = time.process_time() + 0.1
        while time.process_time() < end:
            pass

    for open in (hang, work):
        (found,) = run_cases("planted", planted(open, limit=0.05), [0], seed=0)
        assert found.outcome == SLOW and faults([found])[0]["error"] == "more than 0.05 s"


def test_what_is_not_read_undamaged_is_refused(tmp_path):
    def refuse(path):
        raise ValueError("never")

    with pytest.raises(ValueError, match="planted: undamaged document.json is not read"):
        check_intact(planted(refuse), tmp_path)


@pytest.mark.parametrize(("mutate", "kinds"), [(mutate_bytes, BYTE_MUTATIONS), (mutate_json, JSON_MUTATIONS)])
def test_every_mutation_happens_and_is_a_function_of_content_and_generator(mutate, kinds):
    seen = set()
    for seed in range(400):
        content, names = mutate(DOCUMENT, np.random.default_rng(seed))
        if seed % 10 == 0:
            assert mutate(DOCUMENT, np.random.default_rng(seed)) == (content, names)
        seen.update(names)
    assert seen >= set(kinds) - {"padded", "crowded"}, "the rare ones may not come"


def test_a_manifest_is_signed_as_checkpoints_are(tmp_path, targets):
    manifest = next(t for t in targets("documents") if t.name == "manifest")
    (plain, again) = manifest.intact(tmp_path)
    contents = [next(folder.glob("*/manifest.json")).read_bytes() for folder in (plain, again)]
    assert json.loads(contents[0]) == json.loads(contents[1])
    changed = json.dumps(json.loads(contents[0]) | {"update": 5}).encode()
    assert json.loads(signed(changed))["checksum"] != json.loads(contents[0])["checksum"]


CHILD = """
import json, pathlib, sys, time

run, faulty = pathlib.Path(sys.argv[1]), sys.argv[2] == "faulty"
checkpoints = run / "checkpoints"
checkpoints.mkdir(parents=True, exist_ok=True)
(run / "config.json").write_text("{}")
begin, state = 0, 1
for old in sorted(checkpoints.glob("update_*")):
    begin = int(old.name[7:])
    state = begin if faulty else json.loads((old / "manifest.json").read_text())["leaves"][0]["sha256"]
for partial in checkpoints.glob(".*.partial"):
    for file in partial.iterdir():
        file.unlink()
    partial.rmdir()
numbers = run / "metrics.jsonl"
lines = numbers.read_text().splitlines(keepends=True)[:begin] if numbers.exists() else []
with open(numbers, "w") as file:
    file.writelines(lines)
    for update in range(begin + 1, 61):
        state = (31 * state + update) % 1000003
        file.write(json.dumps({"update": update, "state": state, "seconds": time.time()}) + "\\n")
        file.flush()
        time.sleep(0.002)
        if update % 5 == 0:
            partial = checkpoints / f".update_{update:09d}.partial"
            partial.mkdir()
            leaf = {"path": ".agent.params['w']", "shape": [], "dtype": "int32", "sha256": state}
            manifest = {"update": update, "leaves": [leaf], "host": {"counts": update}}
            (partial / "manifest.json").write_text(json.dumps(manifest))
            time.sleep(0.01)
            partial.rename(checkpoints / f"update_{update:09d}")
"""
"""Trains as a run does, as far as its files go."""


def child(kind: str, run: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", CHILD, str(run), kind])


def test_killed_runs_are_resumed_and_compared(tmp_path):
    found = kill_runs(tmp_path / "good", functools.partial(child, "good"), 12, np.random.default_rng(0))
    assert found["kills"] == sum(found["hit"].values()) == 12 and found["hit"]["a checkpoint"] > 0
    assert found["partial_checkpoints"] > 0, "no kill came while a checkpoint was written"
    assert found["identical"] == found["runs"] >= 1 and not found["problems"]


def test_a_run_that_goes_on_differently_is_found(tmp_path):
    found = kill_runs(tmp_path / "bad", functools.partial(child, "faulty"), 4, np.random.default_rng(0))
    assert found["identical"] < found["runs"]
    assert any("parameters differ" in problem for problem in found["problems"])
    broken = lambda run: subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(ValueError, match="nothing disturbed ended with an error: exit status 3"):
        kill_runs(tmp_path / "broken", broken, 1, np.random.default_rng(0))


def test_differences_name_what_differs(tmp_path):
    def run(name, params="a", curriculum="b", counts=1, seconds=0.5, rate=0.25):
        folder = tmp_path / name / "checkpoints" / "update_000000004"
        folder.mkdir(parents=True)
        paths = {".agent.params['w']": params, ".agent.optimiser": "o", ".curriculum.buffer": curriculum, ".key": "k"}
        leaves = [{"path": path, "shape": [2], "dtype": "float32", "sha256": sha} for path, sha in paths.items()]
        (folder / "manifest.json").write_text(json.dumps({"update": 4, "leaves": leaves, "host": {"counts": counts}}))
        line = {"update": 4, "solve_rate": rate, "seconds": seconds, "steps_per_second": 1 / seconds}
        (tmp_path / name / "metrics.jsonl").write_text(json.dumps(line) + "\n")
        (folder.parent / "update_999999999x").mkdir()
        return tmp_path / name

    whole = run("whole")
    assert differences(run("same", seconds=9.0), whole) == []
    assert differences(run("other", params="x", rate=0.5), whole) == ["parameters", "numbers"]
    assert differences(run("another", curriculum="x", counts=2), whole) == ["curriculum", "counts"]


def test_the_command_counts_repeats_and_shows(tmp_path, capsys):
    found = tmp_path / "found.json"
    status = main(["bench", "robustness", "documents", "-n", "14", "--json", str(found)])
    printed = capsys.readouterr().out
    document = read_robustness(found)
    assert status == (0 if is_clean(document) else 1)
    assert format_robustness(document) == printed.strip() and "| recorded actions | 2 |" in printed
    assert "Printed by `kinetix-ued bench robustness documents -n 14 --seed 0`." in printed
    assert main(["bench", "robustness", "show", str(found)]) == 0 and capsys.readouterr().out == printed
    main(["bench", "robustness", "documents", "--case", "4", "--keep", str(tmp_path / "kept")])
    assert (
        capsys.readouterr().out.startswith("documents 4, manifest, ") and len(list((tmp_path / "kept").iterdir())) == 1
    )


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["show"], "name them after it"),
        (["levels", "found.json"], "none after another kind"),
        (["kills", "--case", "1"], "a kill happens but once"),
        (["levels", "--keep", "here"], "--keep belongs to --case"),
        (["show", "absent.json"], "cannot be read"),
    ],
)
def test_what_the_command_refuses(arguments, problem, capsys):
    assert main(["bench", "robustness", *arguments]) == 2
    assert problem in capsys.readouterr().err


def test_a_document_with_faults_tells_how_to_repeat_them(capsys):
    def open(path):
        raise KeyError("<b>|`a`")

    from kinetix_ued.benchmarks.robustness import cases_part, document

    results = run_cases("planted", planted(open), range(3), seed=5)
    found = document([cases_part("planted", results, 5, 1.0)], "command")
    text = format_robustness(found)
    assert not is_clean(found) and "| planted | 3 | 0 | 0 | 0 | 3 |" in text
    assert (
        "- raw, 3 of planted: KeyError: " in text and "`kinetix-ued bench robustness planted --seed 5 --case 0`" in text
    )
    assert "<b>" not in text


def test_a_target_may_damage_folders(tmp_path):
    def damage(folder, rng):
        (folder / "thing").mkdir()
        return Damaged(folder / "thing", "made")

    target = Target("folder", lambda folder: [folder], damage, lambda path: list(path.iterdir()))
    assert run_case("planted", [target], 0, 0, keep=tmp_path).outcome == READ
    assert [path.name for path in tmp_path.iterdir()] == ["planted-0-0-thing"]


@pytest.mark.skipif(not DOCS.exists(), reason="the tests are run away from the repository")
def test_the_page_holds_what_its_documents_say():
    """To mend it: kinetix-ued bench robustness show docs/reliability/*.json, below the page's last heading."""
    page = (DOCS / "reliability.md").read_text(encoding="utf-8")
    files = sorted((DOCS / "reliability").glob("*.json"))
    for file in files:
        found = read_robustness(file)
        assert is_clean(found) and format_robustness(found) in page
    kinds = [part["kind"] for file in files for part in read_robustness(file)["parts"]]
    assert sorted(kinds) == ["documents", "kills", "levels", "runs"]
