"""Suites: by name, of files good and bad, joined; and what the levels of the holdout suite say of themselves."""

import json
import re
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from kinetix_ued.benchmarks import holdout, suite_levels
from kinetix_ued.benchmarks.published import published_levels
from kinetix_ued.benchmarks.suite import (
    SUITES,
    Suite,
    holdout_suite,
    join_suites,
    load_suite,
    named_suite,
    published_suite,
    random_suite,
)
from kinetix_ued.levels import (
    BASELINES,
    DIFFICULTIES,
    FAMILIES,
    LevelError,
    faults_of,
    hash_text,
    load_level,
    load_metadata,
    save_level,
)
from kinetix_ued.world import SIZES

DATA = Path(__file__).parent / "data" / "random"
ABOUT = {
    "title": "Over the hill",
    "description": "Drive the car to the ball.",
    "family": "vehicles",
    "difficulty": "hard",
    "why": "The hill is steep.",
    "tags": ["car", "own"],
    "solved_by": ["random"],
}


def file_of(size: str, number: int = 0) -> Path:
    return sorted((DATA / size).glob("*.json"))[number]


@pytest.fixture
def folder(tmp_path) -> Path:
    """Levels of every size; the first says what it is."""
    save_level(load_level(file_of("m")), tmp_path / "mine" / "a.json", metadata=ABOUT)
    for name, size in (("b", "s"), ("c", "l")):
        shutil.copy(file_of(size), tmp_path / "mine" / f"{name}.json")
    return tmp_path / "mine"


def test_metadata_is_kept_and_checked(tmp_path):
    path = tmp_path / "a.json"
    save_level(load_level(file_of("s")), path, metadata=ABOUT)
    assert load_metadata(path) == ABOUT
    document = json.loads(path.read_text())
    for field, value, wrong in (
        ("family", "cars", r"family: one of 'flight', .* expected, found 'cars'"),
        ("difficulty", 3, r"difficulty: one of 'easy', 'medium', 'hard' expected, found 3"),
        ("why", None, r"why: a text expected"),
        ("tags", "car", r"tags: an array expected"),
        ("solved_by", ["noop", "me"], r"solved_by\[1\]: one of 'noop', 'random' expected, found 'me'"),
    ):
        bad = tmp_path / "bad.json"
        bad.write_text(json.dumps(document | {field: value}))
        for load in (load_level, load_metadata):
            with pytest.raises(LevelError, match=wrong) as e:
                load(bad)
            assert e.value.file == str(bad)


def test_levels_of_several_sizes_are_one_batch_that_knows_them_apart(folder):
    suite = load_suite([folder])
    assert (suite.names, suite.folders) == (("a", "b", "c"), ("mine",) * 3)
    assert suite.sizes == ("m", "s", "l") and suite.levels.size.name == "l"
    assert suite.metadata == (ABOUT, {}, {}) and suite.families == ("vehicles", "", "")
    assert suite.hashes == tuple(hash_text(load_level(file_of(size))) for size in suite.sizes)
    assert suite.resized(SIZES["l"]).hashes == suite.hashes and suite.skipped == ()
    with pytest.raises(ValueError, match=r"size 's' holds too little for mine/a \(m\), mine/c \(l\): use 'l'"):
        suite.resized(SIZES["s"])
    with pytest.raises(ValueError, match="3 levels, 2 names, 3 folders, 3 sizes, 3 metadata"):
        Suite(suite.levels, ("a", "b"), suite.folders, "")


def test_a_bad_file_is_named_and_skipped_only_when_asked(folder):
    (folder / "broken.json").write_text('{"format": "kinetix-ued level", "version": 9}')
    with pytest.raises(LevelError, match=r"broken\.json: version: version 9 is not known.*skip_bad=True, --skip-bad"):
        load_suite([folder])
    (folder / "deep").mkdir()
    (folder / "deep" / "empty.json").write_text("")
    with pytest.raises(LevelError, match=r"broken\.json: .*\(and .*empty\.json cannot be used either\): "):
        load_suite([folder])
    suite = named_suite(str(folder), skip_bad=True)
    assert suite.names == ("a", "b", "c") and len(suite.levels) == 3
    assert [Path(error.file).name for error in suite.skipped] == ["broken.json", "empty.json"]
    assert join_suites([suite, suite]).skipped == suite.skipped * 2

    with pytest.raises(LevelError, match="there is no such file"):  # a misspelt path is no bad file
        load_suite([folder, folder / "d.json"], skip_bad=True)
    with pytest.raises(LevelError, match="the file is empty") as e:
        load_suite([folder / "deep"], skip_bad=True)
    assert "skip" not in str(e.value)
    (folder / "nothing").mkdir()
    with pytest.raises(LevelError, match=r"nothing: no \*.json file in this folder"):
        load_suite([folder, folder / "nothing"], skip_bad=True)


def test_suites_are_joined_and_levels_that_are_there_twice_count_once(folder):
    whole, part = load_suite([folder]), load_suite([folder / "a.json", folder / "b.json"])
    joined = join_suites([part, whole])
    assert part.levels.size.name == "m" and joined.levels.size.name == "l"
    assert joined.names == ("a", "b", "c") and joined.sizes == ("m", "s", "l") and joined.metadata[0] == ABOUT
    assert joined.hashes == whole.hashes
    other = Suite(whole.levels[1:2], ("a",), ("mine",), "another level of this name")
    assert join_suites([part, other]).names == ("a", "b", "a")
    with pytest.raises(ValueError, match="no suite to join"):
        named_suite([])


