"""Comparisons: a tiny one end to end, continued where it stopped; and what they refuse."""

import json
from pathlib import Path

import numpy as np
import pytest

from kinetix_ued.benchmarks import ComparisonSettings, compare, format_comparison
from kinetix_ued.cli import main

LEVELS = Path(__file__).parent / "data" / "random" / "s"

SMALL = {"steps": 8 * 16 * 2, "progress": False}


def settings(path, **changes):
    base = {"methods": ("dr", "robust-plr"), "seeds": 2, "preset": "tiny", "changes": SMALL, "attempts": 2}
    base |= {"suites": ("random-s:6", str(LEVELS))}
    return ComparisonSettings(out=str(path), **(base | changes))


def test_a_comparison_is_trained_once_and_summed_up(tmp_path):
    told = []
    measured = compare(settings(tmp_path / "c"), say=told.append)
    assert told == ["dr, seed 0", "robust-plr, seed 0", "dr, seed 1", "robust-plr, seed 1"]
    assert list(measured["suites"]) == ["random-s:6", str(LEVELS)]
    name, suite = next(iter(measured["suites"].items()))
    assert len(suite["levels"]) == 6
    for method in ("dr", "robust-plr"):
        found = suite["methods"][method]
        rates = np.array(found["solve_rates"])
        assert rates.shape == (2, 6) and set(np.unique(rates)) <= {0, 0.5, 1}
        assert found["mean"]["estimate"] == pytest.approx(rates.mean())
        assert found["mean"]["low"] <= rates.mean() <= found["mean"]["high"]
        assert measured["methods"][method]["steps"]["learning"] == SMALL["steps"]
    assert suite["methods"]["dr"]["improvement"] == 0.5
    text = format_comparison(measured)
    assert "| robust-plr | " in text and "256 learning steps a run, 2 seeds" in text

    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "c").rglob("*.npz")}
    again = compare(settings(tmp_path / "c", seeds=1))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "c").rglob("*.npz")} == stamps
    first = lambda found: found["suites"][name]["methods"]["dr"]["solve_rates"][0]
    assert first(again) == first(measured)


def test_the_command_writes_tables_and_a_plot(tmp_path, capsys):
    out = tmp_path / "c"
    arguments = ["compare", "--methods", "dr", "--seeds", "1", "--preset", "tiny", "--suite", "random-s:4", "--attempts", "1"]
    changes = [text for name, value in SMALL.items() for text in ("--set", f"{name}={value}")]
    assert main([*arguments, *changes, "--out", str(out)]) == 0
    assert capsys.readouterr().out == (out / "comparison.md").read_text()
    assert json.loads((out / "comparison.json").read_text())["settings"]["changes"] == SMALL
    assert (out / "comparison.png").stat().st_size > 5000
    for wrong, words in (
        (["--methods", "dreaming"], "unknown method 'dreaming'"),
        (["--methods", "dr", "dr"], "named twice"),
        (["--set", "speed=3"], "a field of the configuration"),
        (["--set", "steps=many"], "steps is of type int"),
        (["--preset", "slow"], "unknown preset"),
        (["--suite", "random-m"], "size 's' holds too little for random-m/0000 (m)"),
    ):
        assert main([*arguments, *wrong, "--out", str(tmp_path / "x")]) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
