"""Output that cannot be written stops nothing: commands finish, runs are saved, the exit status is their own."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import time

import pytest

from kinetix_ued.cli import main
from kinetix_ued.output import SteadyStream, steady_output
from kinetix_ued.training import checkpoint, interrupt
from kinetix_ued.training.interrupt import postponed_interrupt
from kinetix_ued.training.metrics import read_metrics


class Broken(io.StringIO):
    """A stream that nobody reads any more."""

    def __init__(self, problem):
        super().__init__()
        self.problem = problem

    def write(self, text):
        raise self.problem

    def flush(self):
        raise self.problem


PROBLEMS = [
    BrokenPipeError(32, "Broken pipe"),
    OSError(5, "Input/output error"),
    OSError(28, "No space left on device"),
    ValueError("I/O operation on closed file"),
    RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>"),
]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: str(problem)[:12])
def test_a_broken_stream_is_written_to_in_vain(problem, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Broken(problem))
    monkeypatch.setattr(sys, "stderr", Broken(problem))
    with pytest.raises(type(problem)):
        print("lost", flush=True)
    before = sys.stdout, sys.stderr
    with steady_output(), steady_output():
        for stream in (sys.stdout, sys.stderr):
            print("lost", file=stream, flush=True)
            stream.writelines(["lost"])
    assert (sys.stdout, sys.stderr) == before


def test_a_process_without_streams_prints_in_vain(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with steady_output():
        print("lost", file=sys.stderr, flush=True)
        assert not sys.stderr.isatty()
    assert sys.stderr is None


def test_a_whole_stream_is_written_to_as_ever():
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    stream = SteadyStream(ascii_only)
    print("sümmer", file=stream, flush=True)
    assert ascii_only.buffer.getvalue() == b"s\\xfcmmer\n" and stream.encoding == "ascii" and not stream.isatty()


@pytest.mark.parametrize("status", [0, 1, 2, 130])
def test_exit_statuses_do_not_depend_on_readers(status, monkeypatch, tmp_path):
    from kinetix_ued.commands import levels

    def run(arguments):
        print("to nobody", flush=True)
        if status == 130:
            raise KeyboardInterrupt
        if status == 2:
            raise ValueError("a mistake")
        (tmp_path / "result").write_text("written")
        return status

    monkeypatch.setattr(levels, "run", run)
    monkeypatch.setattr(sys, "stdout", Broken(PROBLEMS[0]))
    monkeypatch.setattr(sys, "stderr", Broken(PROBLEMS[0]))
    assert main(["levels", "check", "x.json"]) == status
    assert (tmp_path / "result").exists() == (status < 2)


@pytest.fixture
def heard_hangups():
    """SIGHUP has its usual meaning, even where the tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("heard_hangups")
@pytest.mark.parametrize(
    "signals, interrupted",
    [
        ([("INT", 0.0)], False),
        ([("INT", 0.0), ("INT", 0.5)], False),  # passed on by a wrapper
        ([("INT", 0.0), ("INT", 0.5), ("INT", 1.1)], True),
        ([("TERM", 0.0), ("INT", 2.0)], True),
        ([("HUP", 0.0), ("HUP", 2.0), ("TERM", 4.0)], False),
        ([("INT", 0.0), ("HUP", 2.0)], False),
    ],
)
def test_a_second_interrupt_stops_at_once_where_somebody_means_it(signals, interrupted, monkeypatch, capsys):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with contextlib.ExitStack() as stack:
        if interrupted:
            stack.enter_context(pytest.raises(KeyboardInterrupt))
        event = stack.enter_context(postponed_interrupt())
        assert not event.is_set()
        for name, moment in signals:
            monkeypatch.setattr(interrupt.time, "monotonic", lambda: moment)
            signal.raise_signal(getattr(signal, f"SIG{name}"))
            assert event.is_set()
    assert capsys.readouterr().err.count("stopping after this update") == 1
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_nohup_is_respected(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with postponed_interrupt() as event:
            signal.raise_signal(signal.SIGHUP)
            assert not event.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.skipif(os.name == "nt", reason="pipes and signals of another kind")
def test_signals_save_the_run_though_nobody_reads_its_output(tmp_path):
    """As in ``kinetix-ued train 2>&1 | head -1``, or a terminal that is closed: SIGHUP comes twice, then SIGTERM."""
    ways = {"int": [signal.SIGINT], "hup": [signal.SIGHUP, signal.SIGHUP, signal.SIGTERM]}
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONUNBUFFERED": "1"}
    environment.setdefault("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    options = "--preset tiny --schedule constant --steps 100000000 --checkpoint-every 1000000 --csv".split()
    for way, signals in ways.items():
        run = tmp_path / way
        command = [sys.executable, "-m", "kinetix_ued", "train", *options, "--out", str(run)]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert process.stdout.read(1)
        process.stdout.close()
        metrics = run / "metrics.jsonl"
        while process.poll() is None and not (metrics.exists() and metrics.read_bytes().count(b"\n") >= 3):
            time.sleep(0.01)
        assert process.poll() is None, "the run ended though it was to go on"
        for number in signals:
            process.send_signal(number)
        assert process.wait(timeout=120) == 130
        updates = [line["update"] for line in read_metrics(metrics)]
        assert updates == list(range(1, len(updates) + 1)) and len(updates) >= 3
        assert checkpoint.whole_updates(run / "checkpoints") == [updates[-1]]