def test_names_are_understood(folder, monkeypatch):
    asked = []

    def heldout(size, n, *, seed):
        asked.append((str(size), n, seed))
        return jax.tree.map(lambda x: np.broadcast_to(x, (n, *x.shape)), load_level(file_of(size)))

    monkeypatch.setattr(suite_levels, "heldout_random", heldout)
    usual = suite_levels.HELDOUT_SEED
    for name, size, n, seed in (
        ("random-s", "s", 256, usual),
        ("random-m:3", "m", 3, usual),
        ("random-l:2:7", "l", 2, 7),
        (f"random-l:2:{usual}", "l", 2, usual),
    ):
        suite = named_suite(name)
        assert asked.pop() == (size, n, seed) and len(suite.levels) == n
        assert set(suite.folders) == {name.removesuffix(f":{usual}")}, "a folder is called as its levels are asked for"
        assert len(set(suite.names)) == n
    assert random_suite("s", 20000).names[-1] == "19999"
    both = named_suite(["random-s:2:1", str(folder), "random-s:2:1", str(folder / "a.json")])
    assert both.folders == ("random-s:2:1",) * 2 + ("mine",) * 3


def test_names_that_are_none_are_refused_with_those_that_exist(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"unknown suite 'holdot' \(did you mean 'holdout'\?\): use one of ") as e:
        named_suite(["random-s:8", "holdot"])
    assert all(name in str(e.value) for name in SUITES) and "paths" in str(e.value)
    with pytest.raises(ValueError, match="unknown suite 'zzz': use one of"):
        named_suite("zzz")
    with pytest.raises(ValueError, match="unknown suite 'holdout-s:5'"):
        named_suite("holdout-s:5")
    for bad in ("random-s:", "random-s:many", "random-s:-1", "random-s:4:5:6"):
        with pytest.raises(ValueError, match=f"{bad}: write random-s:N for N levels"):
            named_suite(bad)
    for bad in ("random-s:0", f"random-s:4:{2**32}"):
        with pytest.raises(ValueError, match="at least 1, and a seed less than"):
            named_suite(bad)
    with pytest.raises(LevelError, match="there is no such file"):
        named_suite("levels/car.json")
    for kind, build in (("holdout", holdout_suite), ("published", published_suite)):
        with pytest.raises(ValueError, match=f"the {kind} suite has no size 'xl': use one of s, m, l"):
            build("xl")


def test_a_folder_called_like_a_suite_is_meant_by_its_path(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    folder.rename("random-s")
    assert named_suite("./random-s").names == ("a", "b", "c")
    Path("random-s").rename("random-walks")
    assert named_suite("random-walks").names == ("a", "b", "c")


def test_every_holdout_level_says_what_it_is_and_keeps_the_rules():
    titles: dict[str, str] = {}
    hashes = {about.hash: f"kinetix/{name}" for name, about in published_levels().items()}
    for name in holdout.holdout_names():
        file = holdout.level_file(name)
        level, about, size = load_level(file), load_metadata(file), name.partition("/")[0]
        assert re.fullmatch("[a-z][a-z0-9]*(_[a-z0-9]+)*", file.stem), name
        assert level.size == SIZES[size], f"{name} has size {level.size.name}"
        assert faults_of(level) == [], name
        missing = [key for key in ("title", "description", "family", "difficulty", "why", "tags") if not about.get(key)]
        assert not missing, f"{name} lacks {missing}"
        assert about["family"] in FAMILIES and about["difficulty"] in DIFFICULTIES, name
        assert set(about.get("solved_by", ())) <= set(BASELINES), name
        for key in ("description", "why"):
            assert about[key][0].isupper() and about[key].endswith("."), f"{name}: {key} is a sentence"
        assert len(set(about["tags"])) == len(about["tags"]), name
        for seen, value in ((titles, about["title"]), (hashes, hash_text(level))):
            assert seen.setdefault(value, name) == name, f"{name} has the title or content of {seen[value]}"


def test_every_holdout_level_has_a_proof_and_every_proof_a_level():
    names = holdout.holdout_names()
    proofs = [file.relative_to(holdout.FOLDER / "proofs") for file in (holdout.FOLDER / "proofs").rglob("*.json")]
    assert sorted(file.with_suffix("").as_posix() for file in proofs) == sorted(names)
    for name in names:
        proof = json.loads(holdout.proof_file(name).read_text(encoding="utf-8"))
        assert proof["level"] == hash_text(load_level(holdout.level_file(name))), (
            f"{name} has changed since it was proven"
        )
    stray = [file for file in (holdout.FOLDER / "levels").rglob("*.json") if file.parent.name not in SIZES]
    assert not stray


def test_the_holdout_suite_has_all_its_levels_by_size():
    names = holdout.holdout_names()
    for size in (None, *SIZES):
        wanted = [name for name in names if size in (None, name.partition("/")[0])]
        if not wanted:
            with pytest.raises(ValueError, match="no holdout levels in .*install kinetix-ued again"):
                named_suite("holdout" if size is None else f"holdout-{size}")
            continue
        suite = named_suite("holdout" if size is None else f"holdout-{size}")
        assert suite.levels.size.name == (size or max((name[0] for name in wanted), key=list(SIZES).index))
        assert [f"{f}/{n}" for f, n in zip(suite.folders, suite.names)] == [f"holdout/{name}" for name in wanted]
        assert suite.sizes == tuple(name[0] for name in wanted)
