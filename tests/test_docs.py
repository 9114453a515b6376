"""The documentation's examples, run as they are printed."""

import re
import runpy
from pathlib import Path

import pytest

from kinetix_ued.cli import main
from kinetix_ued.levels import load_levels
from kinetix_ued.training import Run, preset, train

DOCS = Path(__file__).resolve().parent.parent / "docs"

pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="the tests are run away from the repository")


def blocks(name: str, language: str = "python") -> list[str]:
    """The code blocks of a page, in order."""
    text = (DOCS / name).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_write_a_curriculum(tmp_path, monkeypatch, capsys):
    """The page's curriculum in under 60 lines, trained by its command and by its snippet, with the tiny preset."""
    monkeypatch.chdir(tmp_path)
    whole, snippet = blocks("write-a-curriculum.md")
    assert len(whole.splitlines()) < 60
    Path("frontier.py").write_text(whole, encoding="utf-8")
    (command,) = "".join(blocks("write-a-curriculum.md", "sh")).splitlines()
    small = ["--preset", "tiny-robust-plr", "--eval-levels", "0", "--no-progress", "--max-steps", "16", "--out", "run"]
    assert main([*command.split()[1:], *small]) == 0, capsys.readouterr().err
    run = Run.load("run")
    assert run.config.curriculum_options == {"greed": 0.1} and run.metrics[-1]["curriculum/buffer_size"] > 8

    scope = runpy.run_path("frontier.py")
    exec(snippet.replace('preset("quick", max_steps=64', 'preset("tiny-robust-plr", progress=False, max_steps=16'), scope)
    run = scope["run"]
    assert run.config.curriculum == "custom" and run.counts["learning"] == run.config.steps
    wrong = preset("tiny-robust-plr", curriculum="frontier.py:frontier", options="greedy=1", progress=False)
    with pytest.raises(ValueError, match="has no option 'greedy': it has capacity, memory, greed"):
        train(wrong)


def test_write_a_generator(tmp_path, monkeypatch, capsys):
    """The page's file, its commands and its snippets; training takes the tiny preset in place of the quick one."""
    monkeypatch.chdir(tmp_path)
    whole, *snippets = blocks("write-a-generator.md")
    Path("catapult.py").write_text(whole, encoding="utf-8")
    shell = "".join(blocks("write-a-generator.md", "sh")).splitlines()
    commands = [line.split()[1:] for line in shell if line.startswith("kinetix-ued")]
    assert len(commands) == 4
    for command in commands:
        small = ["--preset", "tiny-robust-plr", "--eval-levels", "0", "--no-progress"] if command[0] == "train" else []
        assert main([*command, *small]) == 0, capsys.readouterr().err
    assert Path("catapults.png").stat().st_size > 10_000 and Path("catapults/sheet.png").exists()
    names, levels = load_levels("catapults")
    assert len(names) == 12
    assert 0 < (levels.role == 3).any(axis=1).sum() < 12  # in some levels a red block is in the way

    scope = runpy.run_path("catapult.py")
    for snippet in snippets:
        exec(snippet.replace('preset("quick", ', 'preset("tiny-robust-plr", progress=False, '), scope)
    run = scope["run"]
    assert run.counts["learning"] == run.config.steps and len(scope["edited"]) == len(scope["moon"]) == 512
    assert len(set(scope["moon"].gravity[:, 1].tolist())) > 10


def test_training_with_a_callback_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (snippet,) = blocks("training.md")
    scope = {}
    exec(snippet.replace('preset("quick", ', 'preset("tiny", progress=False, '), scope)
    run = scope["run"]
    assert run.path == Path("runs/noted") and all(line["entropy_per_step"] > 0 for line in run.metrics)
