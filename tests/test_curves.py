"""Learning curves: the numbers of metrics.jsonl, and where they are drawn."""

import json

import numpy as np
import pytest
from PIL import Image

from kinetix_ued.benchmarks import curve_plot, curves
from kinetix_ued.benchmarks.curve_plot import write_curves
from kinetix_ued.benchmarks.curves import Curve, mean_and_range, moving_mean, read_curves
from kinetix_ued.cli import main
from kinetix_ued.commands import curves as command
from kinetix_ued.training import preset
from kinetix_ued.training.run import write_config


def write_run(folder, rates, steps=64, seconds=36.0, **more) -> str:
    """A run with these solve rates; None where an update has none."""
    write_config(folder, preset("tiny-robust-plr", out=str(folder), frame_skip=2, max_steps=16, decision_frames=8))
    with open(folder / "metrics.jsonl", "w", encoding="utf-8") as file:
        for i, rate in enumerate(rates):
            line = {"update": i + 1, "steps/learning": steps * (i + 1), "seconds": seconds, "solve_rate": rate}
            line |= {name: values[i] for name, values in more.items() if values[i] is not None}
            file.write(json.dumps(line) + "\n")
    return str(folder)


@pytest.fixture
def runs(tmp_path):
    evaluated = {"evaluation/solve_rate": [None, 0.3, None, 0.5]}
    a = write_run(tmp_path / "a", [0.1, None, 0.3, 0.4], **evaluated)
    b = write_run(tmp_path / "b", [0.2, 0.4, 0.6, 0.8], entropy=[4.0, 3.0, 2.0, 1.0])
    return a, b


def test_curves_are_the_numbers_of_the_runs(runs):
    a, b = runs
    found = read_curves({"mine": [a, b]}, ["solve_rate"])["solve_rate"]["mine"]
    np.testing.assert_array_equal(found[0].x, [64, 192, 256])
    np.testing.assert_array_equal(found[0].y, [0.1, 0.3, 0.4])
    np.testing.assert_array_equal(found[0].points, [[128, 0.3], [256, 0.5]])
    np.testing.assert_array_equal(found[1].y, [0.2, 0.4, 0.6, 0.8])
    assert found[1].points.shape == (0, 2)
    hours = read_curves({"b": [b]}, ["solve_rate"], "hours")["solve_rate"]["b"][0]
    np.testing.assert_allclose(hours.x, [0.01, 0.02, 0.03, 0.04])
    decisions = read_curves({"b": [b]}, ["solve_rate"], "decisions")["solve_rate"]["b"][0]
    np.testing.assert_array_equal(decisions.x, [16, 32, 48, 64]), "every fourth step of two frames"


def test_numbers_that_are_missing_are_told(runs, tmp_path):
    a, b = runs
    with pytest.warns(UserWarning, match="no number entropy in .*a: left out"):
        found = read_curves({"a": [a], "b": [b]}, ["entropy"])["entropy"]
    assert not found["a"] and list(found["b"][0].y) == [4, 3, 2, 1]
    with pytest.raises(
        ValueError, match=r"'solve_rat' \(did you mean 'solve_rate'\?\): they have entropy, evaluation/"
    ):
        read_curves({"a": [a], "b": [b]}, ["solve_rat"])
    with pytest.raises(ValueError, match="unknown axis"):
        read_curves({"a": [a]}, axis="days")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty has no metrics.jsonl"):
        read_curves({"x": [str(tmp_path / "empty")]})
    (tmp_path / "empty" / "metrics.jsonl").touch()
    with pytest.raises(ValueError, match="no numbers yet"):
        read_curves({"x": [str(tmp_path / "empty")]})
    for name in ("random:8", "agent:generalist"):
        with pytest.raises(ValueError, match=f"{name} is no training run"):
            read_curves({"x": [name]})


def test_the_moving_mean_is_over_a_share_of_the_curve():
    values = np.array([4.0, 0.0, 2.0, 6.0, 8.0, 1e300])
    np.testing.assert_array_equal(moving_mean(values, 0), values)
    np.testing.assert_allclose(moving_mean(values, 0.5)[:5], [2, 2, 8 / 3, 16 / 3, 1e300 / 3], rtol=1e-12)
    np.testing.assert_allclose(moving_mean(values[:5], 1), [2, 3, 4, 4, 16 / 3], rtol=1e-12)
    with pytest.raises(ValueError, match="from 0 to 1"):
        moving_mean(values, 1.5)


