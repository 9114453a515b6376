"""Results documents and what is made of them, on evaluations that are made up."""

import dataclasses
import html.parser
import json
import re
import subprocess

import jax
import numpy as np
import pytest

from kinetix_ued.benchmarks import Evaluation, Suite, as_json, format_table, write_json, write_plot
from kinetix_ued.benchmarks.report import Played, format_html, format_markdown, pooled, provenance, results, thumbnails
from kinetix_ued.benchmarks.statistics import bootstrap, interquartile_mean, wilson
from kinetix_ued.environment import make
from kinetix_ued.levels import LevelError
from kinetix_ued.world import Level, empty_level

ENV = make("s", max_steps=48)


def made_up(solved) -> Evaluation:
    solved = np.array(solved, bool)
    return Evaluation(
        solved=solved,
        returns=np.where(solved, 1.0, -1.0),
        lengths=np.where(solved, 10, 30),
        nonfinite=np.zeros_like(solved),
        environment_steps=int(np.where(solved, 10, 30).sum()),
        idle_steps=3,
        seconds=1.5,
    )


@pytest.fixture(scope="module")
def levels() -> Level:
    gravity = np.array([[0, -9.81], [0, -5.0], [0, -1.0]], np.float32)
    return jax.tree.map(lambda x: np.stack([x] * 3), empty_level("s")).replace(gravity=gravity)


@pytest.fixture(scope="module")
def suite(levels) -> Suite:
    return Suite(levels, ("car", "arm", "fly"), ("s", "s", "m"), "somewhere")


@pytest.fixture(scope="module")
def told(levels) -> Suite:
    metadata = (
        {"family": "vehicles", "title": "A <b>car</b>", "description": "Drive | park.", "difficulty": "hard"},
        {"family": "arms", "difficulty": "easy", "solved_by": ["random"]},
        {},
    )
    skipped = (LevelError("bad.json", None, "no level", "mend it"),)
    names, folders = ("car", "arm", "fly"), ("x/s", "x/s", "x/m")
    return Suite(levels, names, folders, "somewhere", ("s", "s", "m"), metadata, skipped)


@pytest.fixture(scope="module")
def document(told) -> dict:
    ours = [made_up([[1, 1], [1, 0], [0, 0]]), made_up([[1, 1], [1, 1], [1, 0]])]
    scores = {"ours": ours, "a|b": made_up([[0, 0], [1, 1], [0, 0]])}
    run = {"source": "runs/x", "steps": {"learning": 200, "scoring": 40, "evaluation": 9}}
    sources = {
        "ours": [run | {"config": {"seed": seed, "steps": 150, "allow_holdout": seed == 4}} for seed in (3, 4)],
        "a|b": {"source": "random"},
    }
    played = [Played(told, scores, scores, "first"), Played(told, scores, name="second")]
    return results(played, env=ENV, seed=7, greedy=False, sources=sources)


def test_table_has_a_row_a_level_and_means(suite):
    scores = {
        "ours": made_up([[1, 1], [1, 0], [0, 0]]),
        "a policy with a rather long name that is": made_up([[0, 0]] * 3),
    }
    lines = format_table(suite, scores).splitlines()
    assert lines[0].split("  ")[-1] == "a policy with a rather long name that is"
    row = {line.split()[0] + ("" if line.startswith(" ") else "/"): line.split() for line in lines[1:]}
    first, second = "100.0% [34, 100] 1.000 10.0", "0.0% [0, 66] -1.000 30.0"
    assert row["car"] == f"car {first} {second}".split()
    assert row["arm"][1:6] == ["50.0%", "[9,", "91]", "0.000", "20.0"]
    means = [line.split()[1:] for line in lines if "mean of 2" in line]
    assert [mean[2] for mean in means] == ["75.0%"]
    assert lines[-1].split()[:4] == ["all", "3", "levels", "50.0%"]
    assert len({len(line) for line in lines if "%" in line}) == 1, "columns are aligned"
    short = format_table(suite, scores, rows=False)
    assert "car" not in short and "[" not in short and len(short.splitlines()) == 5


def test_runs_of_one_method_are_taken_together(suite):
    runs = [made_up([[1, 1], [1, 0], [0, 0]]), made_up([[0, 1], [1, 0], [0, 0]])]
    whole = pooled(runs)
    assert whole.solve_rate.tolist() == [0.75, 0.5, 0.0] and whole.attempts == 4
    assert whole.environment_steps == sum(run.environment_steps for run in runs)
    assert "75.0%" in format_table(suite, {"ours": runs})


