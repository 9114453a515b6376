"""Where results may go: nothing is replaced unasked, and what cannot be written is refused before any work is done."""

import os
from pathlib import Path

import numpy as np
import pytest

from kinetix_ued.benchmarks.proofs import Proof, save_proof
from kinetix_ued.benchmarks.report import write_text
from kinetix_ued.cli import main
from kinetix_ued.commands import evaluate, replay, solve
from kinetix_ued.commands.levels import common, sample, show
from kinetix_ued.levels import builder, save_level
from kinetix_ued.viewer import save_sheet
from kinetix_ued.world import empty_level
from kinetix_ued.writable import TakenError, refuse_existing, refuse_unwritable, refuse_unwritable_folder, taken


@pytest.fixture
def level_file(tmp_path) -> Path:
    level, _ = builder.add_circle(empty_level("s"), (2.0, 2.0), 0.3, role="green")
    save_level(level, tmp_path / "levels" / "a.json")
    return tmp_path / "levels" / "a.json"


def test_a_dangling_link_has_its_name(tmp_path):
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "nowhere.json")
    assert taken(link) and not link.exists()
    for kind in (FileExistsError, ValueError, TakenError):
        with pytest.raises(kind, match="link.json exists already: .*--overwrite"):
            refuse_existing(link, overwrite=False)
    refuse_existing(link, overwrite=True)
    refuse_existing(tmp_path / "nowhere.json", overwrite=False)


def test_every_writer_leaves_a_dangling_link_alone(tmp_path):
    level = empty_level("s")
    proof = Proof("0" * 16, 1, np.zeros((1, 6), np.int8))
    batch = type(level)(size=level.size, **{n: np.asarray(getattr(level, n))[None] for n in vars(level) if n != "size"})
    writers = {
        "a.json": lambda path, **over: save_level(level, path, **over),
        "p.json": lambda path, **over: save_proof(proof, path, **over),
        "s.png": lambda path, **over: save_sheet(path, batch, ["a"], pixels=25, **over),
        "t.md": lambda path, **over: write_text(path, "text", **over),
    }
    for name, write in writers.items():
        link = tmp_path / name
        link.symlink_to(tmp_path / "nowhere")
        with pytest.raises(TakenError, match=name):
            write(link)
        assert link.is_symlink() and not (tmp_path / "nowhere").exists()
        write(link, overwrite=True)
        assert link.is_file() and not link.is_symlink() and not (tmp_path / "nowhere").exists()


def test_what_cannot_be_written_is_known_before(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    cases = {
        tmp_path: "is a folder",
        tmp_path / "file" / "deep" / "a.json": "file is a file: name a folder",
        tmp_path / "dangling" / "a.json": "dangling is a link to nothing",
        tmp_path / "pipe": "no regular file",
        tmp_path / ("a" * 250): "cannot be written",
        tmp_path / ("a" * 300) / "a.json": "cannot be written",
        "/proc/kinetix/a.json": "cannot be written",
        "a\0b": "not a path|null",
    }
    for path, problem in cases.items():
        with pytest.raises((ValueError, OSError), match=problem):
            refuse_unwritable(path, overwrite=True)
    for folder in (tmp_path / "file", tmp_path / "dangling", "/proc/kinetix"):
        with pytest.raises((ValueError, OSError)):
            refuse_unwritable_folder(folder)
    before = sorted(tmp_path.iterdir())
    refuse_unwritable(tmp_path / "new" / "deep" / "a.json")
    refuse_unwritable(tmp_path / "file", overwrite=True)
    refuse_unwritable_folder(tmp_path / "new" / "folder")
    assert sorted(tmp_path.iterdir()) == before and (tmp_path / "file").read_text() == "x"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_known_before(tmp_path):
    (tmp_path / "mine").mkdir(mode=0o555)
    with pytest.raises(OSError, match="cannot be written"):
        refuse_unwritable_folder(tmp_path / "mine" / "new")


def test_commands_refuse_an_unwritable_output_before_the_work(tmp_path, level_file, monkeypatch, capsys):
    def work(*arguments, **options):
        raise AssertionError("the work began")

    for module, names in {
        common: ("sample",), sample: ("sample",), show: ("sample",),
        solve: ("sample", "solve"), replay: ("read_actions",), evaluate: ("score",),
    }.items():  # fmt: skip
        for name in names:
            monkeypatch.setattr(module, name, work)
    monkeypatch.setattr("kinetix_ued.benchmarks.report.read_results", work)
    monkeypatch.setattr("kinetix_ued.benchmarks.trained_methods", work)
    monkeypatch.setattr("kinetix_ued.benchmarks.methods.load_methods", work)
    (tmp_path / "file").write_text("x")
    os.symlink(tmp_path / "nowhere", tmp_path / "dangling")
    actions = tmp_path / "actions.npy"
    np.save(actions, np.zeros((3, 6), np.int8))
    for bad in (tmp_path / "file", tmp_path / "dangling", Path("/proc/kinetix")):
        inside = str(bad / "a.json")
        for words in (
            ["levels", "sample", "--out", bad],
            ["levels", "show", "random", "--out", bad / "a.png"],
            ["levels", "convert", level_file, "--out", inside],
            ["replay", level_file, "--actions", actions, "--out", bad / "a.npz"],
            ["solve", "--generator", "random", "--out", bad],
            ["solve", level_file, "--json", inside],
            ["compare", "--out", bad],
            ["leaderboard", "results.json", "--into", inside],
            *(["eval", "random", f"--{form}", inside] for form in ("json", "markdown", "html", "plot")),
        ):
            assert main(list(map(str, words))) == 2, words
            told = capsys.readouterr().err
            assert told.count("\n") == 1 and str(bad) in told, told


def test_levels_convert_leaves_a_dangling_link_alone(tmp_path, level_file, capsys):
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "nowhere.json")
    assert main(["levels", "convert", str(level_file), "--out", str(link)]) == 2
    assert "link.json exists already" in capsys.readouterr().err and link.is_symlink() and not link.exists()
    assert main(["levels", "convert", str(level_file), "--out", str(link), "--overwrite"]) == 0
    assert link.is_file() and not (tmp_path / "nowhere.json").exists()
