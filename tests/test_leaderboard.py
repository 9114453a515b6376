"""The leaderboard, from documents of made-up evaluations."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from test_report import ENV, made_up

from kinetix_ued.benchmarks import Suite
from kinetix_ued.benchmarks.leaderboard import BEGIN, END, HEAD, format_leaderboard, leaderboard_rows, read_results
from kinetix_ued.benchmarks.report import Played, results
from kinetix_ued.cli import main
from kinetix_ued.world import empty_level


def document(scores: dict, *, seed: int = 0, gravity: float = -9.81, allowed: bool = False) -> dict:
    """Two suites of one level each: ``scores`` says for each policy which of two attempts solve both."""
    level = empty_level("s").replace(gravity=np.array([0, gravity], np.float32))
    levels = jax.tree.map(lambda x: np.asarray(x)[None], level)
    suite = Suite(levels, ("a",), ("x",), "made up")
    evaluations = {name: made_up([solved]) for name, solved in scores.items()}
    config = {"seed": 5, "steps": 1000, "allow_holdout": allowed}
    run = {"source": "runs/x", "steps": {"learning": 1024, "antagonist": 512, "evaluation": 3}, "config": config}
    sources = {name: [run, run | {"config": config | {"seed": 8}}] for name in scores if name != "random"}
    played = [Played(suite, evaluations, name=name) for name in ("holdout-s", "kinetix-s")]
    return results(played, env=ENV, seed=seed, greedy=False, sources=sources)


def test_a_row_tells_all_that_is_needed_to_repeat_it():
    found = document({"ours": [1, 0], "random": [0, 0]}, allowed=True)
    found["commit"] = "0123456789abcdef+changes"
    found["machine"] |= {"backend": "gpu", "device": "Fast Card", "cpu_cores": 8, "cpu": "Some CPU"}
    ours, random = (dict(zip(HEAD, row.cells, strict=True)) for row in leaderboard_rows(found)[:2])
    assert ours["method"] == "ours (training was allowed to use holdout levels)"
    assert ours["interquartile mean"] == "50.0% [5.5, 94.5]" and ours["attempts"] == "2 sampled"
    assert (ours["budget"], ours["environment steps"]) == ("1,000", "1,024 learning, 512 antagonist")
    assert (ours["seeds"], ours["commit"]) == ("5, 8", "0123456789+changes")
    assert ours["machine"] == "Fast Card, 8 cores of Some CPU"
    assert [random[name] for name in ("method", "budget", "environment steps", "seeds")] == ["random", *["none"] * 3]
    found["commit"] = None
    assert leaderboard_rows(found)[0].cells[HEAD.index("commit")].startswith("version ")


def test_tables_are_by_suite_and_content_and_the_best_comes_first():
    one = document({"bad": [0, 0], "good": [1, 1]})
    other = document({"fair": [1, 0], "good": [1, 1]})
    elsewhere = document({"good": [1, 1]}, gravity=-1.0)
    text = format_leaderboard([one, other, elsewhere])
    parts = text.split("### ")[1:]
    assert [part.splitlines()[0] for part in parts] == ["holdout-s, 1 level"] * 2 + ["kinetix-s, 1 level"] * 2
    methods = [[line.split(" | ")[0][2:] for line in part.splitlines() if line.startswith("| ")][1:] for part in parts]
    assert sorted(methods[:2]) == [["good"], ["good", "fair", "bad"]], "equal rows count once, other levels stand apart"
    assert text == format_leaderboard([elsewhere, other, one]), "whatever the order of the files"
    with pytest.raises(ValueError, match="needs results"):
        format_leaderboard([])


def test_the_documentation_holds_what_its_documents_say():
    """To mend it: kinetix-ued leaderboard docs/results/*.json --into docs/results.md"""
    docs = Path(__file__).parent.parent / "docs"
    text = format_leaderboard([read_results(path) for path in sorted((docs / "results").glob("*.json"))])
    page = (docs / "results.md").read_text(encoding="utf-8")
    assert page.partition(BEGIN)[2].partition(END)[0] == f"\n\n{text}\n\n"


def test_the_command_rewrites_its_part_of_the_file_and_nothing_else(tmp_path, capsys):
    scores, page = tmp_path / "scores.json", tmp_path / "results.md"
    scores.write_text(json.dumps(document({"ours": [1, 0]})))
    around = f"# Results\r\n\r\nbefore\n{BEGIN}\nstale\n{END}\nafter ü\n"
    page.write_bytes(around.encode())
    for _ in range(2):  # the second time changes nothing
        assert main(["leaderboard", str(scores), "--into", str(page)]) == 0
        written = page.read_bytes().decode()
        assert written.startswith(f"# Results\r\n\r\nbefore\n{BEGIN}\n") and written.endswith(f"\n{END}\nafter ü\n")
        assert "| ours | 50.0% [5.5, 94.5]" in written and "stale" not in written
    capsys.readouterr()
    assert main(["leaderboard", str(scores)]) == 0
    assert capsys.readouterr().out.strip() in written
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.md", "scores.json"]


def test_what_is_no_evaluation_is_refused_by_name(tmp_path, capsys):
    good = document({"ours": [1, 0]})
    files = {
        "text.json": "{",
        "list.json": "[]",
        "bench.json": json.dumps({"schema": "kinetix-ued/throughput"}),
        "old.json": json.dumps(good | {"schema_version": 1}),
        "part.json": json.dumps({name: value for name, value in good.items() if name != "suites"}),
    }
    words = ("cannot be read", "no evaluation", "it is kinetix-ued/throughput", "evaluate again", "suites missing")
    for (name, text), word in zip(files.items(), words, strict=True):
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=word) as refusal:
            read_results(tmp_path / name)
        assert name in str(refusal.value)
    with pytest.raises(ValueError, match="nowhere.json"):
        read_results(tmp_path / "nowhere.json")
    (tmp_path / "good.json").write_text(json.dumps(good))
    for page in ("no marks", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}\n"):
        (tmp_path / "page.md").write_text(page)
        assert main(["leaderboard", str(tmp_path / "good.json"), "--into", str(tmp_path / "page.md")]) == 2
        assert "page.md has no place" in capsys.readouterr().err and (tmp_path / "page.md").read_text() == page
    assert main(["leaderboard", str(tmp_path / "good.json"), "--into", str(tmp_path / "none.md")]) == 2