def test_json_repeats_the_numbers_and_is_never_overwritten(tmp_path, suite):
    scores = {"ours": made_up([[1, 1], [1, 0], [0, 0]])}
    report = as_json(suite, scores, env=ENV, seed=7, greedy=False, sources={"ours": {"source": "runs/x"}})
    path = tmp_path / "report.json"
    write_json(path, report)
    read = json.loads(path.read_text())
    assert read == report and (read["schema_version"], read["seed"], read["attempts"]) == (2, 7, 2)
    assert read["engine"] == ENV.engine and read["environment"]["max_steps"] == 48
    assert read["policies"] == [{"name": "ours", "runs": [{"source": "runs/x"}], "allow_holdout": False}]
    (played,) = read["suites"]
    (ours,) = played["policies"]
    assert ours["mean"]["solve_rate"] == 0.5 and played["size"] == "s"
    assert [(f["family"], f["solve_rate"]) for f in ours["families"]] == [("s", 0.75), ("m", 0.0)]
    assert [level["solved_attempts"] for level in ours["levels"]] == [2, 1, 0]
    with pytest.raises(ValueError, match="--overwrite"):
        write_json(path, report)
    write_json(path, {"other": 1}, overwrite=True)
    assert json.loads(path.read_text()) == {"other": 1}
    with pytest.raises(ValueError, match="create it first"):
        write_json(tmp_path / "nowhere" / "report.json", report)
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_numbers_of_a_document_are_those_of_the_statistics(document, told):
    first, second = document["suites"]
    rates = np.array([[1, 0.5, 0], [1, 1, 0.5]])
    ours, random = first["policies"]
    assert [run["solve_rate"] for run in ours["runs"]] == [0.5, pytest.approx(2.5 / 3)]
    assert ours["interquartile_mean"] == bootstrap(rates, seed=7, levels=True)._asdict()
    assert ours["interquartile_mean_over_seeds"] == bootstrap(rates, seed=7)._asdict()
    assert ours["interquartile_mean"]["estimate"] == interquartile_mean(rates)
    assert "interquartile_mean_over_seeds" not in random
    assert ours["levels"][1]["interval"] == list(wilson(3, 4)[1:]) and ours["levels"][1]["solve_rates"] == [0.5, 1]
    families = {entry["family"]: entry for entry in random["families"]}
    assert list(families) == ["vehicles", "arms", "x/m"] and families["arms"]["interval"] == list(wilson(1, 1)[1:])
    assert [(entry["size"], entry["levels"]) for entry in ours["sizes"]] == [("s", 2), ("m", 1)]
    by_pair = {(entry["policy"], entry["over"]): entry["estimate"] for entry in first["improvement"]}
    assert by_pair["ours", "a|b"] == pytest.approx((1 + 0.25 + 0.75) / 3)
    assert by_pair["a|b", "ours"] == pytest.approx(1 - by_pair["ours", "a|b"])
    shares = {entry["share"]: entry["estimate"] for entry in ours["worst"]["shares"]}
    assert shares[1.0] == pytest.approx(rates.mean()) and shares[0.01] == pytest.approx(0.25)
    assert "worst" not in second["policies"][0]
    assert [policy["allow_holdout"] for policy in document["policies"]] == [True, False]
    assert first["levels"][0]["hash"] == told.hashes[0] and first["skipped"][0]["file"] == "bad.json"


def test_the_same_evaluations_give_the_same_document_and_the_hash_knows_no_order(document, told):
    permuted = dataclasses.replace(told, levels=told.levels[np.array([2, 0, 1])])
    scores = {"ours": made_up([[1, 1], [1, 0], [0, 0]])}
    one, same, other = (as_json(s, scores, env=ENV, seed=0, greedy=True)["suites"][0] for s in (told, told, permuted))
    assert one == same and one["hash"] == other["hash"]
    fewer = as_json(told_part(told), {"ours": made_up([[1, 1]])}, env=ENV, seed=0, greedy=True)["suites"][0]
    assert fewer["hash"] != one["hash"]
    assert fewer["policies"][0]["mean"]["interval"] == list(wilson(1, 1)[1:]), "one level of its kind"


@pytest.mark.parametrize("value", [0, 1])
def test_scores_that_are_all_alike_are_not_taken_for_certain(suite, value):
    alike = [made_up([[value] * 4] * 3), made_up([[value] * 4] * 3)]
    (ours,) = as_json(suite, {"ours": alike}, env=ENV, seed=0, greedy=True)["suites"][0]["policies"]
    assert ours["mean"]["interval"] == list(wilson(3 * value, 3)[1:]), "each level counts once, however often played"
    by_family = {entry["family"]: entry["interval"] for entry in ours["families"]}
    assert by_family == {"s": list(wilson(2 * value, 2)[1:]), "m": list(wilson(value, 1)[1:])}
    assert ours["interquartile_mean"] == {"estimate": value, "low": value, "high": value}


