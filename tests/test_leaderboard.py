"""The leaderboard, from documents of made-up evaluations."""

import copy
import dataclasses
import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest
from test_report import ENV, made_up

from kinetix_ued.benchmarks import Suite
from kinetix_ued.benchmarks.leaderboard import (
    BEGIN,
    END,
    HEAD,
    format_leaderboard,
    leaderboard_rows,
    replace_leaderboard,
    rules_of,
)
from kinetix_ued.benchmarks.report import Played, read_results, results
from kinetix_ued.cli import main
from kinetix_ued.world import empty_level


def document(scores: dict, *, seed: int = 0, gravity: float = -9.81, allowed: bool = False, env=ENV) -> dict:
    """Two suites of one level each: ``scores`` says for each policy which of two attempts solve both."""
    level = empty_level("s").replace(gravity=np.array([0, gravity], np.float32))
    levels = jax.tree.map(lambda x: np.asarray(x)[None], level)
    suite = Suite(levels, ("a",), ("x",), "made up")
    evaluations = {name: made_up([solved]) for name, solved in scores.items()}
    config = {"seed": 5, "steps": 1000, "allow_holdout": allowed}
    run = {"source": "runs/x", "steps": {"learning": 1024, "antagonist": 512, "evaluation": 3}, "config": config}
    sources = {name: [run, run | {"config": config | {"seed": 8}}] for name in scores if name != "random"}
    played = [Played(suite, evaluations, name=name) for name in ("holdout-s", "kinetix-s")]
    return results(played, env=env, seed=seed, greedy=False, sources=sources)


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


@pytest.mark.parametrize(
    "change",
    (
        {"frame_skip": 4},
        {"max_steps": 49},
        {"physics": "fixed"},
        {"engine": "warp" if ENV.engine == "jax" else "jax"},
        {"attempts": 3},
    ),
    ids=lambda change: next(iter(change)),
)
def test_rows_that_were_played_by_other_rules_stand_in_tables_of_their_own(change):
    """One rule is different, each in turn; the suite is the same, down to its name and its content."""
    one = document({"ours": [1, 0]})
    if attempts := change.get("attempts"):
        other = document({"theirs": [1] * attempts})
    else:
        other = document({"theirs": [1, 1]}, env=dataclasses.replace(ENV, **change))
    assert [suite["hash"] for suite in one["suites"]] == [suite["hash"] for suite in other["suites"]]
    tables = format_leaderboard([one, other]).split("### ")[1:]
    assert len(tables) == 4
    for table in tables:
        assert ("| ours |" in table) != ("| theirs |" in table)
        heading = table.splitlines()[0]
        assert rules_of(one if "| ours |" in table else other) in heading, "the heading says which rules"
    assert rules_of(one) != rules_of(other)
    (first,) = {row.split(": ", 1)[0] for row in (t.splitlines()[0] for t in tables) if row.startswith("holdout")}
    assert first == "holdout-s, 1 level"


def test_what_solve_rates_do_not_depend_on_parts_no_rows():
    """The reward, the seed and what an agent brings along: they are told of the row, or they do not matter."""
    one = document({"ours": [1, 0]})
    other = document({"theirs": [1, 1]}, seed=3, env=dataclasses.replace(ENV, dense_reward_scale=0.0))
    other["greedy"] = True
    tables = format_leaderboard([one, other]).split("### ")[1:]
    assert len(tables) == 2 and all("| ours |" in table and "| theirs |" in table for table in tables)
    assert "2 greedy" in tables[0] and "2 sampled" in tables[0]
    assert tables[0].splitlines()[0] == "holdout-s, 1 level" and rules_of(one) in tables[0].splitlines()[2]
    other["statistics"]["confidence"] = 0.9
    with pytest.raises(ValueError, match="intervals of 90.000% and 95.000% cannot stand side by side"):
        format_leaderboard([one, other])


NASTY = [
    BEGIN,
    END,
    "<img src=x onerror=alert(1)>",
    "a|b",
    "line\nbreak\r\n\r\n# heading",
    "`code` **bold** _emphasis_ ~~gone~~",
    "[link](javascript:alert(1))",
    "\x1b[31mred\x1b[0m",
    "&lt;b&gt;",
    "half a character \ud800",
    "$x^$",
]


def test_names_reach_a_file_as_text_and_cannot_break_it(tmp_path):
    """Whatever a policy is called, the file can be rewritten again and again, and a row has the cells of the head."""
    page = tmp_path / "results.md"
    page.write_text(f"before\n{BEGIN}\n{END}\nafter\n")
    found = document({name: [1, 0] for name in NASTY})
    found["commit"], found["machine"]["cpu"] = BEGIN, "<script>"
    found["suites"][0]["suite"] = NASTY[4] + NASTY[2]
    for _ in range(2):
        replace_leaderboard(page, format_leaderboard([found]))
        text = page.read_text(encoding="utf-8")
        assert text.startswith("before\n") and text.endswith("\nafter\n")
        assert text.count(BEGIN) == text.count(END) == 1
        assert "<" not in text.replace(BEGIN, "").replace(END, "") and "\x1b" not in text
        assert len(re.findall("^#", text, re.MULTILINE)) == 2, "one heading a suite"
        rows = [line for line in text.splitlines() if line.startswith("| ")]
        assert len(rows) == 2 * (1 + len(NASTY))
        assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {len(HEAD) + 1}


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


