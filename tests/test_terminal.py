"""Text that reaches a terminal: what it would obey or cannot show is written as an escape, in one line."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kinetix_ued.cli import main
from kinetix_ued.benchmarks.episode_bar import episode_bar
from kinetix_ued.levels import builder, load_level, save_level
from kinetix_ued.terminal import printable
from kinetix_ued.world import empty_level

DATA = Path(__file__).parent / "data" / "random" / "s"
HOSTILE = "red\x1b[31m\x9b2J\r\nmore\u202e\udcff.json"
SHOWN = r"red\x1b[31m\x9b2J\r\nmore\u202e\udcff"


@pytest.fixture
def folder(tmp_path) -> Path:
    level, _ = builder.add_circle(empty_level("s"), (2.0, 2.0), 0.3, role="green")
    save_level(level, tmp_path / "files" / HOSTILE)
    (tmp_path / "files" / f"bad{HOSTILE}").write_text("{")
    return tmp_path / "files"


def test_only_what_can_be_seen_stays():
    assert printable(HOSTILE).removesuffix(".json") == SHOWN
    assert printable("Grünes Rad, 2 × 3 – 大") == "Grünes Rad, 2 × 3 – 大"
    assert printable(Path("a\tb")) == r"a\tb"
    assert printable(printable(HOSTILE)) == printable(HOSTILE)


@pytest.mark.parametrize(
    "words",
    [
        ["levels", "check", "FOLDER"],
        ["levels", "stats", "FOLDER"],
        ["levels", "stats", "FOLDER", "--skip-bad"],
        ["levels", "show", "FOLDER", "--skip-bad", "--pixels", "30", "--out", "OUT.png"],
        ["levels", "convert", "FOLDER", "--skip-bad", "--out", "OUT"],
        ["levels", "convert", "FOLDER", "--out", f"OUT/{HOSTILE}"],
        ["levels", "sample", "--size", f"s{HOSTILE}", "--out", f"OUT{HOSTILE}"],
        ["levels", "show", HOSTILE, "--out", "OUT.png"],
        ["replay", f"FOLDER/{HOSTILE}", "--actions", HOSTILE],
        ["eval", HOSTILE],
        ["leaderboard", HOSTILE],
        [HOSTILE],
        ["levels", HOSTILE],
        ["train", "--no-such-option", HOSTILE],
    ],
)
def test_names_of_files_reach_no_terminal_raw(words, folder, tmp_path, capsys):
    places = {"FOLDER": str(folder), "OUT": str(tmp_path / "out")}
    for name, place in places.items():
        words = [word.replace(name, place) for word in words]
    try:
        main(words)
    except SystemExit:
        pass
    out, err = capsys.readouterr()
    told = out + err
    assert told and not set(told) & set("\x1b\x9b\r\u202e\udcff")
    assert r"\x1b[31m" in told
    assert len(err.splitlines()) <= 2


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_names_that_the_terminal_cannot_encode_do_not_end_a_listing(encoding, tmp_path):
    names = ["a.json", "大.json", "ž.json", "z.json"]
    for name in names:
        save_level(load_level(DATA / "random_s_003.json"), tmp_path / name)
    code = f"import sys; from kinetix_ued.cli import main; sys.exit(main(['levels', 'check', {str(tmp_path)!r}]))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=os.environ | {"PYTHONIOENCODING": encoding}
    )
    told = run.stdout.decode(encoding).splitlines()
    assert run.returncode == 0, run.stderr.decode(errors="replace")
    listing = [line for line in told if ": size s" in line]
    assert len(listing) == 4 and told[-1] == "4 of 4 files are levels"
    assert any(r"\u5927.json" in line for line in listing)


def test_titles_of_progress_bars_are_escaped(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with episode_bar("evaluating \x1b[31mred") as update:
        update(1, 2)
    assert r"\x1b[31mred" in terminal.getvalue() and "\x1b[31m" not in terminal.getvalue()