def told_part(suite: Suite) -> Suite:
    return Suite(suite.levels[:1], suite.names[:1], suite.folders[:1], suite.source)


def test_what_cannot_stand_in_one_report_is_refused(suite):
    scores = {"a": made_up([[1, 1]] * 3), "b": made_up([[1]] * 3)}
    with pytest.raises(ValueError, match="number of attempts"):
        as_json(suite, scores, env=ENV, seed=0, greedy=False)
    parts = [Played(suite, {name: made_up([[1]] * 3)}) for name in "ab"]
    with pytest.raises(ValueError, match="same policies"):
        results(parts, env=ENV, seed=0, greedy=False)


def test_markdown_has_every_table_and_says_where_it_is_from(document):
    text = format_markdown(document)
    assert "a\\|b" in text and "bad.json: no level" in text and "training was allowed to use holdout levels" in text
    assert "200 learning, 40 scoring" in text and "3, 4" in text and "150" in text
    assert text.count("### Levels") == 2 and "x/s/car" in text and "75% [30, 95]" in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(columns) == 1, table


def test_names_of_levels_policies_and_suites_reach_every_form_as_text(suite, tmp_path):
    names = ["<x-name>x</x-name>", "$\\frac$ $", "a\nb|c"]
    told = {"family": "<x-family>", "title": "<x-title>", "description": "<x-task>", "solved_by": ["<x-by>"]}
    skipped = (LevelError("<x-file>.json", None, "<x-problem>", "mend it"),)
    nasty = Suite(suite.levels, tuple(names), ("<x-folder>",) * 3, "<x-source>", (), (told,) * 3, skipped)
    scores = {name: made_up([[1, 1], [1, 0], [0, 0]]) for name in names}
    found = results([Played(nasty, scores, scores, name) for name in names], env=ENV, seed=0, greedy=False)
    text, page = format_markdown(found), format_html(found)
    assert "<" not in text and text.count("\n## ") == len(names) + 1
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1, table
    reader = Reader()
    reader.feed(page)
    assert not reader.open and not [tag for tag in reader.tags if tag.startswith("x-")]
    for word in ("name", "family", "title", "task", "by", "file", "problem", "folder", "source"):
        assert f"&lt;x-{word}&gt;" in page, word
    write_plot(tmp_path / "plot.png", found)
    assert (tmp_path / "plot.png").stat().st_size > 5000


class Reader(html.parser.HTMLParser):
    """Counts tags, keeps what they refer to, and finds ends without beginnings."""

    VOID = {"meta", "img", "input", "line", "circle", "polyline", "polygon"}

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.images, self.links = [], [], [], []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append(tag)
        self.images += [given["src"]] if tag == "img" else []
        self.links += [given[name] for name in ("href", "src") if name in given]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag in self.VOID or self.open.pop() == tag


def test_the_page_needs_nothing_else_and_escapes_what_levels_say(document, levels):
    images = thumbnails(levels, pixels=32)
    page = format_html(document, [images, images])
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert not reader.open and reader.tags.count("script") == 1 and reader.tags.count("style") == 1
    assert reader.images == images * 2 and all(image.startswith("data:image/png;base64,") for image in images)
    assert (
        all(link.startswith(("data:", "#")) for link in reader.links) and "http" not in page and "@import" not in page
    )
    assert "A &lt;b&gt;car&lt;/b&gt;" in page and "<b>car" not in page
    assert reader.tags.count("svg") == 3 + 1 + 3 and "bad.json" in page and "solved by random" in page
    assert "Training was allowed to use holdout levels: ours." in page
    assert "<img" not in format_html(document)


def test_the_commit_is_that_of_the_checkout(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.run(
            ["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    assert provenance._checkout(tmp_path) is None
    git("init", "-q")
    assert provenance._checkout(tmp_path) is None, "nothing is committed"
    (tmp_path / "code.py").write_text("1")
    git("add", "."), git("commit", "-qm", "first")
    head = git("rev-parse", "HEAD").strip()
    assert provenance._checkout(tmp_path) == head
    (tmp_path / "code.py").write_text("2")
    assert provenance._checkout(tmp_path) == head + "+changes"