def places(node, path=()):
    """Every field of a document: its container, its key, and where it is."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield node, key, (*path, key)
        if isinstance(value, (dict, list)):
            yield from places(value, (*path, key))


WRONG = [None, True, -1, 10**30, 1e300, "", "x", [], {}, [[]], "\ud800", "²", float("nan"), float("inf")]


def test_a_damaged_document_is_read_or_refused_in_one_line(tmp_path):
    """Every field in turn is taken out, and given a value of another type or beyond its range."""
    whole, file = document({"ours": [1, 0], "random": [0, 0]}), tmp_path / "document.json"
    whole["policies"][0]["runs"] = whole["policies"][0]["runs"][:1]
    whole["suites"] = whole["suites"][:1]
    refused = read = 0
    for number in range(len(list(places(whole)))):
        for wrong in ("absent", *WRONG[number % 3 :: 3]):
            damaged = copy.deepcopy(whole)
            container, key, _ = list(places(damaged))[number]
            if wrong == "absent":
                del container[key]
            else:
                container[key] = wrong
            file.write_text(json.dumps(damaged))
            try:
                format_leaderboard([read_results(file), whole])
                read += 1
            except ValueError as problem:
                refused += 1
                assert str(file) in str(problem) and "\n" not in str(problem) and len(str(problem)) < 600
    assert refused > 500 and read < refused / 2, (refused, read)


@pytest.mark.parametrize(
    "content, words",
    (
        (b"[" * 100_000, "nested too deeply"),
        (b'{"schema": "kinetix-ued/evaluation", "schema_version": ' + b"9" * 5000 + b"}", "out of range"),
        (b'{"schema": "kinetix-ued/evaluation", "schema_version": 1e999}', "out of range"),
        (b'{"schema": NaN}', "invalid character"),
        (b'{"schema": "\xff"}', "utf-8"),
        (b'{"schema": "kinetix-ued/evaluation", "schema_version": true}', "schema_version True"),
        (b'{"schema": ["x"]}', "its schema is a JSON list"),
        (b"", "cannot be read"),
        (b"null", "is not an evaluation"),
    ),
)
def test_what_is_no_json_is_refused_by_the_command_in_one_line(content, words, tmp_path, capsys):
    file = tmp_path / "document.json"
    file.write_bytes(content)
    assert main(["leaderboard", str(file)]) == 2
    out, err = capsys.readouterr()
    assert not out and len(err.splitlines()) == 1 and str(file) in err and words in err


def test_a_document_of_an_older_program_is_refused_with_the_field_that_it_lacks(capsys):
    assert main(["leaderboard", str(Path(__file__).parent / "data" / "evaluation-no-hash.json")]) == 2
    _, err = capsys.readouterr()
    assert len(err.splitlines()) == 1
    assert "evaluation-no-hash.json is not a whole evaluation: suites[0]: object missing required field 'hash'" in err


def test_policies_and_levels_of_a_document_belong_together(tmp_path):
    file = tmp_path / "document.json"
    for break_it, words in (
        (lambda suite: suite["policies"].reverse(), r"suites\[1\]\.policies: its names are not those of policies"),
        (lambda suite: suite["policies"].pop(), r"suites\[1\]\.policies: its names"),
        (lambda suite: suite["policies"][1]["levels"].clear(), r"suites\[1\]\.policies\[1\]\.levels: not those"),
        (lambda suite: suite["policies"][1]["families"].clear(), r"policies\[1\]\.families: not those"),
    ):
        damaged = document({"ours": [1, 0], "random": [0, 0]})
        break_it(damaged["suites"][1])
        file.write_text(json.dumps(damaged))
        with pytest.raises(ValueError, match=words):
            read_results(file)


def test_what_is_no_evaluation_is_refused_by_name(tmp_path, capsys):
    good = document({"ours": [1, 0]})
    files = {
        "text.json": "{",
        "list.json": "[]",
        "bench.json": json.dumps({"schema": "kinetix-ued/throughput"}),
        "old.json": json.dumps(good | {"schema_version": 1}),
        "part.json": json.dumps({name: value for name, value in good.items() if name != "suites"}),
    }
    words = ("cannot be read", "not an evaluation", "its schema is 'kinetix-ued/throughput'", "schema_version 1 and 2 is read", "missing required field 'suites'")
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
