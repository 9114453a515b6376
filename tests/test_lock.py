"""A run is trained by one process at a time; the lock of a process that died blocks nobody."""

import contextlib
import errno
import subprocess
import sys
from pathlib import Path

import filelock
import pytest

from kinetix_ued.cli import main
from kinetix_ued.training import checkpoint, loop, preset
from kinetix_ued.training.lock import HOLDER, RunInUse, locked
from kinetix_ued.training.run import write_config

HOLD = """
import sys
from pathlib import Path
from kinetix_ued.training.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path):
    """A run that was begun, with two lines of numbers, and no checkpoint yet."""
    path = tmp_path / "run"
    write_config(path, preset("tiny", out=str(path)))
    (path / "metrics.jsonl").write_text('{"update": 1}\n{"update": 2}\n')
    return path


def test_the_second_is_refused_in_one_line_that_names_the_first(run, capsys):
    before = {path: path.read_bytes() for path in run.iterdir()}
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert first.stdout.readline() == "held\n"
        for _ in range(2):
            assert main(["train", "--resume", str(run), "--no-progress"]) == 2
            out, err = capsys.readouterr()
            (line,) = err.splitlines()
            assert not out and str(run) in line and f"is being trained already by process {first.pid} on " in line
        assert {path: path.read_bytes() for path in before} == before, "numbers of the first one are lost"
    finally:
        first.kill()
        first.wait()
    with locked(run):  # the dead one's lock, and what it said, block nobody
        assert "process" in (run / HOLDER).read_text()
    assert not (run / HOLDER).exists()


def test_a_run_is_held_against_its_own_process_too(run):
    with locked(run):
        with pytest.raises(RunInUse, match="is being trained already by process"), locked(run):
            pass
        (run / HOLDER).unlink()
        with pytest.raises(RunInUse, match="is being trained already: wait"), locked(run):
            pass
    with locked(run), locked(run.parent / "other"):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_where_nothing_can_be_locked_a_warning_says_so(run, monkeypatch, number):
    def unsupported(self, **options):
        raise OSError(number, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", unsupported)
    with pytest.warns(UserWarning, match=f"{run.name} cannot be locked here .No locks available"), locked(run):
        pass


def test_a_folder_that_cannot_be_written_is_no_folder_without_locks(run, monkeypatch):
    def forbidden(self, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(run / ".lock"))

    monkeypatch.setattr(filelock.FileLock, "acquire", forbidden)
    with pytest.raises(PermissionError), locked(run):
        pass


def claim(config, resume=False):
    with contextlib.ExitStack() as locks:
        return [Path(own.out) for own in loop._claimed(config, resume, None, locks)]


def test_all_seeds_are_locked_or_none(tmp_path):
    config = preset("tiny", out=str(tmp_path / "runs"), seeds=3, seed=5)
    with locked(tmp_path / "runs" / "seed-6"):
        with pytest.raises(RunInUse, match="seed-6 is being trained"):
            claim(config)
        with locked(tmp_path / "runs" / "seed-5"):  # let go again
            pass
    assert [path.name for path in claim(config)] == ["seed-5", "seed-6", "seed-7"]


def test_two_new_runs_without_a_name_get_a_folder_each(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = preset("tiny")
    (first,) = claim(config)
    begun, look = iter([first]), loop._unused
    monkeypatch.setattr(loop, "_unused", lambda path: next(begun, None) or look(path))  # both saw the name free
    with locked(first):
        assert claim(config) == [first.with_name(f"{first.name}-2")]
    begun = iter([first])
    write_config(first, config)  # or the other one is done by now
    assert claim(config) == [first.with_name(f"{first.name}-3")]
    begun = iter([first])
    with pytest.raises(ValueError, match="already holds a run"):
        claim(preset("tiny", out=str(first)))


def test_whoever_reads_needs_no_lock(run):
    with locked(run):
        assert checkpoint.saved_updates(run / "checkpoints") == [] and checkpoint.load(run / "checkpoints", {}) is None