def test_runs_of_a_method_are_taken_together_where_all_have_updates():
    nothing = np.zeros((0, 2))
    first = Curve(np.array([1.0, 3.0, 5.0]), np.array([0.0, 2.0, 4.0]), nothing)
    second = Curve(np.array([2.0, 4.0, 6.0]), np.array([10.0, 10.0, 10.0]), nothing)
    x, mean, low, high = mean_and_range([first, second])
    np.testing.assert_array_equal(x, [2, 3, 4, 5])
    np.testing.assert_array_equal(low, [1, 2, 3, 4])
    np.testing.assert_array_equal(high, [10] * 4)
    np.testing.assert_array_equal(mean, [5.5, 6, 6.5, 7])


def test_what_is_drawn_is_what_was_read(runs, tmp_path, monkeypatch):
    """The lines, areas and dots that matplotlib gets, and the file that it writes."""
    a, b = runs
    panels = []
    original = curve_plot._panel
    monkeypatch.setattr(curve_plot, "_panel", lambda panel, *rest: (original(panel, *rest), panels.append(panel)))
    found = read_curves({"both": [a, b], "b$x$": [b]}, ["solve_rate", "steps/learning"])
    write_curves(tmp_path / "c.png", found, "steps", smoothing=0)
    rates = panels[0]
    together, alone = rates.get_lines()
    np.testing.assert_array_equal(together.get_xdata(), [64, 128, 192, 256])
    np.testing.assert_allclose(together.get_ydata(), [0.15, 0.3, 0.45, 0.6], atol=1e-12)
    np.testing.assert_array_equal(alone.get_xydata(), [[64, 0.2], [128, 0.4], [192, 0.6], [256, 0.8]])
    assert [line.get_label() for line in rates.get_lines()] == ["both", "b$x$"]
    area, dots = rates.collections
    corners = area.get_paths()[0].vertices
    assert corners[:, 1].min() == pytest.approx(0.1) and corners[:, 1].max() == pytest.approx(0.8)
    np.testing.assert_array_equal(dots.get_offsets(), [[128, 0.3], [256, 0.5]])
    assert {panel.get_xlim() for panel in panels} == {panels[1].get_xlim()}, "one scale"
    with Image.open(tmp_path / "c.png") as image:
        assert image.format == "PNG"

    write_curves(tmp_path / "each.png", found, "steps", smoothing=1, each=True)
    one, other, _ = panels[2].get_lines()
    np.testing.assert_array_equal(one.get_ydata(), moving_mean(np.array([0.1, 0.3, 0.4]), 1))
    np.testing.assert_array_equal(other.get_ydata(), moving_mean(np.array([0.2, 0.4, 0.6, 0.8]), 1))
    with pytest.raises(ValueError, match="overwrite"):
        write_curves(tmp_path / "c.png", found, "steps")


def test_the_command_draws_methods_and_refuses_what_it_cannot(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["curves", "both=a,b", "b", "--out", "c.png", "--x", "hours", "--y", "solve_rate"]) == 0
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    for arguments, complaint in (
        (["a", "--out", "c.png", "--y", "solve_rate"], "--overwrite"),
        (["a", "--out", "c.pdf", "--y", "solve_rate"], "ends in .png"),
        (["a", "--out", "d.png"], "'return'"),
        (["a", "--out", "d.png", "--y", "solve_rate", "--smooth", "2"], "from 0 to 1"),
        (["nowhere", "--out", "d.png"], "nowhere is no folder"),
        (["noop", "--out", "d.png"], "no training run"),
    ):
        capsys.readouterr()
        assert main(["curves", *arguments]) == 2
        said = capsys.readouterr().err
        assert complaint in said and len(said.splitlines()) == 1
    assert not (tmp_path / "d.png").exists()


def test_the_commands_help_knows_the_librarys_defaults():
    assert (command.AXES, command.USUAL, command.SMOOTHING) == (curves.AXES, curves.USUAL, curve_plot.SMOOTHING)
