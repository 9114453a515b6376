"""``kinetix-ued levels``: sampling, drawing, counting and checking, as a user types them; and the benchmarks of levels."""

import json

import numpy as np
import pytest
from PIL import Image

from kinetix_ued.cli import main
from kinetix_ued.levels import builder, hash_text, load_level, load_levels, save_level
from kinetix_ued.world import empty_level


@pytest.fixture
def run(capsys):
    """Run a command that succeeds; what it printed."""

    def call(*arguments) -> str:
        status = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert status == 0, err
        return out

    return call


@pytest.fixture
def refused(capsys):
    """Run a command that is refused; its one line."""

    def call(*arguments) -> str:
        assert main([str(argument) for argument in arguments]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        return err

    return call


def test_sampling_another_generator_with_filters_and_a_picture(tmp_path, run, refused):
    out = tmp_path / "levels"
    sample = ("levels", "sample", "--generator", "sparse", "--size", "m", "-n", 3, "--out", out)
    text = run(*sample, "--filter", "overlapping", "--filter", "uncontrollable")
    assert text.startswith("6 levels drawn, ") and "overlapping" in text and "3 levels written" in text
    names, levels = load_levels(out)
    assert [name.rpartition("/")[2] for name in names] == [f"sparse-m-0-{i:04d}" for i in range(3)]
    width, height = Image.open(out / "sheet.png").size
    assert width >= 500 and height >= 500
    assert "--overwrite" in refused(*sample)
    assert "unknown generator" in refused("levels", "sample", "--generator", "spares", "--out", tmp_path / "x")
    assert "unknown filter" in refused("levels", "sample", "--filter", "dull", "--out", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_levels_are_drawn_from_files_and_generators(tmp_path, run, refused):
    level, _ = builder.add_circle(empty_level("s"), (2.5, 2.5), 1.0, role="green")
    for size, name in (("s", "a.json"), ("l", "b.json")):
        save_level(level if size == "s" else empty_level("l"), tmp_path / name)
    run("levels", "show", tmp_path, "--pixels", 100, "--columns", 2, "--out", tmp_path / "files.png")
    picture = np.asarray(Image.open(tmp_path / "files.png").convert("RGB")).astype(int)
    green = (np.abs(picture - [0, 204, 0]).sum(axis=2) < 30).mean() * picture[..., 0].size
    assert 0.8 < green / (np.pi * 20**2) < 1.05  # a disc of 1 m in 100 pixels for 5 m, drawn once
    run("levels", "show", "random", "-n", 2, "--pixels", 50, "--out", tmp_path / "random.png")
    assert "--overwrite" in refused("levels", "show", "random", "--out", tmp_path / "random.png")
    assert "ends in .png" in refused("levels", "show", "random", "--out", tmp_path / "random.gif")
    assert "neither a file nor a folder nor a generator" in refused("levels", "show", "rand", "--out", tmp_path / "x.png")


def test_stats_name_what_levels_hold_and_which_are_the_same(tmp_path, run):
    level, body = builder.add_circle(empty_level("s"), (2.0, 2.0), 0.3, role="green")
    save_level(level, tmp_path / "a.json")
    save_level(level, tmp_path / "b.json", format="kinetix")
    text = run("levels", "stats", tmp_path)
    assert text.count(hash_text(load_level(tmp_path / "a.json"))) == 2
    assert "shapes" in text and "circles" in text


def test_check_tells_odd_levels_from_bad_ones(tmp_path, run, capsys):
    level, _ = builder.add_circle(empty_level("s"), (2.0, 2.0), 0.3, role="green")
    save_level(level, tmp_path / "odd.json")
    text = run("levels", "check", tmp_path / "odd.json")
    assert text.startswith("odd ") and "0 blue bodies" in text and "1 of 1 files are levels" in text
    assert main(["levels", "check", "--strict", str(tmp_path / "odd.json")]) == 1
    assert capsys.readouterr().out.startswith("bad ")


def test_benchmarks_of_levels_print_json(run):
    found = json.loads(run("bench", "validity", "-n", 64, "--sizes", "s", "--edits", 2, "--json"))
    assert "versions" in found
    small = ("--repeats", 1, "--min-seconds", 0, "--batch", 8, "--json")
    found = json.loads(run("bench", "generators", "--generator", "random", "--edits", 1, *small))
    assert [result["what"] for result in found["results"]] == ["random levels", "1 edits"]
    found = json.loads(run("bench", "render", "--pixels", 25, *small))
    assert all(side["median"] > 0 for result in found["results"] for side in result["sides"])


def test_bad_files_are_all_named_or_left_out(tmp_path, run, refused, capsys):
    level, _ = builder.add_circle(empty_level("s"), (2.0, 2.0), 0.3, role="green")
    folder = tmp_path / "levels"
    save_level(level, folder / "good.json")
    bad = [f"bad{i}" for i in range(12)]
    for name in bad:
        (folder / f"{name}.json").write_text('{"format": 3}')
    for words in (
        ("stats", folder),
        ("show", folder, "--pixels", 30, "--out", tmp_path / "a.png"),
        ("convert", folder, "--out", tmp_path / "new"),
    ):
        told = refused("levels", *words)
        assert all(f"{name}.json" in told for name in bad) and "--skip-bad" in told, told
        assert main([str(word) for word in ("levels", *words, "--skip-bad")]) == 0
        out, err = capsys.readouterr()
        assert [f"left out: {folder / name}.json: " in err for name in bad] == [True] * 12
        assert err.count("\n") == 12 and "bad11" not in out
    assert 30 <= Image.open(tmp_path / "a.png").width < 60  # one level of 30 pixels and its frame
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["good.json"]
    with pytest.raises(ValueError, match="bad0.json: .*bad9.json cannot be used either.*skip_bad=True"):
        load_levels(folder)
    assert [name.rpartition("/")[2] for name in load_levels(folder, skip_bad=True)[0]] == ["good"]
    (folder / "good.json").unlink()
    assert "bad9.json cannot be used either" in refused("levels", "stats", folder, "--skip-bad")


def test_files_that_differ_in_their_ending_alone_are_two_levels(tmp_path):
    for name in ("a", "a.json"):
        save_level(empty_level("s"), tmp_path / name)
    names, levels = load_levels([tmp_path / "a", tmp_path / "a.json"])
    assert [name.rpartition("/")[2] for name in names] == ["a", "a.json"] and len(levels) == 2
